import { createHash } from 'node:crypto';
import { MillraceError } from '../../pushdown/types/error.js';
import type { CommandQueue } from '../../native/queue.js';
import { loadProgram, unloadProgram } from '../../native/scan-commands.js';

/** Program indexes of one association (native/core/limits.h). */
export const programsMax = 64;

interface Entry {
  /** What clients call it. */
  readonly program: number;
  readonly digest: string;
  /** The device's index. */
  readonly pind: number;
  readonly loaded: Promise<void>;
  scans: number;
}

/**
 * The programs of the daemon's own association, shared by all REST clients: equal bytes share an index, the least recently
 * used one that no scan runs makes room. A client whose program was dropped gets MR_PROGRAM_NOT_FOUND and loads it again.
 */
export class ProgramTable {
  /** By digest, least recently used first. */
  readonly #entries = new Map<string, Entry>();
  readonly #free = Array.from({ length: programsMax }, (_, i) => programsMax - 1 - i);
  /** Program numbers clients know never come back, so that a dropped one cannot be taken for its successor. */
  readonly #byProgram = new Map<number, Entry>();
  readonly #queue: CommandQueue;
  #next = 1;

  constructor(queue: CommandQueue) {
    this.#queue = queue;
  }

  async load(wasm: Uint8Array): Promise<{ program: number; digest: string }> {
    const digest = createHash('sha256').update(wasm).digest('hex');
    const known = this.#entries.get(digest);
    if (known) {
      this.#touch(known);
      await known.loaded;
      return { program: known.program, digest };
    }
    const pind = this.#free.pop() ?? (await this.#evict());
    const raced = this.#entries.get(digest);
    if (raced) {
      this.#free.push(pind);
      await raced.loaded;
      return { program: raced.program, digest };
    }
    const program = this.#next++;
    const loaded = loadProgram(this.#queue, pind, wasm);
    const entry: Entry = { program, digest, pind, loaded, scans: 0 };
    this.#entries.set(digest, entry);
    this.#byProgram.set(program, entry);
    try {
      await loaded;
    } catch (error) {
      this.#forget(entry);
      await unloadProgram(this.#queue, pind).catch(() => undefined); // part of it may lie there: the index must be free for the next
      this.#free.push(pind);
      throw error;
    }
    return { program, digest };
  }

  /** The device's index of a program, held against eviction until release(). */
  hold(program: number): number {
    const entry = this.#get(program);
    entry.scans++;
    this.#touch(entry);
    return entry.pind;
  }

  release(program: number): void {
    const entry = this.#byProgram.get(program);
    if (entry) entry.scans--;
  }

  async unload(program: number): Promise<void> {
    const entry = this.#get(program);
    if (entry.scans > 0) throw new MillraceError('MR_PROGRAM_IN_USE', `Program ${program} runs in ${entry.scans} scans: close them first.`, { httpStatus: 409 });
    this.#forget(entry);
    await unloadProgram(this.#queue, entry.pind);
    this.#free.push(entry.pind);
  }

  async #evict(): Promise<number> {
    for (const entry of this.#entries.values()) {
      if (entry.scans > 0) continue;
      this.#forget(entry);
      await entry.loaded;
      await unloadProgram(this.#queue, entry.pind);
      return entry.pind;
    }
    throw new MillraceError('MR_TOO_MANY_PROGRAMS', `All ${programsMax} programs of the device are in use: try again when a scan has ended.`, { httpStatus: 429 });
  }

  #get(program: number): Entry {
    const entry = this.#byProgram.get(program);
    if (!entry) throw new MillraceError('MR_PROGRAM_NOT_FOUND', `Program ${program} is not loaded (any more): load it again.`, { field: 'program', httpStatus: 404 });
    return entry;
  }

  #touch(entry: Entry): void {
    this.#entries.delete(entry.digest);
    this.#entries.set(entry.digest, entry);
  }

  #forget(entry: Entry): void {
    this.#entries.delete(entry.digest);
    this.#byProgram.delete(entry.program);
  }
}
