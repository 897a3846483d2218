import { valueBytes } from '../types/physical.js';
import type { Column } from '../types/schema.js';
import { blockRows } from './compaction.js';

/** Memory for the output batch of a scan kernel. A slot gives a kernel 128 MiB for all it declares. */
const outputBytesMax = 48 << 20;
const textBytesMax = 4 << 20;
const textBytesMin = 256 << 10;

/** How much of a morsel one output batch holds. What does not fit comes in the next batch of the same morsel. */
export interface BatchRoom {
  /** At least one block. */
  readonly rows: number;
  /** Capacity of each utf8 column's data. */
  readonly textBytes: number;
}

/** columns: those the kernel has buffers for. rowsMax: rows of the largest morsel. */
export function batchRoom(columns: readonly Column[], rowsMax: number): BatchRoom {
  const texts = columns.filter((c) => c.physical === 'utf8').length;
  const textBytes = texts === 0 ? 0 : Math.max(textBytesMin, Math.min(textBytesMax, Math.floor(outputBytesMax / 2 / texts)));
  const rowBytes = columns.reduce((sum, c) => sum + bytesPerRow(c), 0);
  const fitting = rowBytes === 0 ? rowsMax : Math.floor((outputBytesMax - texts * textBytes) / rowBytes / blockRows) * blockRows;
  return { rows: Math.min(rowsMax, Math.max(blockRows, fitting)), textBytes };
}

/** Output buffers and what is collected beside them: bits as bytes. */
function bytesPerRow(column: Column): number {
  const validity = column.nullable ? 1.125 : 0;
  if (column.physical === 'bool') return 1.125 + validity;
  return (column.physical === 'utf8' ? 4 : (valueBytes[column.physical] ?? 0)) + validity;
}

/** Bytes of one output batch in a result frame, at most. */
export function batchBytesMax(columns: readonly Column[], room: BatchRoom): number {
  const padded = (bytes: number) => Math.ceil(bytes / 64) * 64;
  const bitmap = padded(Math.ceil(room.rows / 8));
  return columns.reduce((sum, c) => {
    const data = c.physical === 'utf8' ? padded((room.rows + 1) * 4) + room.textBytes : c.physical === 'bool' ? bitmap : padded(room.rows * (valueBytes[c.physical] ?? 0));
    return sum + data + (c.nullable ? bitmap : 0) + 64;
  }, 128);
}
