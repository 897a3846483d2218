import type { Expr } from '../../../pushdown/expr/expr.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import type { LogicalType } from '../../../pushdown/types/logical.js';

/** A JavaScript value where SQL would have a literal. */
export type Literal = null | boolean | number | bigint | string | Date;

const int32Max = 2n ** 31n;
const int64Max = 2n ** 63n;

/**
 * A JavaScript value is typed like the SQL literal it prints as, so that a builder query and its SQL text mean the same:
 * 5 INTEGER, 0.05 DECIMAL(3,2), 1e-7 DOUBLE, 5n INTEGER or BIGINT, 'x' VARCHAR, Date TIMESTAMP (microseconds, UTC wall clock).
 */
export function literal(value: Literal): Expr {
  if (value === null) return { kind: 'literal', value, type: { kind: 'int32' } };
  switch (typeof value) {
    case 'boolean':
      return { kind: 'literal', value, type: { kind: 'bool' } };
    case 'string':
      return { kind: 'literal', value, type: { kind: 'utf8' } };
    case 'bigint':
      return { kind: 'literal', value, type: integerType(value) };
    case 'number':
      return numberLiteral(value);
    default:
      return timestampLiteral(value);
  }
}

function integerType(value: bigint): LogicalType {
  if (value >= -int32Max && value < int32Max) return { kind: 'int32' };
  if (value >= -int64Max && value < int64Max) return { kind: 'int64' };
  throw new MillraceError('MR_LITERAL_RANGE', `The integer ${value} does not fit 64 bits: use decimal('${value}') or a smaller number.`);
}

function numberLiteral(value: number): Expr {
  const text = String(value);
  if (/^-?\d+$/.test(text)) return { kind: 'literal', value: BigInt(text), type: integerType(BigInt(text)) };
  if (/^-?\d+\.\d+$/.test(text) && text.replace(/[-.]/g, '').length <= 18) return decimal(text);
  return { kind: 'literal', value, type: { kind: 'float64' } };
}

function timestampLiteral(value: Date): Expr {
  if (Number.isNaN(value.getTime())) throw new MillraceError('MR_LITERAL_INVALID', 'An invalid Date cannot be a literal.');
  return { kind: 'literal', value: BigInt(value.getTime()) * 1000n, type: { kind: 'timestamp', utc: false } };
}

/** An exact DECIMAL literal: decimal('12.34') is DECIMAL(4,2), at most 18 digits. */
export function decimal(text: string): Expr {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?$/.exec(text);
  const whole = (match?.[2] ?? '').replace(/^0+(?=\d)/, '');
  const fraction = match?.[3] ?? '';
  if (!match || whole.length + fraction.length === 0) throw new MillraceError('MR_LITERAL_INVALID', `'${text}' is not a decimal number: write digits with at most one point.`);
  const precision = Math.max(whole === '0' ? fraction.length + 1 : whole.length + fraction.length, 1);
  if (precision > 18) throw new MillraceError('MR_LITERAL_RANGE', `'${text}' has ${precision} digits: decimals have at most 18.`);
  const unscaled = BigInt(`${whole}${fraction}`);
  return { kind: 'literal', value: match[1] === '-' ? -unscaled : unscaled, type: { kind: 'decimal', precision, scale: fraction.length } };
}

/** A DATE literal of 'YYYY-MM-DD'. */
export function date(text: string): Expr {
  const ms = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(ms)) throw new MillraceError('MR_LITERAL_INVALID', `'${text}' is not a date: write YYYY-MM-DD.`);
  return { kind: 'literal', value: BigInt(ms / 86_400_000), type: { kind: 'date' } };
}

/** A TIMESTAMP literal of 'YYYY-MM-DD HH:MM:SS[.ffffff]'. */
export function timestamp(text: string): Expr {
  const match = /^(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}(?::\d{2})?)(?:\.(\d{1,6}))?$/.exec(text);
  const ms = match ? Date.parse(`${match[1]}T${match[2]}Z`) : Number.NaN;
  if (!match || Number.isNaN(ms)) throw new MillraceError('MR_LITERAL_INVALID', `'${text}' is not a timestamp: write YYYY-MM-DD HH:MM:SS[.ffffff].`);
  return { kind: 'literal', value: BigInt(ms) * 1000n + BigInt((match[3] ?? '').padEnd(6, '0')), type: { kind: 'timestamp', utc: false } };
}
