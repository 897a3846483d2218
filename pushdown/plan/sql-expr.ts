import { ofText } from './opaque-text.js';
import { commonType, sameType } from '../expr/common-type.js';
import type { ArithOp, CompareOp, Expr, LiteralValue } from '../expr/expr.js';
import { inferType } from '../expr/infer.js';
import { invariant } from '../types/error.js';
import type { LogicalType } from '../types/logical.js';
import type { Schema } from '../types/schema.js';
import { sqlType } from './sql-type.js';

const compareSign: Record<CompareOp, string> = { eq: '=', ne: '<>', lt: '<', le: '<=', gt: '>', ge: '>=' };
const arithSign: Record<ArithOp, string> = { add: '+', sub: '-', mul: '*', div: '/', mod: '%' };

/** `expr` as DuckDB SQL with the same value and type: casts are written out where DuckDB would put other ones. */
export function exprSql(expr: Expr, schema: Schema): string {
  const of = (e: Expr) => exprSql(e, schema);
  const typeOf = (e: Expr) => inferType(e, schema);
  const as = (e: Expr, to: LogicalType) => (sameType(typeOf(e), to) ? of(e) : `CAST(${of(e)} AS ${sqlType(to)})`);
  switch (expr.kind) {
    case 'column':
      return quoteName(expr.name);
    case 'literal':
      return literalSql(expr.value, expr.type);
    case 'compare': {
      const type = common([typeOf(expr.left), typeOf(expr.right)]);
      return `(${as(expr.left, type)} ${compareSign[expr.op]} ${as(expr.right, type)})`;
    }
    case 'and':
      return expr.args.length === 0 ? 'TRUE' : `(${expr.args.map(of).join(' AND ')})`;
    case 'or':
      return expr.args.length === 0 ? 'FALSE' : `(${expr.args.map(of).join(' OR ')})`;
    case 'not':
      return `(NOT ${of(expr.arg)})`;
    case 'isNull':
      return `(${of(expr.arg)} IS ${expr.negated ? 'NOT ' : ''}NULL)`;
    case 'between': {
      const type = common([typeOf(expr.arg), typeOf(expr.low), typeOf(expr.high)]);
      return `(${as(expr.arg, type)} BETWEEN ${as(expr.low, type)} AND ${as(expr.high, type)})`;
    }
    case 'in': {
      if (expr.values.length === 0) return expr.negated ? 'TRUE' : 'FALSE';
      const type = common([typeOf(expr.arg), ...expr.values.map(typeOf)]);
      return `(${as(expr.arg, type)} ${expr.negated ? 'NOT ' : ''}IN (${expr.values.map((v) => as(v, type)).join(', ')}))`;
    }
    case 'like':
      // Without ESCAPE DuckDB has no escape character either.
      return `(${of(expr.arg)} ${expr.negated ? 'NOT ' : ''}LIKE ${textSql(expr.pattern)})`;
    case 'arith':
      return `(${of(expr.left)} ${arithSign[expr.op]} ${of(expr.right)})`;
    case 'negate':
      return `(- ${of(expr.arg)})`;
    case 'cast':
      return `CAST(${of(expr.arg)} AS ${sqlType(expr.type)})`;
    case 'coalesce':
      return `COALESCE(${expr.args.map((a) => as(a, typeOf(expr))).join(', ')})`;
    case 'log1p': {
      const x = as(expr.arg, { kind: 'float64' });
      // DuckDB has no log1p: ln(u) * x / (u - 1) with u = 1 + x is good to a few units in the last place (Higham).
      return `(CASE WHEN isnan(${x}) OR ${x} < -1 THEN CASE WHEN ${x} IS NULL THEN NULL ELSE CAST('nan' AS DOUBLE) END WHEN ${x} = -1 THEN CAST('-inf' AS DOUBLE) WHEN isinf(${x}) OR 1 + ${x} = 1 THEN ${x} ELSE ln(1 + ${x}) * (${x} / ((1 + ${x}) - 1)) END)`;
    }
    case 'clamp': {
      const type = typeOf(expr.arg);
      const [x, low, high] = [of(expr.arg), as(expr.low, type), as(expr.high, type)];
      // greatest and least skip NULLs, clamp does not.
      return `(CASE WHEN ${x} IS NULL OR ${low} IS NULL OR ${high} IS NULL THEN NULL ELSE least(greatest(${x}, ${low}), ${high}) END)`;
    }
    case 'bucketize': {
      const x = as(expr.arg, { kind: 'float64' });
      const steps = expr.boundaries.map((b) => `(CASE WHEN ${literalSql(b, { kind: 'float64' })} <= ${x} THEN 1 ELSE 0 END)`);
      return `CAST(CASE WHEN ${x} IS NULL THEN NULL ELSE ${steps.join(' + ') || '0'} END AS INTEGER)`;
    }
    case 'call':
      return `${expr.name.split('.').map(quoteName).join('.')}(${expr.args.map(of).join(', ')})`;
    default:
      return expr satisfies never;
  }
}

function common(types: readonly LogicalType[]): LogicalType {
  return types.reduce((a, b) => {
    const t = commonType(a, b);
    invariant(t, 'inferType accepted the operands');
    return t;
  });
}

export const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** A string constant. SQL text cannot hold the character 0: DuckDB's chr() can. */
export function textSql(text: string): string {
  const parts = text.split('\0').map((part) => `'${part.replaceAll("'", "''")}'`);
  return parts.length === 1 ? parts[0]! : `(${parts.join(' || chr(0) || ')})`;
}

/** A constant of exactly `type`. */
export function literalSql(value: LiteralValue, type: LogicalType): string {
  if (value === null) return `CAST(NULL AS ${sqlType(type)})`;
  switch (type.kind) {
    case 'bool':
      return value ? 'TRUE' : 'FALSE';
    case 'utf8':
      return textSql(String(value));
    case 'opaque':
      return ofText(textSql(String(value)), type.sql);
    case 'float32':
    case 'float64':
      return `CAST('${floatText(Number(value))}' AS ${sqlType(type)})`;
    case 'decimal':
      return `CAST('${decimalText(BigInt(value), type.scale)}' AS ${sqlType(type)})`;
    case 'date':
      return `(DATE '1970-01-01' + CAST(${String(value)} AS INTEGER))`;
    case 'timestamp':
      return `${type.utc ? 'make_timestamptz' : 'make_timestamp'}(CAST(${String(value)} AS BIGINT))`;
    case 'int8':
    case 'int16':
    case 'int32':
    case 'int64':
    case 'uint8':
    case 'uint16':
    case 'uint32':
      return `CAST(${String(value)} AS ${sqlType(type)})`;
    default:
      return type satisfies never;
  }
}

function floatText(v: number): string {
  if (Number.isNaN(v)) return 'nan';
  if (!Number.isFinite(v)) return v < 0 ? '-inf' : 'inf';
  return Object.is(v, -0) ? '-0.0' : String(v);
}

/** An unscaled decimal as digits with a point. */
export function decimalText(unscaled: bigint, scale: number): string {
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0');
  const sign = unscaled < 0n ? '-' : '';
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}
