import type { HostLine, Operation } from './host-protocol.js';

/** Content of a name: the variant it was loaded from, and behind '+' the one appended; undefined: there is no such dataset. */
type Content = string | undefined;

/** What a store may hold after a crash, told by what its host said before. */
export class StoreModel {
  readonly #settled = new Map<string, Content>();
  readonly #inFlight = new Map<string, Content>();

  /** `contents`: by the digest that a clean load of it gives. */
  constructor(private readonly contents: ReadonlyMap<string, string>) {}

  /** Every fault in what the host says; empty when all holds. */
  take(line: HostLine): string[] {
    switch (line.kind) {
      case 'begin':
        this.#inFlight.set(line.operation.name, this.#result(line.operation));
        return [];
      case 'end':
        this.#inFlight.delete(line.operation.name);
        if (line.code === undefined) this.#settled.set(line.operation.name, this.#result(line.operation));
        return line.code === undefined || expectedCode(line.code, line.operation, this.#settled) ? [] : [`${JSON.stringify(line.operation)} failed with ${line.code}`];
      case 'idle':
        return this.#space(line.freeBytes, line.storedBytes);
      case 'found':
        return [...this.#contents(line), ...this.#space(line.freeBytes, line.storedBytes, line.capacityBytes), ...line.files.map((file) => `upload ${file} was left behind`)];
    }
  }

  #result(operation: Operation): Content {
    switch (operation.kind) {
      case 'put': return String(operation.variant);
      case 'append': return `${this.#settled.get(operation.name)}+${operation.variant}`;
      case 'remove': return undefined;
      default: return operation satisfies never;
    }
  }

  #capacityBytes = 0;
  #space(freeBytes: number, storedBytes: number, capacityBytes = this.#capacityBytes): string[] {
    this.#capacityBytes = capacityBytes;
    return freeBytes + storedBytes === capacityBytes ? [] : [`${freeBytes} free and ${storedBytes} stored bytes do not add up to ${capacityBytes}`];
  }

  #contents(line: Extract<HostLine, { kind: 'found' }>): string[] {
    const faults: string[] = [];
    const names = new Set([...this.#settled.keys(), ...this.#inFlight.keys(), ...line.datasets.map((d) => d.name)]);
    for (const name of names) {
      const found = line.datasets.find((d) => d.name === name);
      if (found?.damagedChunks) faults.push(`${name} has ${found.damagedChunks} damaged chunks`);
      const content = found && (this.contents.get(found.digest) ?? 'what no load gives');
      const allowed = [this.#settled.get(name), ...(this.#inFlight.has(name) ? [this.#inFlight.get(name)] : [])];
      if (!allowed.includes(content)) faults.push(`${name} holds ${found ? `contents ${content}` : 'nothing'}, allowed is ${allowed.map((a) => a ?? 'nothing').join(' or ')}`);
      this.#settled.set(name, content);
    }
    this.#inFlight.clear();
    return faults;
  }
}

/** A removal of what is not there, or an operation that found no space, fails cleanly. */
function expectedCode(code: string, operation: Operation, settled: ReadonlyMap<string, Content>): boolean {
  return code === 'MR_NO_SPACE' || (code === 'MR_DATASET_NOT_FOUND' && operation.kind === 'remove' && settled.get(operation.name) === undefined);
}
