import type { Batch, ColumnData } from '../../../pushdown/types/batch.js';
import { uncleared } from '../platform.js';

/** A copy that stays valid when the memory a batch was read from is reused: one allocation, buffers at multiples of 64 B. */
export function retained(batch: Batch): Batch {
  return { rows: batch.rows, columns: batch.columns, data: retainedData(batch.data) };
}

export function retainedData(data: readonly ColumnData[]): ColumnData[] {
  const total = data.reduce((sum, c) => sum + pad64(c.validity?.byteLength ?? 0) + pad64(c.offsets?.byteLength ?? 0) + pad64(c.data.byteLength), 0);
  // All of it but padding is written below.
  const memory = uncleared(total);
  let at = 0;
  const put = (bytes: Uint8Array): Uint8Array => {
    memory.set(bytes, at);
    const copy = memory.subarray(at, at + bytes.byteLength);
    at += pad64(bytes.byteLength);
    return copy;
  };
  return data.map(({ validity, offsets, data: values }) => {
    const keptValidity = validity && put(validity);
    const keptOffsets = offsets && put(new Uint8Array(offsets.buffer, offsets.byteOffset, offsets.byteLength));
    return { validity: keptValidity, offsets: keptOffsets && new Int32Array(keptOffsets.buffer, keptOffsets.byteOffset, keptOffsets.byteLength >> 2), data: put(values) };
  });
}

export function batchBytes(data: readonly ColumnData[]): number {
  return data.reduce((sum, c) => sum + (c.validity?.byteLength ?? 0) + (c.offsets?.byteLength ?? 0) + c.data.byteLength, 0);
}

const pad64 = (bytes: number): number => (bytes + 63) & ~63;
