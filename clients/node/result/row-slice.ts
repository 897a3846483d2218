import type { Batch, ColumnData } from '../../../pushdown/types/batch.js';
import type { Column } from '../../../pushdown/types/schema.js';
import { valueBytes } from '../../../pushdown/types/physical.js';

/** Rows from..to of a batch: views where bytes allow it, copies of bitmaps that start within a byte and of offsets. */
export function rowsOf(batch: Batch, from: number, to: number): Batch {
  if (from === 0 && to === batch.rows) return batch;
  return { rows: to - from, columns: batch.columns, data: batch.columns.map((column, i) => columnRows(column, batch.data[i]!, from, to)) }; // one per column
}

function columnRows(column: Column, { validity, offsets, data }: ColumnData, from: number, to: number): ColumnData {
  const bits = validity && bitRows(validity, from, to);
  if (offsets) {
    const start = offsets[from] ?? 0;
    return { validity: bits, offsets: offsets.slice(from, to + 1).map((end) => end - start), data: data.subarray(start, offsets[to]) };
  }
  const width = valueBytes[column.physical];
  return { validity: bits, offsets: null, data: width === undefined ? bitRows(data, from, to) : data.subarray(from * width, to * width) };
}

function bitRows(bits: Uint8Array, from: number, to: number): Uint8Array {
  const bytes = (to - from + 7) >> 3;
  const first = from >> 3;
  const shift = from & 7;
  if (shift === 0) return bits.subarray(first, first + bytes);
  const out = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) out[i] = (bits[first + i]! >> shift) | ((bits[first + i + 1] ?? 0) << (8 - shift)); // first + i is in bounds
  return out;
}
