import { valueBytes } from '../../types/physical.js';
import type { Column } from '../../types/schema.js';

/** Rows of one output batch of a group, merge or top-k kernel. */
export const batchRowsMax = 16_384;
/** Bytes of text one column of one output batch may have, and so of one text. */
export const batchTextBytesMax = 2 << 20;
/** Groups a merge may keep, by the memory they take. */
export const mergeHeapBytesMax = 1 << 30;
/** Texts a merge may keep. */
export const mergeTextBytesMax = 256 << 20;

const padded = (bytes: number) => Math.ceil(bytes / 64) * 64;

/** Bytes of a Result frame with a full batch. */
export function frameBytesMax(columns: readonly Column[], rows: number): number {
  const body = columns.reduce((sum, c) => {
    const bitmap = padded(Math.ceil(rows / 8));
    const data = c.physical === 'utf8' ? padded((rows + 1) * 4) + batchTextBytesMax : c.physical === 'bool' ? bitmap : padded(rows * (valueBytes[c.physical] ?? 0));
    return sum + bitmap + data;
  }, 0);
  return 64 + padded(columns.length * 3 * 8) + body;
}
