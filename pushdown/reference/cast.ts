import { isInteger, sameType } from '../expr/common-type.js';
import { MillraceError, invariant } from '../types/error.js';
import type { LogicalType } from '../types/logical.js';
import type { Value } from './value.js';

export const overflow = (what: string) => new MillraceError('MR_ARITHMETIC_OVERFLOW', `${what} does not fit its type: cast to a wider one`, { httpStatus: 422 });

const microsecondsPerDay = 86_400_000_000n;

/** What an exact type can hold, inclusive, as stored. */
export function exactBounds(t: LogicalType): { min: bigint; max: bigint } {
  const signed = (bits: bigint) => ({ min: -(1n << (bits - 1n)), max: (1n << (bits - 1n)) - 1n });
  switch (t.kind) {
    case 'int8':
      return signed(8n);
    case 'int16':
      return signed(16n);
    case 'int32':
    case 'date':
      return signed(32n);
    case 'int64':
    case 'timestamp':
      return signed(64n);
    case 'uint8':
      return { min: 0n, max: 0xffn };
    case 'uint16':
      return { min: 0n, max: 0xffffn };
    case 'uint32':
      return { min: 0n, max: 0xffffffffn };
    case 'decimal':
      return { min: 1n - 10n ** BigInt(t.precision), max: 10n ** BigInt(t.precision) - 1n };
    default:
      invariant(false, 'the type is exact');
  }
}

/** @throws MillraceError MR_ARITHMETIC_OVERFLOW */
export function mustFit(v: bigint, t: LogicalType): bigint {
  const { min, max } = exactBounds(t);
  if (v < min || v > max) throw overflow(`${v} as ${t.kind}`);
  return v;
}

const scaleOf = (t: LogicalType): number => (t.kind === 'decimal' ? t.scale : 0);

/** CAST as DuckDB does it. `from` and `to` are a pair that inferType accepts. @throws MillraceError MR_ARITHMETIC_OVERFLOW */
export function castValue(v: Value, from: LogicalType, to: LogicalType): Value {
  if (v === null || sameType(from, to)) return v;
  if (from.kind === 'date' && to.kind === 'timestamp') return mustFit(BigInt(v) * microsecondsPerDay, to);
  if (from.kind === 'timestamp' && to.kind === 'date') return floorDivide(BigInt(v), microsecondsPerDay);
  if (to.kind === 'bool') return Number(v) !== 0;
  const toFloat = to.kind === 'float64' || to.kind === 'float32';
  if (typeof v === 'boolean') return toFloat ? Number(v) : mustFit(BigInt(v) * 10n ** BigInt(scaleOf(to)), to);
  if (typeof v === 'number') {
    if (to.kind === 'float64') return v;
    if (to.kind === 'float32') return toFloat32(v);
    return floatToExact(v, to);
  }
  invariant(typeof v === 'bigint', 'a number is cast');
  if (toFloat) return to.kind === 'float64' ? exactToFloat64(v, scaleOf(from)) : exactToFloat32(v, scaleOf(from));
  return mustFit(rescale(v, scaleOf(from), scaleOf(to)), to);
}

/** More digits: exact. Fewer: half away from zero. */
export function rescale(v: bigint, from: number, to: number): bigint {
  if (to >= from) return v * 10n ** BigInt(to - from);
  const power = 10n ** BigInt(from - to);
  const half = power / 2n;
  return (v < 0n ? v - half : v + half) / power;
}

function toFloat32(v: number): number {
  const out = Math.fround(v);
  if (Number.isFinite(v) && !Number.isFinite(out)) throw overflow(`${v} as float32`);
  return out;
}

/** To integers: half to even. To decimals: half away from zero, after multiplying in float64. */
function floatToExact(v: number, to: LogicalType): bigint {
  const scaled = isInteger(to) ? roundHalfEven(v) : roundHalfAway(v * 10 ** scaleOf(to));
  if (!Number.isFinite(scaled)) throw overflow(`${v} as ${to.kind}`);
  return mustFit(BigInt(scaled), to);
}

function roundHalfEven(v: number): number {
  const down = Math.floor(v);
  const rest = v - down;
  if (rest !== 0.5) return Math.round(v);
  return down % 2 === 0 ? down : down + 1;
}

function roundHalfAway(v: number): number {
  const whole = Math.trunc(v);
  return Math.abs(v - whole) >= 0.5 ? whole + Math.sign(v) : whole;
}

/** DuckDB: one division where the unscaled value is exact in the float, otherwise whole and fraction apart. */
export function exactToFloat64(v: bigint, scale: number): number {
  const power = 10n ** BigInt(scale);
  if (scale === 0 || (v >= -(1n << 53n) && v <= 1n << 53n)) return Number(v) / 10 ** scale;
  return Number(v / power) + Number(v % power) / 10 ** scale;
}

function exactToFloat32(v: bigint, scale: number): number {
  const power = 10n ** BigInt(scale);
  const divisor = Math.fround(10 ** scale);
  if (scale === 0 || (v >= -(1n << 24n) && v <= 1n << 24n)) return Math.fround(bigintToFloat32(v) / divisor);
  return Math.fround(bigintToFloat32(v / power) + Math.fround(bigintToFloat32(v % power) / divisor));
}

/** Rounded once; by way of float64 it would be rounded twice. */
function bigintToFloat32(v: bigint): number {
  let magnitude = v < 0n ? -v : v;
  let scale = 1;
  while (magnitude >= 1n << 53n) {
    // Sticky: a lost bit stays visible in the lowest one.
    magnitude = (magnitude >> 1n) | (magnitude & 1n);
    scale *= 2;
  }
  return Math.fround((v < 0n ? -1 : 1) * Number(magnitude) * scale);
}

function floorDivide(a: bigint, b: bigint): bigint {
  const q = a / b;
  return a % b < 0n ? q - 1n : q;
}
