import type { LogicalKind, LogicalType } from '../types/logical.js';

// DuckDB's rules for two operands of different types, as its binder applies them (checked by test/unit/infer.test.ts).

const integerBits: Partial<Record<LogicalKind, number>> = { int8: 8, int16: 16, int32: 32, int64: 64, uint8: 8, uint16: 16, uint32: 32 };
/** Decimal digits DuckDB gives an integer operand of decimal arithmetic. */
const integerDigits: Partial<Record<LogicalKind, number>> = { int8: 3, int16: 5, int32: 10, int64: 19, uint8: 3, uint16: 5, uint32: 10 };

export const decimalPrecisionMax = 38;
/** Decimals up to here live in 64 bits, in DuckDB and here. */
export const decimalPrecisionMaxI64 = 18;

export const isInteger = (t: LogicalType): boolean => integerBits[t.kind] !== undefined;
export const isUnsigned = (t: LogicalType): boolean => t.kind.startsWith('uint');
export const isFloat = (t: LogicalType): boolean => t.kind === 'float32' || t.kind === 'float64';
export const isNumeric = (t: LogicalType): boolean => isInteger(t) || isFloat(t) || t.kind === 'decimal';

export function sameType(a: LogicalType, b: LogicalType): boolean {
  if (a.kind === 'decimal') return b.kind === 'decimal' && a.precision === b.precision && a.scale === b.scale;
  if (a.kind === 'timestamp') return b.kind === 'timestamp' && a.utc === b.utc;
  return a.kind === b.kind;
}

/** An integer or decimal as decimal(precision, scale); undefined for others. */
export function asDecimal(t: LogicalType): { precision: number; scale: number } | undefined {
  if (t.kind === 'decimal') return t;
  const precision = integerDigits[t.kind];
  return precision === undefined ? undefined : { precision, scale: 0 };
}

/** Both signed or both unsigned: the wider. Mixed: a signed type that holds both, or else `otherwise`. */
function integerPair(a: LogicalType, b: LogicalType, otherwise: (unsignedBits: number) => LogicalType): LogicalType {
  const aBits = integerBits[a.kind] ?? 0;
  const bBits = integerBits[b.kind] ?? 0;
  if (isUnsigned(a) === isUnsigned(b)) return aBits >= bBits ? a : b;
  const [signed, signedBits, unsignedBits] = isUnsigned(a) ? [b, bBits, aBits] : [a, aBits, bBits];
  return signedBits > unsignedBits ? signed : otherwise(unsignedBits);
}

const nextSigned = (unsignedBits: number): LogicalType => (unsignedBits === 8 ? { kind: 'int16' } : unsignedBits === 16 ? { kind: 'int32' } : { kind: 'int64' });

/** The type `+ - * %` of two integers computes in: DuckDB has no (INT8, UINT8) operator and goes to BIGINT. */
export const integerArithmeticType = (a: LogicalType, b: LogicalType): LogicalType => integerPair(a, b, () => ({ kind: 'int64' }));

/** The type both sides are cast to for comparison, IN, BETWEEN, COALESCE; undefined: not comparable. */
export function commonType(a: LogicalType, b: LogicalType): LogicalType | undefined {
  if (sameType(a, b)) return a;
  if (isNumeric(a) && isNumeric(b)) {
    if (a.kind === 'float64' || b.kind === 'float64') return { kind: 'float64' };
    if (a.kind === 'float32' || b.kind === 'float32') return { kind: 'float32' };
    if (isInteger(a) && isInteger(b)) return integerPair(a, b, nextSigned);
    const da = asDecimal(a);
    const db = asDecimal(b);
    if (!da || !db) return undefined;
    const whole = Math.max(da.precision - da.scale, db.precision - db.scale);
    const scale = Math.max(da.scale, db.scale);
    // DuckDB would round away digits here; no stored column is that wide, so such a comparison stays with the host.
    return whole + scale > decimalPrecisionMax ? undefined : { kind: 'decimal', precision: whole + scale, scale };
  }
  const local = (t: LogicalType) => t.kind === 'timestamp' && !t.utc;
  // DATE against TIMESTAMPTZ depends on the session's time zone: not ours to decide.
  if ((a.kind === 'date' && local(b)) || (b.kind === 'date' && local(a))) return { kind: 'timestamp', utc: false };
  return undefined;
}
