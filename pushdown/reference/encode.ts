import type { Batch, ColumnData } from '../types/batch.js';
import { invariant } from '../types/error.js';
import { valueBytes } from '../types/physical.js';
import type { Column } from '../types/schema.js';
import type { Value } from './value.js';

const utf8 = new TextEncoder();
/** Kernels may read to the next multiple of 64 bytes past a buffer's end. */
const padded = (bytes: number) => Math.ceil(bytes / 64) * 64;

/** Rows of canonical values as a batch in the columns' storage types. Nullable columns always carry a bitmap, others never. */
export function encodeBatch(columns: readonly Column[], rows: readonly (readonly Value[])[]): Batch {
  return { rows: rows.length, columns, data: columns.map((c, i) => encodeColumn(c, rows.map((r) => r[i]!))) };
}

export function encodeColumn(column: Column, values: readonly Value[]): ColumnData {
  const validity = column.nullable ? bitmap(values.map((v) => v !== null)) : null;
  invariant(column.nullable || !values.includes(null), 'a column without nulls gets none');
  if (column.physical === 'bool') return { validity, offsets: null, data: bitmap(values.map((v) => v === true)) };
  if (column.physical === 'utf8') return { validity, ...encodeText(values) };
  const width = valueBytes[column.physical];
  const bytes = new Uint8Array(padded(values.length * width));
  const view = new DataView(bytes.buffer);
  const codes = column.dictionary && new Map(column.dictionary.map((text, code) => [text, BigInt(code)]));
  values.forEach((value, i) => {
    if (value === null) return;
    const at = i * width;
    if (column.physical === 'f64') view.setFloat64(at, Number(value), true);
    else if (column.physical === 'f32') view.setFloat32(at, Number(value), true);
    else {
      const exact = codes ? codes.get(String(value)) : BigInt(value);
      invariant(exact !== undefined, 'the dictionary has every value');
      writeInteger(view, at, width, exact);
    }
  });
  return { validity, offsets: null, data: bytes.subarray(0, values.length * width) };
}

function writeInteger(view: DataView, at: number, width: number, value: bigint): void {
  invariant(BigInt.asIntN(width * 8, value) === value, 'the value fits its storage');
  for (let i = 0; i < width; i++) view.setUint8(at + i, Number((value >> BigInt(i * 8)) & 0xffn));
}

function encodeText(values: readonly Value[]): { offsets: Int32Array; data: Uint8Array } {
  const parts = values.map((v) => (v === null ? new Uint8Array(0) : utf8.encode(String(v))));
  const offsets = new Int32Array(new ArrayBuffer(padded((values.length + 1) * 4)), 0, values.length + 1);
  parts.forEach((part, i) => {
    offsets[i + 1] = offsets[i]! + part.length;
  });
  const total = offsets[values.length]!;
  const data = new Uint8Array(padded(total)).subarray(0, total);
  for (const [i, part] of parts.entries()) data.set(part, offsets[i]!);
  return { offsets, data };
}

function bitmap(bits: readonly boolean[]): Uint8Array {
  const bytes = new Uint8Array(padded(Math.ceil(bits.length / 8))).subarray(0, Math.ceil(bits.length / 8));
  bits.forEach((set, i) => {
    if (set) bytes[i >> 3]! |= 1 << (i & 7);
  });
  return bytes;
}
