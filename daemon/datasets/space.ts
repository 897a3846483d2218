import { MillraceError } from '../../pushdown/types/error.js';
import type { CatalogEntry } from '../catalog/catalog.js';
import { blockBytes, type Extent, ExtentAllocator } from './extents.js';
import { Reservation } from './reservation.js';

/** A reader's lease may hold retired blocks for long; an ingest that finds no room waits this long for one to end. */
const retireWaitMs = 1_000;

/** The namespace's blocks: published, held by an ingest, retired but still read, or free. */
export class Space {
  readonly #allocator: ExtentAllocator;
  /** Retired versions whose readers have not all gone. */
  readonly #retiring = new Set<Promise<void>>();
  /** Held until the catalog knows for sure that it never published them. */
  #doubtful: Reservation[] = [];

  /** @throws MillraceError MR_CATALOG_DAMAGED when published datasets overlap or do not fit into the namespace */
  constructor(capacityBytes: number, published: readonly CatalogEntry[]) {
    this.#allocator = new ExtentAllocator(Math.floor(capacityBytes / blockBytes));
    for (const { name, extents } of published)
      for (const extent of extents)
        if (!this.#allocator.take(extent))
          throw new MillraceError('MR_CATALOG_DAMAGED', `Dataset '${name}' claims blocks that are not its own or lie outside the ${this.#allocator.capacityBlocks} blocks of the namespace: start with the capacity it was made with, or restore catalog.db.`);
  }

  get capacityBytes(): number {
    return this.#allocator.capacityBlocks * blockBytes;
  }
  get freeBytes(): number {
    return this.#allocator.freeBlocks * blockBytes;
  }

  open(): Reservation {
    return new Reservation(this.#allocator);
  }

  /** @throws MillraceError MR_NO_SPACE */
  async extend(reservation: Reservation, blocks: number): Promise<Extent> {
    for (;;) {
      const extent = reservation.extend(blocks);
      if (extent) return extent;
      if (this.#retiring.size > 0 && (await within(Promise.race(this.#retiring), retireWaitMs))) continue;
      throw new MillraceError(
        'MR_NO_SPACE',
        `The device has no ${blocks * blockBytes} free bytes in a row (${this.freeBytes} of ${this.capacityBytes} are free): remove a dataset or start with a larger capacity.`,
        { httpStatus: 507 },
      );
    }
  }

  /** The extents come back when `unread` resolves; never, if it rejects (the device is gone: the next start counts anew). */
  retire(extents: readonly Extent[], unread: Promise<unknown>): void {
    const back = unread.then(
      () => extents.forEach((extent) => void this.#allocator.free(extent)),
      () => undefined,
    );
    const settled: Promise<void> = back.finally(() => this.#retiring.delete(settled));
    this.#retiring.add(settled);
  }

  /** A publish failed half way: the media may or may not hold it. */
  doubt(reservation: Reservation): void {
    this.#doubtful.push(reservation);
  }

  get inDoubt(): boolean {
    return this.#doubtful.length > 0;
  }

  /** A later commit went through: what was in doubt is surely not published. */
  settle(): void {
    for (const reservation of this.#doubtful) reservation.release();
    this.#doubtful = [];
  }

  /** Resolves when every retired version known now is free. */
  async drained(): Promise<void> {
    await Promise.all(this.#retiring);
  }
}

async function within(promise: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
