import type { Database } from 'better-sqlite3';
import { invariant, MillraceError } from '../../pushdown/types/error.js';
import type { DatasetColumnInfo } from '../../pushdown/types/dataset-info.js';
import { columnsSchema } from '../datasets/column-schema.js';
import type { Extent } from '../datasets/extents.js';
import type { Layout } from '../datasets/layout.js';
import { openLocked, translated } from './open.js';
import { migrate } from './schema.js';

/** A published dataset as the catalog keeps it: whole or not there at all. */
export interface CatalogEntry {
  /** u32, never used twice in the life of the catalog. */
  readonly handle: number;
  readonly name: string;
  readonly version: number;
  readonly rows: number;
  readonly columns: readonly DatasetColumnInfo[];
  readonly layout: Layout;
  /** Blocks in use, ascending and joined. */
  readonly extents: readonly Extent[];
}

/** Names are compared without case, as SQL compares them. */
export function keyOf(name: string): string {
  return name.toLowerCase();
}

/**
 * What is published, in SQLite: write-ahead log, synchronous=FULL, so a returned call is on the media. The exclusive lock
 * keeps a second daemon out of the directory and the WAL index out of shared memory.
 */
export class Catalog {
  readonly #db: Database;
  #nextHandle: number;

  /** @throws MillraceError MR_STORE_LOCKED, MR_CATALOG_NEWER, MR_CATALOG_DAMAGED */
  constructor(path: string) {
    this.#db = openLocked(path);
    try {
      migrate(this.#db);
      this.#nextHandle = (this.#db.prepare("SELECT value FROM counters WHERE name = 'nextHandle'").get() as { value: number }).value;
    } catch (error) {
      this.#db.close();
      throw translated(error);
    }
  }

  /** A handle for a version about to be published. A handle handed out is spent, published or not. */
  takeHandle(): number {
    const handle = this.#nextHandle++;
    invariant(handle < 2 ** 32 - 1, 'handles fit 32 bits');
    return handle;
  }

  /** Every published dataset, by handle. */
  load(): CatalogEntry[] {
    const rows = this.#db.prepare('SELECT * FROM datasets ORDER BY handle').all() as DatasetRow[];
    const records = this.#db.prepare('SELECT records, dictionary FROM chunk_records WHERE handle = ? ORDER BY column_index');
    const extents = this.#db.prepare('SELECT slba, blocks FROM extents WHERE handle = ? ORDER BY slba');
    return rows.map((row) => {
      const columns = columnsSchema.safeParse(JSON.parse(row.columns));
      const blobs = records.all(row.handle) as { records: Buffer; dictionary: Buffer | null }[];
      if (!columns.success || blobs.length !== columns.data.length)
        throw new MillraceError('MR_CATALOG_DAMAGED', `The catalog's entry of dataset '${row.name}' cannot be read: restore catalog.db from a backup.`);
      return {
        handle: row.handle,
        name: row.name,
        version: row.version,
        rows: row.rows,
        columns: columns.data,
        layout: {
          rowGroups: row.row_groups,
          rowGroupRowsMax: row.row_group_rows_max,
          columns: blobs.map((blob) => blob.records),
          dictionaries: blobs.map((blob) => blob.dictionary ?? undefined),
        },
        extents: extents.all(row.handle) as Extent[],
      };
    });
  }

  /**
   * One transaction: `replaced` goes, `entry` comes. When this returns it is on the media. When it throws, the outcome is
   * open until the next `settle`.
   * @throws MillraceError MR_NO_SPACE when the catalog's file system is full, MR_CATALOG_IO
   */
  publish(entry: CatalogEntry, replaced: number | undefined): void {
    this.#write(() => {
      if (replaced !== undefined) this.#db.prepare('DELETE FROM datasets WHERE handle = ?').run(replaced);
      this.#db
        .prepare('INSERT INTO datasets (handle, key, name, version, rows, row_groups, row_group_rows_max, columns) VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
        .run(entry.handle, keyOf(entry.name), entry.name, entry.version, entry.rows, entry.layout.rowGroups, entry.layout.rowGroupRowsMax, JSON.stringify(entry.columns));
      const record = this.#db.prepare('INSERT INTO chunk_records (handle, column_index, records, dictionary) VALUES (?, ?, ?, ?)');
      for (const [i, records] of entry.layout.columns.entries()) record.run(entry.handle, i, records, entry.layout.dictionaries[i] ?? null);
      const extent = this.#db.prepare('INSERT INTO extents (slba, blocks, handle) VALUES (?, ?, ?)');
      for (const { slba, blocks } of entry.extents) extent.run(slba, blocks, entry.handle);
    });
  }

  /** @throws as publish */
  remove(handle: number): void {
    this.#write(() => this.#db.prepare('DELETE FROM datasets WHERE handle = ?').run(handle));
  }

  /**
   * After a failed write: a commit of its own. When it returns, the failed one is surely not on the media (its frames in
   * the log are overwritten or voided), so blocks it would have published may be used again.
   * @throws as publish
   */
  settle(): void {
    // SQLite skips the page write of an unchanged value: spending a handle makes sure there is something to commit.
    this.takeHandle();
    this.#write(() => undefined);
  }

  close(): void {
    this.#db.close();
  }

  #write(change: () => void): void {
    try {
      this.#db
        .transaction(() => {
          change();
          this.#db.prepare("UPDATE counters SET value = ? WHERE name = 'nextHandle'").run(this.#nextHandle);
        })
        .immediate();
    } catch (error) {
      throw translated(error);
    }
  }
}

interface DatasetRow {
  handle: number;
  name: string;
  version: number;
  rows: number;
  row_groups: number;
  row_group_rows_max: number;
  columns: string;
}
