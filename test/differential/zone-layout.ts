import { type Value, compareValues } from '../../pushdown/reference/value.js';
import { ChunkRecord, DatasetHeader } from '../../pushdown/runtime/wire.gen.js';
import type { Column } from '../../pushdown/types/schema.js';
import type { Data } from './data.js';

/** The zone maps ingest would write for these rows. */
export function layoutOf(data: Data): Uint8Array {
  const { columns } = data.schema;
  const groups = data.values.length;
  const bytes = new Uint8Array(DatasetHeader.bytes + columns.length * groups * ChunkRecord.bytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(DatasetHeader.columns, columns.length, true);
  view.setUint32(DatasetHeader.rowGroups, groups, true);
  columns.forEach((column, c) => {
    data.values.forEach((rows, g) => {
      const at = DatasetHeader.bytes + (c * groups + g) * ChunkRecord.bytes;
      const present = rows.map((r) => r[c] as Value).filter((v) => v !== null);
      const numbers = present.filter((v) => !Number.isNaN(v)).sort(compareValues);
      view.setUint32(at + ChunkRecord.rows, rows.length, true);
      view.setUint32(at + ChunkRecord.nullCount, rows.length - present.length, true);
      const flags = (numbers.length > 0 ? 1 : 0) | (numbers.length < present.length ? 2 : 0) | (column.physical === 'utf8' ? 4 : 0);
      view.setUint32(at + ChunkRecord.zoneFlags, flags, true);
      if (numbers.length === 0) return;
      putBound(view, at + ChunkRecord.minBits, column, numbers[0] as Value);
      putBound(view, at + ChunkRecord.maxBits, column, numbers.at(-1) as Value);
    });
  });
  return bytes;
}

function putBound(view: DataView, at: number, column: Column, v: Value): void {
  if (typeof v === 'number') view.setFloat64(at, v, true);
  else if (typeof v === 'boolean') view.setBigInt64(at, v ? 1n : 0n, true);
  else if (typeof v === 'bigint') view.setBigInt64(at, v, true);
  else if (column.dictionary) view.setBigInt64(at, BigInt(column.dictionary.indexOf(String(v))), true);
  else {
    const bytes = new TextEncoder().encode(String(v));
    view.setBigUint64(at, Array.from({ length: 8 }, (_, i) => BigInt(bytes[i] ?? 0)).reduce((p, b) => (p << 8n) | b, 0n), true);
  }
}
