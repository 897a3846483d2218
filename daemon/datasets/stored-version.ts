import type { DatasetInfo } from '../../pushdown/types/dataset-info.js';
import { invariant } from '../../pushdown/types/error.js';
import type { CatalogEntry } from '../catalog/catalog.js';
import { blockBytes, blocksOf } from './extents.js';
import { writeLayout } from './layout.js';

/** One published version of a dataset while this daemon lives. Its blocks are reused only after its last lease ended. */
export class StoredVersion {
  readonly info: DatasetInfo;
  /** DatasetHeader and ChunkRecords (native/wire/scan.def). */
  readonly layoutBytes: Uint8Array;
  /** Decoded dictionaries by column index, each read once. */
  readonly dictionaries = new Map<number, Promise<readonly string[]>>();
  /** Resolves when earlier versions that this one shares blocks with are read no more. */
  sharedUntil: Promise<unknown> = Promise.resolve();
  #leases = 0;
  #onIdle: (() => void) | undefined;

  constructor(readonly entry: CatalogEntry) {
    const { handle, name, version, rows, columns, layout, extents } = entry;
    const storedBytes = blocksOf(extents) * blockBytes;
    this.info = { name, version, handle, rows, rowGroups: layout.rowGroups, rowGroupRowsMax: layout.rowGroupRowsMax, storedBytes, columns };
    this.layoutBytes = writeLayout(layout, handle);
  }

  /** Keeps the blocks; call the result once to let go. */
  lease(): () => void {
    this.#leases++;
    let held = true;
    return () => {
      invariant(held, 'a lease ends once');
      held = false;
      if (--this.#leases === 0) this.#onIdle?.();
    };
  }

  /** Resolves when no lease is left; asked for once no new lease can come. */
  whenIdle(): Promise<void> {
    if (this.#leases === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }
}
