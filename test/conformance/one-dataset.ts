import { type NativeDevice, native } from '../../native/index.js';
import { ChunkRecord, DatasetHeader } from '../../pushdown/runtime/wire.gen.js';

/** What a target's device has as dataset 1: one column of 64 B of zeros in each of four row groups, at the start of namespace 1. */
export const oneDataset = { handle: 1, rowGroups: 4, rows: 16 };

export function registerOneDataset(device: NativeDevice): void {
  const layout = new DataView(new ArrayBuffer(DatasetHeader.bytes + oneDataset.rowGroups * ChunkRecord.bytes));
  const chunk = new Uint8Array(4 * oneDataset.rows);
  layout.setUint32(DatasetHeader.handle, oneDataset.handle, true);
  layout.setUint32(DatasetHeader.columns, 1, true);
  layout.setUint32(DatasetHeader.rowGroups, oneDataset.rowGroups, true);
  layout.setUint32(DatasetHeader.rowGroupRowsMax, oneDataset.rows, true);
  for (let i = 0; i < oneDataset.rowGroups; i++) {
    const at = DatasetHeader.bytes + i * ChunkRecord.bytes;
    layout.setBigUint64(at + ChunkRecord.slba, BigInt(i), true);
    layout.setBigUint64(at + ChunkRecord.usedBytes, BigInt(chunk.length), true);
    layout.setUint32(at + ChunkRecord.crc32c, native().crc32c(chunk), true);
    layout.setUint32(at + ChunkRecord.rows, oneDataset.rows, true);
    layout.setUint32(at + ChunkRecord.dataBytes, chunk.length, true);
  }
  device.registerDataset(new Uint8Array(layout.buffer));
}
