// Reads a stored chunk back, value by value: the obvious way, for tests.
import { ChunkRecord } from '../../pushdown/runtime/wire.gen.js';
import type { PhysicalType } from '../../pushdown/types/physical.js';
import { readChunk, type Chunk } from '../../daemon/datasets/layout.js';

export interface Zone {
  readonly flags: number;
  readonly min: bigint;
  readonly max: bigint;
}

export function zoneOf(records: Uint8Array, index: number): Zone {
  const at = new DataView(records.buffer, records.byteOffset + index * ChunkRecord.bytes, ChunkRecord.bytes);
  return { flags: at.getUint32(ChunkRecord.zoneFlags, true), min: at.getBigInt64(ChunkRecord.minBits, true), max: at.getBigInt64(ChunkRecord.maxBits, true) };
}

export const chunkAt = (records: Uint8Array, index: number): Chunk => readChunk(records, index);

/** Integers and codes as bigint, floats as number. `bytes`: the chunk from its first block. */
export function chunkValues(bytes: Uint8Array, chunk: Chunk, physical: PhysicalType): (bigint | number | string | boolean | null)[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = chunk.data.offset;
  const text = (i: number) => {
    const [from, to] = [view.getInt32(chunk.offsets.offset + i * 4, true), view.getInt32(chunk.offsets.offset + i * 4 + 4, true)];
    return Buffer.from(bytes.subarray(at + from, at + to)).toString('utf8');
  };
  const read: Record<PhysicalType, (i: number) => bigint | number | string | boolean> = {
    bool: (i) => ((bytes[at + (i >> 3)] >> (i & 7)) & 1) === 1,
    i8: (i) => BigInt(view.getInt8(at + i)),
    i16: (i) => BigInt(view.getInt16(at + i * 2, true)),
    i32: (i) => BigInt(view.getInt32(at + i * 4, true)),
    i64: (i) => view.getBigInt64(at + i * 8, true),
    i128: () => { throw new Error('results only'); },
    f32: (i) => view.getFloat32(at + i * 4, true),
    f64: (i) => view.getFloat64(at + i * 8, true),
    utf8: text,
    dict8: (i) => BigInt(view.getInt8(at + i)),
    dict16: (i) => BigInt(view.getInt16(at + i * 2, true)),
    dict32: (i) => BigInt(view.getInt32(at + i * 4, true)),
  };
  return Array.from({ length: chunk.rows }, (_, i) => {
    const valid = chunk.validity.bytes === 0 || ((bytes[chunk.validity.offset + (i >> 3)] >> (i & 7)) & 1) === 1;
    return valid ? read[physical](i) : null;
  });
}
