import { invariant } from '../../pushdown/types/error.js';

/** A run of logical blocks (4 KiB each) of NVM namespace 1. */
export interface Extent {
  readonly slba: number;
  readonly blocks: number;
}

export const blockBytes = 4096;

/**
 * Free space of the namespace, in memory: derived from the published extents at start, never stored. First fit from the
 * lowest block; neighbours coalesce when freed. A double use or a double free is our bug and throws.
 */
export class ExtentAllocator {
  /** Free runs, ascending, never touching each other. */
  readonly #free: { slba: number; blocks: number }[];
  #freeBlocks: number;

  constructor(readonly capacityBlocks: number) {
    invariant(Number.isSafeInteger(capacityBlocks) && capacityBlocks > 0, 'capacity in blocks is a positive integer');
    this.#free = [{ slba: 0, blocks: capacityBlocks }];
    this.#freeBlocks = capacityBlocks;
  }

  get freeBlocks(): number {
    return this.#freeBlocks;
  }

  get freeExtents(): readonly Extent[] {
    return this.#free;
  }

  /** The first run of `blocks` that fits, now in use; undefined when none does. */
  reserve(blocks: number): Extent | undefined {
    invariant(Number.isSafeInteger(blocks) && blocks > 0, 'an extent has blocks');
    const at = this.#free.findIndex((run) => run.blocks >= blocks);
    const run = this.#free[at];
    if (!run) return undefined;
    const extent = { slba: run.slba, blocks };
    run.slba += blocks;
    run.blocks -= blocks;
    if (run.blocks === 0) this.#free.splice(at, 1);
    this.#freeBlocks -= blocks;
    return extent;
  }

  /** Marks a published extent as used, at start. False: outside the namespace or already in use. */
  take({ slba, blocks }: Extent): boolean {
    const at = this.#indexAtOrBefore(slba);
    const run = this.#free[at];
    if (!run || blocks <= 0 || slba + blocks > run.slba + run.blocks) return false;
    const pieces = [
      { slba: run.slba, blocks: slba - run.slba },
      { slba: slba + blocks, blocks: run.slba + run.blocks - slba - blocks },
    ].filter((piece) => piece.blocks > 0);
    this.#free.splice(at, 1, ...pieces);
    this.#freeBlocks -= blocks;
    return true;
  }

  free({ slba, blocks }: Extent): void {
    invariant(slba >= 0 && blocks > 0 && slba + blocks <= this.capacityBlocks, 'a freed extent lies in the namespace');
    const before = this.#indexAtOrBefore(slba);
    const left = this.#free[before];
    const right = this.#free[before + 1];
    invariant(!left || left.slba + left.blocks <= slba, 'an extent is freed once');
    invariant(!right || slba + blocks <= right.slba, 'an extent is freed once');
    const joinsLeft = left !== undefined && left.slba + left.blocks === slba;
    const joinsRight = right !== undefined && slba + blocks === right.slba;
    this.#freeBlocks += blocks;
    if (joinsLeft && joinsRight) {
      left.blocks += blocks + right.blocks;
      this.#free.splice(before + 1, 1);
    } else if (joinsLeft) {
      left.blocks += blocks;
    } else if (joinsRight) {
      right.slba = slba;
      right.blocks += blocks;
    } else {
      this.#free.splice(before + 1, 0, { slba, blocks });
    }
  }

  /** Index of the last free run that starts at or before slba, -1 if none. */
  #indexAtOrBefore(slba: number): number {
    let low = 0;
    let high = this.#free.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#free[middle].slba <= slba) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

export const blocksOf = (extents: readonly Extent[]): number => extents.reduce((sum, { blocks }) => sum + blocks, 0);

/** What of `whole` is not in `parts`; both ascending and disjoint. */
export function subtract(whole: readonly Extent[], parts: readonly Extent[]): Extent[] {
  const gaps: Extent[] = [];
  let next = 0;
  for (const { slba, blocks } of whole) {
    const end = slba + blocks;
    let at = slba;
    while (next < parts.length && parts[next].slba + parts[next].blocks <= slba) next++;
    for (let i = next; i < parts.length && parts[i].slba < end; i++) {
      if (parts[i].slba > at) gaps.push({ slba: at, blocks: parts[i].slba - at });
      at = Math.max(at, parts[i].slba + parts[i].blocks);
    }
    if (at < end) gaps.push({ slba: at, blocks: end - at });
  }
  return gaps;
}

/** The same blocks in ascending order, runs that touch joined. undefined: two of them overlap. */
export function coalesce(extents: readonly Extent[]): Extent[] | undefined {
  const joined: { slba: number; blocks: number }[] = [];
  for (const { slba, blocks } of [...extents].sort((a, b) => a.slba - b.slba)) {
    const last = joined.at(-1);
    if (last && last.slba + last.blocks > slba) return undefined;
    if (last && last.slba + last.blocks === slba) last.blocks += blocks;
    else joined.push({ slba, blocks });
  }
  return joined;
}
