import { MillraceError } from '../../pushdown/types/error.js';
import type { Chunk } from './layout.js';

/** Offsets of a utf8 chunk, checked: ascending, inside the data. The chunk comes from an ingest child, which is not trusted. */
export function utf8Offsets(bytes: Uint8Array, chunk: Chunk, what: string): Int32Array {
  const offsets = new Int32Array(bytes.slice(chunk.offsets.offset, chunk.offsets.offset + chunk.offsets.bytes).buffer);
  let last = 0;
  for (const offset of offsets) {
    if (offset < last || offset > chunk.data.bytes) throw new MillraceError('MR_DATASET_DAMAGED', `${what}: string offsets do not ascend. Load the dataset again.`, { httpStatus: 500 });
    last = offset;
  }
  return offsets;
}

/** The strings of a dictionary chunk, code i first to last. */
export function decodeStrings(bytes: Uint8Array, chunk: Chunk, what: string): string[] {
  const offsets = utf8Offsets(bytes, chunk, what);
  const data = bytes.subarray(chunk.data.offset, chunk.data.offset + chunk.data.bytes);
  const decoder = new TextDecoder();
  return Array.from({ length: chunk.rows }, (_, i) => decoder.decode(data.subarray(offsets[i], offsets[i + 1])));
}
