export const blockCount = 8;
export const sectorBytes = 512;

export type BlocksStep =
  | { readonly kind: 'write' | 'fua'; readonly block: number; readonly version: number }
  | { readonly kind: 'flush'; readonly all: boolean };
export interface BlocksHostOptions {
  readonly dir: string;
  readonly steps: readonly BlocksStep[];
  /** Feature 06h. */
  readonly writeCache: boolean;
  /** Not blocks of namespace 4: namespace 6, media that is memory, by Memory Read and Memory Write. */
  readonly memory?: boolean;
}
export type BlocksLine =
  /** Per block the version in each of its sectors. */
  | { readonly kind: 'found'; readonly blocks: readonly (readonly number[])[] }
  | { readonly kind: 'begin' | 'end'; readonly step: BlocksStep };

/** What each block may hold: the version the media has for certain, and those written since. */
export class BlocksModel {
  #durable: Set<number>[] = Array.from({ length: blockCount }, () => new Set([0]));
  #since: Set<number>[] = Array.from({ length: blockCount }, () => new Set<number>());
  #last: number[] = new Array<number>(blockCount).fill(0);
  #completed: boolean[] = new Array<boolean>(blockCount).fill(true);

  constructor(private readonly writeCache: boolean) {}

  /** Faults in what the host says. lost: unsynced writes of the life before may be gone. */
  take(line: BlocksLine, lost: boolean): string[] {
    if (line.kind === 'found') return this.#found(line.blocks, lost);
    const { step } = line;
    if (step.kind === 'flush') {
      if (line.kind === 'end') for (let block = 0; block < blockCount; block++) this.#settle(block);
      return [];
    }
    if (line.kind === 'begin') {
      this.#since[step.block]?.add(step.version);
      this.#last[step.block] = step.version;
      this.#completed[step.block] = false;
      return [];
    }
    this.#completed[step.block] = true;
    if (step.kind === 'fua' || !this.writeCache) this.#settle(step.block);
    return [];
  }

  /** The last completed version is on the media; a block nobody wrote since stays as it was found, torn or not. */
  #settle(block: number): void {
    if (this.#since[block]?.size === 0) return;
    this.#durable[block] = new Set([this.#last[block] ?? 0]);
    this.#since[block] = new Set();
  }

  #found(blocks: readonly (readonly number[])[], lost: boolean): string[] {
    const faults: string[] = [];
    for (const [block, sectors] of blocks.entries()) {
      const certain = this.#durable[block] ?? new Set();
      const since = this.#since[block] ?? new Set();
      // A kill loses nothing that completed; what was under way is old or new. A power cut may take each sector written since back to any version in between.
      const allowed = lost || !this.#completed[block] ? new Set([...certain, ...since]) : new Set([this.#last[block] ?? 0]);
      for (const [sector, version] of sectors.entries()) if (!allowed.has(version)) faults.push(`block ${block}, sector ${sector} holds version ${version}; possible: ${[...allowed].join(', ')}`);
      this.#durable[block] = new Set(sectors);
      this.#since[block] = new Set();
      this.#last[block] = sectors[0] ?? 0;
      this.#completed[block] = new Set(sectors).size === 1;
    }
    return faults;
  }
}
