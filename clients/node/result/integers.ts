import { invariant } from '../../../pushdown/types/error.js';
import type { PhysicalType } from '../../../pushdown/types/physical.js';

/** Stored integers in their own width; i128 as pairs of words, low first. */
export type Integers = Int8Array | Int16Array | Int32Array | BigInt64Array;

/** A copy of the first `rows` stored values (the copy is what makes the view aligned wherever the buffer lies). */
export function integersOf(physical: PhysicalType, data: Uint8Array, rows: number): Integers {
  const bytes = (width: number): ArrayBuffer => new Uint8Array(data.subarray(0, rows * width)).buffer;
  switch (physical) {
    case 'i8':
    case 'dict8':
      return new Int8Array(bytes(1));
    case 'i16':
    case 'dict16':
      return new Int16Array(bytes(2));
    case 'i32':
    case 'dict32':
      return new Int32Array(bytes(4));
    case 'i64':
      return new BigInt64Array(bytes(8));
    case 'i128':
      return new BigInt64Array(bytes(16));
    default:
      invariant(false, 'integers are stored as integers');
  }
}

type Target = Int8Array | Int16Array | Int32Array | Uint8Array | Uint16Array | Uint32Array | BigInt64Array;

/** The same values in the array type of their logical width. */
export function widened<T extends Target>(values: Integers, target: { new (length: number): T; readonly name: string }, rows: number): T {
  const out = new target(rows);
  if (out instanceof BigInt64Array) for (let i = 0; i < rows; i++) out[i] = BigInt(values[i]!); // i < rows
  else for (let i = 0; i < rows; i++) out[i] = Number(values[i]!); // i < rows
  return out;
}
