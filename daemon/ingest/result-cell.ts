import type { DuckResult } from '../../native/index.js';
import { invariant } from '../../pushdown/types/error.js';

export type Cell = bigint | number | string | boolean | null;

/** Integers, decimals (unscaled), dates (days) and timestamps as bigint. For small results: one object per value. */
export function readCells(result: DuckResult): Cell[][] {
  const rows: Cell[][] = [];
  for (const batch of result.batches) {
    const base = rows.length;
    for (let r = 0; r < batch.rows; r++) rows.push([]);
    let at = 0;
    for (const { format } of result.columns) {
      const text = format === 'u' || format === 'z';
      const buffers = batch.buffers.slice(at, at + (text ? 3 : 2));
      at += buffers.length;
      const read = cellReader(format, buffers);
      for (let r = 0; r < batch.rows; r++) rows[base + r].push(isNull(buffers[0], r) ? null : read(r));
    }
  }
  return rows;
}

function isNull(validity: Uint8Array | null, row: number): boolean {
  return validity !== null && ((validity[row >> 3] >> (row & 7)) & 1) === 0;
}

function cellReader(format: string, [, first, second]: readonly (Uint8Array | null)[]): (row: number) => Cell {
  invariant(first, 'a column has a second buffer');
  const view = new DataView(first.buffer, first.byteOffset, first.byteLength);
  if (format.startsWith('ts') || format === 'ttu') return (r) => view.getBigInt64(r * 8, true);
  if (format.startsWith('d:')) return (r) => (view.getBigInt64(r * 16 + 8, true) << 64n) | view.getBigUint64(r * 16, true);
  switch (format) {
    case 'b': return (r) => ((first[r >> 3] >> (r & 7)) & 1) === 1;
    case 'c': return (r) => BigInt(view.getInt8(r));
    case 'C': return (r) => BigInt(view.getUint8(r));
    case 's': return (r) => BigInt(view.getInt16(r * 2, true));
    case 'S': return (r) => BigInt(view.getUint16(r * 2, true));
    case 'i': case 'tdD': return (r) => BigInt(view.getInt32(r * 4, true));
    case 'I': return (r) => BigInt(view.getUint32(r * 4, true));
    case 'l': return (r) => view.getBigInt64(r * 8, true);
    case 'L': return (r) => view.getBigUint64(r * 8, true);
    case 'f': return (r) => view.getFloat32(r * 4, true);
    case 'g': return (r) => view.getFloat64(r * 8, true);
    case 'u': {
      invariant(second, 'text has a third buffer');
      const bytes = Buffer.from(second.buffer, second.byteOffset, second.byteLength);
      return (r) => bytes.toString('utf8', view.getInt32(r * 4, true), view.getInt32(r * 4 + 4, true));
    }
    default: throw new Error(`invariant broken: no cell reader for ${format}`);
  }
}
