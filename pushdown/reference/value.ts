import { invariant } from '../types/error.js';

/** A SQL value in canonical form: floats as number, everything exact as bigint (decimals unscaled, days, microseconds). */
export type Value = null | boolean | number | bigint | string;

/** Total order of non-null values of one type: NaN equals NaN and is above everything, -0 equals 0, text by UTF-8 bytes. */
export function compareValues(a: Value, b: Value): number {
  if (typeof a === 'number' && typeof b === 'number') return compareFloats(a, b);
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b);
  invariant(a !== null && b !== null && typeof a === typeof b, 'values of one type are compared');
  return a < b ? -1 : a > b ? 1 : 0;
}

function compareFloats(a: number, b: number): number {
  if (Number.isNaN(a)) return Number.isNaN(b) ? 0 : 1;
  if (Number.isNaN(b)) return -1;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Code point order is UTF-8 byte order; the order of UTF-16 units is not. */
export function compareText(a: string, b: string): number {
  const x = a[Symbol.iterator]();
  const y = b[Symbol.iterator]();
  for (;;) {
    const p = x.next();
    const q = y.next();
    if (p.done || q.done) return p.done ? (q.done ? 0 : -1) : 1;
    const d = (p.value.codePointAt(0) ?? 0) - (q.value.codePointAt(0) ?? 0);
    if (d !== 0) return d < 0 ? -1 : 1;
  }
}

/** The value a group or a min/max shows for all values equal to `v`: -0 becomes 0. */
export const canonical = (v: Value): Value => (v === 0 ? 0 : v);
