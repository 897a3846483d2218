import type { Batch, ColumnData } from '../types/batch.js';
import { invariant } from '../types/error.js';
import type { Column } from '../types/schema.js';
import type { Value } from './value.js';

const utf8 = new TextDecoder('utf-8');

/** The rows of a batch in canonical form. */
export function decodeBatch(batch: Batch): Value[][] {
  const columns = batch.columns.map((c, i) => decodeColumn(c, batch.data[i]!, batch.rows));
  return Array.from({ length: batch.rows }, (_, row) => columns.map((values) => values[row]!));
}

/** The values of one column, dictionaries resolved. */
export function decodeColumn(column: Column, data: ColumnData, rows: number): Value[] {
  const at = reader(column, data);
  return Array.from({ length: rows }, (_, row) => (data.validity && !bit(data.validity, row) ? null : at(row)));
}

const bit = (bytes: Uint8Array, i: number): boolean => ((bytes[i >> 3]! >> (i & 7)) & 1) === 1;

function reader(column: Column, { data, offsets }: ColumnData): (row: number) => Value {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const code = (i: number): Value => {
    const value = column.dictionary?.[i];
    invariant(value !== undefined, 'dictionary code has a value');
    return value;
  };
  switch (column.physical) {
    case 'bool':
      return (i) => bit(data, i);
    case 'i8':
      return (i) => BigInt(view.getInt8(i));
    case 'i16':
      return (i) => BigInt(view.getInt16(i * 2, true));
    case 'i32':
      return (i) => BigInt(view.getInt32(i * 4, true));
    case 'i64':
      return (i) => view.getBigInt64(i * 8, true);
    case 'i128':
      return (i) => (view.getBigInt64(i * 16 + 8, true) << 64n) | view.getBigUint64(i * 16, true);
    case 'f32':
      return (i) => view.getFloat32(i * 4, true);
    case 'f64':
      return (i) => view.getFloat64(i * 8, true);
    case 'utf8':
      invariant(offsets, 'utf8 has offsets');
      return (i) => utf8.decode(data.subarray(offsets[i], offsets[i + 1]));
    case 'dict8':
      return (i) => code(view.getInt8(i));
    case 'dict16':
      return (i) => code(view.getInt16(i * 2, true));
    case 'dict32':
      return (i) => code(view.getInt32(i * 4, true));
    default:
      return column.physical satisfies never;
  }
}
