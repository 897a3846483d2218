export type KvStep = { readonly kind: 'store'; readonly key: string; readonly content: number } | { readonly kind: 'delete'; readonly key: string } | { readonly kind: 'flush'; readonly lane: number };
export interface KvHostOptions {
  readonly dir: string;
  /** Each lane changes its own keys, one step after the other; lanes run side by side. */
  readonly lanes: readonly (readonly KvStep[])[];
}
/** Lines on the host's stdout. content -1: the value is nothing that was ever stored under the key. */
export type KvLine =
  | { readonly kind: 'found'; readonly keys: readonly (readonly [key: string, content: number])[]; readonly usedBytes: number }
  | { readonly kind: 'begin' | 'end'; readonly step: KvStep };

const lengths = [0, 3, 700, 9000, 40_000, 300_000];
/** The bytes of a content under a key: every byte tells both, so a mixture of two is neither. */
export function valueBytes(key: string, content: number): Uint8Array {
  const bytes = new Uint8Array(lengths[content % lengths.length] ?? 0);
  let state = (content * 2_654_435_761 + key.length * 97 + (key.codePointAt(0) ?? 0)) >>> 0;
  for (let i = 0; i < bytes.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}
export const contentsMax = 24;
export function contentOf(key: string, value: Uint8Array | undefined): number {
  for (let content = 0; value && content < contentsMax; content++) if (Buffer.compare(valueBytes(key, content), value) === 0) return content;
  return -1;
}

/** A key's content; undefined: absent. Contents of equal bytes (the empty ones) are one. */
type Content = number | undefined;
const plain = (content: number): number => (content % lengths.length === 0 ? 0 : content);

/** What may be there after an end, told by what the host said: what the last flush covered, or any later state of the key. */
export class KvModel {
  /** Oldest state that may come back, then every later one. */
  readonly #states = new Map<string, Content[]>();

  /** `lostUnsynced`: the machine died, not the process only. Faults in what the host says. */
  take(line: KvLine, lostUnsynced: boolean): string[] {
    switch (line.kind) {
      case 'begin': {
        const { step } = line;
        if (step.kind === 'flush') {
          // It covers what had completed when it was submitted: at least the newest ended state of each key.
          this.#covers.set(step.lane, new Map(this.#ended));
        } else this.#push(step.key, step.kind === 'store' ? plain(step.content) : undefined);
        return [];
      }
      case 'end': {
        const { step } = line;
        if (step.kind === 'flush') {
          for (const [key, ended] of this.#covers.get(step.lane) ?? []) this.#drop(key, ended);
        } else this.#ended.set(step.key, this.#count(step.key));
        return [];
      }
      case 'found': {
        const faults: string[] = [];
        const found = new Map(line.keys.map(([key, content]) => [key, content] as const));
        for (const key of new Set([...this.#states.keys(), ...found.keys()])) {
          const states = this.#states.get(key) ?? [undefined];
          // A process that died loses nothing that had ended.
          const allowed = lostUnsynced ? states : states.slice(Math.max(0, (this.#ended.get(key) ?? 1) - 1 - (this.#dropped.get(key) ?? 0)));
          const content = found.has(key) ? plainFound(found.get(key) ?? -1) : undefined;
          if (!allowed.includes(content)) faults.push(`${key} holds ${content ?? 'nothing'}, allowed is ${allowed.map((a) => a ?? 'nothing').join(' or ')}`);
          this.#states.set(key, [content]);
        }
        this.#ended.clear();
        this.#dropped.clear();
        const bytes = line.keys.reduce((sum, [key, content]) => sum + key.length + (content < 0 ? 0 : valueBytes(key, content).length), 0);
        if (bytes !== line.usedBytes) faults.push(`${line.usedBytes} bytes are said to be used, ${bytes} are`);
        return faults;
      }
    }
  }

  /** States of a key ever, those dropped included, when its last ended step had ended. */
  readonly #ended = new Map<string, number>();
  readonly #dropped = new Map<string, number>();
  readonly #covers = new Map<number, Map<string, number>>();
  #count(key: string): number {
    return (this.#states.get(key)?.length ?? 0) + (this.#dropped.get(key) ?? 0);
  }
  #push(key: string, content: Content): void {
    const states = this.#states.get(key) ?? [undefined];
    states.push(content);
    this.#states.set(key, states);
  }
  #drop(key: string, ended: number): void {
    const states = this.#states.get(key);
    const n = ended - 1 - (this.#dropped.get(key) ?? 0);
    if (!states || n <= 0) return;
    states.splice(0, n);
    this.#dropped.set(key, (this.#dropped.get(key) ?? 0) + n);
  }
}
const plainFound = (content: number): number => (content < 0 ? -1 : plain(content));
