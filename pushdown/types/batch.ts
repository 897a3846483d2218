import type { Column } from './schema.js';

/** One column's values: views into whatever holds them (a chunk, a frame, a window). Layout as Arrow, widths as `physical`. */
export interface ColumnData {
  /** Bitmap, bit 1 = valid; null: no nulls. */
  readonly validity: Uint8Array | null;
  /** utf8 only: rows + 1 offsets into data. */
  readonly offsets: Int32Array | null;
  /** Values: rows * valueBytes, a bitmap for bool, bytes for utf8. */
  readonly data: Uint8Array;
}

/** What morsels, frames and results are between processes' borders. */
export interface Batch {
  readonly rows: number;
  readonly columns: readonly Column[];
  readonly data: readonly ColumnData[];
}
