import type { LiteralValue } from '../../../pushdown/expr/expr.js';
import type { Batch, ColumnData } from '../../../pushdown/types/batch.js';
import { invariant } from '../../../pushdown/types/error.js';
import type { Column } from '../../../pushdown/types/schema.js';
import { utf8Slices } from '../platform.js';

/**
 * A value as rows show it: bool boolean; int8..int32, uint8..uint32, floats number; int64 bigint; decimal exact text ('12.30');
 * date 'YYYY-MM-DD'; timestamp 'YYYY-MM-DD HH:MM:SS[.ffffff]' ('...+00' for instants); utf8 string; NULL null.
 */
export type RowValue = null | boolean | number | bigint | string;
export type Row = Record<string, RowValue>;

export type Reader<T> = (row: number) => T;

/** Canonical values: exact types as bigint (decimals unscaled, days, microseconds), floats number, as pushdown's LiteralValue. */
export function canonicalReader(column: Column, data: ColumnData): Reader<LiteralValue> {
  return nullable(data, storedReader(column, data));
}

export function rowReader(column: Column, data: ColumnData): Reader<RowValue> {
  const stored = storedReader(column, data);
  const { type } = column;
  switch (type.kind) {
    case 'decimal':
      return nullable(data, (row) => decimalText(stored(row) as bigint, type.scale));
    case 'date':
      return nullable(data, (row) => dateText(stored(row) as bigint));
    case 'timestamp':
      return nullable(data, (row) => timestampText(stored(row) as bigint, type.utc));
    case 'int8':
    case 'int16':
    case 'int32':
    case 'uint8':
    case 'uint16':
    case 'uint32':
      return nullable(data, (row) => Number(stored(row)));
    default:
      return nullable(data, stored);
  }
}

export function batchRows(batch: Batch): Row[] {
  const readers = batch.columns.map((column, i) => [column.name, rowReader(column, batch.data[i]!)] as const); // one per column
  return Array.from({ length: batch.rows }, (_, row) => Object.fromEntries(readers.map(([name, read]) => [name, read(row)])));
}

function nullable<T>(data: ColumnData, read: Reader<T>): Reader<T | null> {
  const { validity } = data;
  if (!validity) return read;
  return (row) => ((validity[row >> 3]! >> (row & 7)) & 1 ? read(row) : null); // validity covers all rows
}

function storedReader(column: Column, { data, offsets }: ColumnData): Reader<boolean | number | bigint | string> {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  switch (column.physical) {
    case 'bool':
      return (row) => ((data[row >> 3]! >> (row & 7)) & 1) === 1; // the bitmap covers all rows
    case 'i8':
      return (row) => BigInt(view.getInt8(row));
    case 'i16':
      return (row) => BigInt(view.getInt16(row * 2, true));
    case 'i32':
      return (row) => BigInt(view.getInt32(row * 4, true));
    case 'i64':
      return (row) => view.getBigInt64(row * 8, true);
    case 'i128':
      return (row) => (view.getBigInt64(row * 16 + 8, true) << 64n) | view.getBigUint64(row * 16, true);
    case 'f32':
      return (row) => view.getFloat32(row * 4, true);
    case 'f64':
      return (row) => view.getFloat64(row * 8, true);
    case 'utf8': {
      const ends = offsets;
      invariant(ends, 'utf8 columns have offsets');
      const text = utf8Slices(data);
      return (row) => text(ends[row]!, ends[row + 1]!); // rows + 1 offsets
    }
    case 'dict8':
      return dictionaryReader(column, (row) => view.getInt8(row));
    case 'dict16':
      return dictionaryReader(column, (row) => view.getInt16(row * 2, true));
    case 'dict32':
      return dictionaryReader(column, (row) => view.getInt32(row * 4, true));
    default:
      return column.physical satisfies never;
  }
}

function dictionaryReader({ dictionary }: Column, code: Reader<number>): Reader<string> {
  invariant(dictionary, 'a dictionary column of a result carries its dictionary');
  return (row) => dictionary[code(row)] ?? ''; // codes of rows that are NULL may be anything
}

export function decimalText(unscaled: bigint, scale: number): string {
  if (scale === 0) return String(unscaled);
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0');
  return `${unscaled < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

export function dateText(days: bigint): string {
  return isoDay(Number(days) * 86_400_000);
}

export function timestampText(micros: bigint, utc: boolean): string {
  const second = floorDiv(micros, 1_000_000n);
  const fraction = micros - second * 1_000_000n;
  const ms = Number(second) * 1000;
  const at = new Date(ms);
  if (Number.isNaN(at.getTime())) return `${micros} us`; // beyond what the calendar of JavaScript reaches
  const time = at.toISOString().slice(-13, -5);
  return `${isoDay(ms)} ${time}${fraction === 0n ? '' : `.${String(fraction).padStart(6, '0').replace(/0+$/, '')}`}${utc ? '+00' : ''}`;
}

/** Years beyond 9999 keep their digits; years before 1 are written as JavaScript does (-000001). */
function isoDay(ms: number): string {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return `${Math.floor(ms / 86_400_000)} days`; // beyond what JavaScript's calendar reaches
  return date.toISOString().split('T')[0]!.replace(/^\+0*(?=\d{4})/, ''); // ISO text has a T
}

const floorDiv = (a: bigint, b: bigint): bigint => (a >= 0n ? a / b : -((-a + b - 1n) / b));
