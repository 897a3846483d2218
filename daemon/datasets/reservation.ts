import { invariant } from '../../pushdown/types/error.js';
import { coalesce, type Extent, type ExtentAllocator, subtract } from './extents.js';

/**
 * Blocks one ingest holds. They end in exactly one of two ways: `keep` (the published part stays in use, the rest goes
 * back) or `release` (all go back).
 */
export class Reservation {
  readonly #extents: Extent[] = [];
  #open = true;

  constructor(private readonly allocator: ExtentAllocator) {}

  get extents(): readonly Extent[] {
    return this.#extents;
  }

  /** Another run of blocks; undefined: the namespace has no such run free. */
  extend(blocks: number): Extent | undefined {
    invariant(this.#open, 'an ended reservation does not grow');
    const extent = this.allocator.reserve(blocks);
    if (extent) this.#extents.push(extent);
    return extent;
  }

  /** Keeps `used` (each inside one extent of this reservation, disjoint) and gives back everything between. */
  keep(used: readonly Extent[]): void {
    const kept = coalesce(used);
    invariant(this.#open && kept, 'an open reservation keeps disjoint extents');
    this.#open = false;
    for (const gap of subtract(coalesce(this.#extents) ?? [], kept)) this.allocator.free(gap);
  }

  release(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const extent of this.#extents) this.allocator.free(extent);
  }
}
