import type { PhysicalType } from '../../pushdown/types/physical.js';

export type Stored = Int8Array | Int16Array | Int32Array | BigInt64Array;

/** Integers of a data buffer in their stored width. Offsets in a chunk are multiples of 64, so views are aligned. */
export function storedIntegers(physical: PhysicalType, bytes: Uint8Array, rows: number): Stored {
  switch (physical) {
    case 'i8':
    case 'dict8':
      return new Int8Array(bytes.buffer, bytes.byteOffset, rows);
    case 'i16':
    case 'dict16':
      return new Int16Array(bytes.buffer, bytes.byteOffset, rows);
    case 'i32':
    case 'dict32':
      return new Int32Array(bytes.buffer, bytes.byteOffset, rows);
    case 'i64':
      return new BigInt64Array(bytes.buffer, bytes.byteOffset, rows);
    default:
      throw new Error(`invariant broken: ${physical} is no integer width`);
  }
}

/** Sign-extended to `words` 32-bit words per value, least first: 2 for int64, 4 for Decimal128. */
export function widen(stored: Stored, words: 2 | 4): Int32Array {
  const out = new Int32Array(stored.length * words);
  if (stored instanceof BigInt64Array) {
    const halves = new Int32Array(stored.buffer, stored.byteOffset, stored.length * 2);
    if (words === 2) return halves.slice();
    for (let i = 0, from = 0, to = 0; i < stored.length; i++, from += 2, to += 4) {
      const high = halves[from + 1];
      out[to] = halves[from];
      out[to + 1] = high;
      out[to + 2] = out[to + 3] = high >> 31;
    }
    return out;
  }
  for (let i = 0, to = 0; i < stored.length; i++, to += words) {
    const value = stored[i];
    out[to] = value;
    for (let word = 1; word < words; word++) out[to + word] = value >> 31;
  }
  return out;
}

/** The low words of stored integers: what a type of 32 bits or fewer needs of them. */
export function narrow(stored: Stored): Int32Array {
  if (!(stored instanceof BigInt64Array)) return new Int32Array(stored);
  const halves = new Int32Array(stored.buffer, stored.byteOffset, stored.length * 2);
  const out = new Int32Array(stored.length);
  for (let i = 0; i < out.length; i++) out[i] = halves[i * 2];
  return out;
}
