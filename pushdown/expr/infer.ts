import { MillraceError } from '../types/error.js';
import type { LogicalType } from '../types/logical.js';
import type { Column, Schema } from '../types/schema.js';
import { asDecimal, commonType, decimalPrecisionMax, decimalPrecisionMaxI64, integerArithmeticType, isInteger, isNumeric, isUnsigned, sameType } from './common-type.js';
import type { ArithOp, Expr } from './expr.js';

const bool: LogicalType = { kind: 'bool' };
const float64: LogicalType = { kind: 'float64' };

/**
 * The logical type of `expr` over rows of `schema`, exactly as DuckDB 1.5 types it.
 * @throws MillraceError MR_PLAN_UNKNOWN_COLUMN (field: the column), MR_PLAN_TYPE (operands no operator takes)
 */
export function inferType(expr: Expr, schema: Schema): LogicalType {
  const of = (e: Expr) => inferType(e, schema);
  switch (expr.kind) {
    case 'column':
      return computable(expr.name, findColumn(expr.name, schema).type);
    case 'literal':
      return expr.type;
    case 'compare':
      comparable(of(expr.left), of(expr.right), expr.op);
      return bool;
    case 'and':
    case 'or':
      for (const arg of expr.args) mustBeBool(of(arg), expr.kind);
      return bool;
    case 'not':
      mustBeBool(of(expr.arg), 'not');
      return bool;
    case 'isNull':
      of(expr.arg);
      return bool;
    case 'between': {
      const arg = of(expr.arg);
      const low = comparable(arg, of(expr.low), 'between');
      comparable(low, of(expr.high), 'between');
      return bool;
    }
    case 'in': {
      let type = of(expr.arg);
      for (const value of expr.values) {
        if (value.kind !== 'literal') throw typeError('in takes literals only');
        type = comparable(type, value.type, 'in');
      }
      return bool;
    }
    case 'like':
      if (of(expr.arg).kind !== 'utf8') throw typeError(`like needs utf8, not ${typeName(of(expr.arg))}`);
      return bool;
    case 'arith':
      return arithType(expr.op, of(expr.left), of(expr.right));
    case 'negate': {
      const t = of(expr.arg);
      // DuckDB lets -(1::UTINYINT) wrap to 255: refused rather than copied.
      if (!isNumeric(t) || isUnsigned(t)) throw typeError(`negate needs a signed number, not ${typeName(t)}`);
      return t;
    }
    case 'cast':
      if (!castable(of(expr.arg), expr.type)) throw typeError(`cannot cast ${typeName(of(expr.arg))} to ${typeName(expr.type)}`);
      return expr.type;
    case 'coalesce': {
      const [first, ...others] = expr.args;
      if (!first) throw typeError('coalesce needs an argument');
      return others.reduce((t, e) => comparable(t, of(e), 'coalesce'), of(first));
    }
    case 'log1p':
      mustBeNumeric(of(expr.arg), 'log1p');
      return float64;
    case 'clamp': {
      const t = of(expr.arg);
      mustBeNumeric(t, 'clamp');
      for (const bound of [expr.low, expr.high])
        if (!sameType(comparable(t, of(bound), 'clamp'), t)) throw typeError(`clamp bounds must fit ${typeName(t)}, not ${typeName(of(bound))}: cast the argument`);
      return t;
    }
    case 'bucketize':
      mustBeNumeric(of(expr.arg), 'bucketize');
      if (expr.boundaries.some((b, i) => Number.isNaN(b) || (i > 0 && b <= expr.boundaries[i - 1]!))) throw typeError('bucketize needs strictly ascending boundaries');
      return { kind: 'int32' };
    case 'call':
      return callType(expr, expr.args.map(of));
    default:
      return expr satisfies never;
  }
}

/** Arguments are cast to what the function takes. */
function callType({ name, target }: Extract<Expr, { kind: 'call' }>, args: readonly LogicalType[]): LogicalType {
  if (!target) throw new MillraceError('MR_FUNCTION_NOT_FOUND', `the function ${name} is not known here`, { field: name, httpStatus: 404 });
  const wanted = `${name}(${target.params.map(typeName).join(', ')})`;
  if (args.length !== target.params.length) throw typeError(`${wanted} takes ${target.params.length} arguments, not ${args.length}`);
  target.params.forEach((param, i) => {
    if (!castable(args[i]!, param)) throw typeError(`argument ${i + 1} of ${wanted} cannot be made of ${typeName(args[i]!)}`);
  });
  return target.result;
}

/** Whether `expr` can be NULL for some row: false is a promise, true is not. */
export function inferNullable(expr: Expr, schema: Schema): boolean {
  const of = (e: Expr) => inferNullable(e, schema);
  switch (expr.kind) {
    case 'column':
      return findColumn(expr.name, schema).nullable;
    case 'literal':
      return expr.value === null;
    case 'isNull':
      return false;
    case 'compare':
      return of(expr.left) || of(expr.right);
    case 'arith':
      return of(expr.left) || of(expr.right) || moduloMayBeNull(expr.op, expr.right, inferType(expr, schema));
    case 'and':
    case 'or':
    case 'call':
      return expr.args.some(of);
    case 'coalesce':
      return expr.args.every(of);
    case 'between':
    case 'clamp':
      return of(expr.arg) || of(expr.low) || of(expr.high);
    case 'in':
      return of(expr.arg) || expr.values.some(of);
    case 'not':
    case 'like':
    case 'negate':
    case 'cast':
    case 'log1p':
    case 'bucketize':
      return of(expr.arg);
    default:
      return expr satisfies never;
  }
}

/** Exact x % 0 is NULL; float is NaN. */
function moduloMayBeNull(op: ArithOp, right: Expr, type: LogicalType): boolean {
  if (op !== 'mod' || type.kind === 'float32' || type.kind === 'float64') return false;
  return !(right.kind === 'literal' && right.value !== null && BigInt(right.value) !== 0n);
}

/** @throws MillraceError MR_PLAN_UNKNOWN_COLUMN */
export function findColumn(name: string, schema: Schema): Column {
  const found = schema.columns.find((c) => c.name === name);
  if (!found) throw new MillraceError('MR_PLAN_UNKNOWN_COLUMN', `no column "${name}" here; there are ${schema.columns.map((c) => `"${c.name}"`).join(', ') || 'none'}`, { field: name, httpStatus: 400 });
  return found;
}

/** The type of `left op right`, and with it the type both sides are brought to first. */
export function arithType(op: ArithOp, left: LogicalType, right: LogicalType): LogicalType {
  if (left.kind === 'date' || right.kind === 'date') return dateArithType(op, left, right);
  if (!isNumeric(left) || !isNumeric(right)) throw typeError(`${op} does not take ${typeName(left)} and ${typeName(right)}`);
  if (left.kind === 'float64' || right.kind === 'float64') return float64;
  if (left.kind === 'float32' || right.kind === 'float32') return { kind: 'float32' };
  if (op === 'div') return float64;
  if (isInteger(left) && isInteger(right)) return integerArithmeticType(left, right);
  const a = asDecimal(left);
  const b = asDecimal(right);
  if (!a || !b) throw typeError(`${op} does not take ${typeName(left)} and ${typeName(right)}`);
  const widest = Math.max(a.precision, b.precision);
  const whole = Math.max(a.precision - a.scale, b.precision - b.scale);
  const scale = op === 'mul' ? a.scale + b.scale : Math.max(a.scale, b.scale);
  if (op === 'mod') return whole + scale > decimalPrecisionMax ? float64 : { kind: 'decimal', precision: whole + scale, scale };
  if (scale > decimalPrecisionMax) throw typeError(`${typeName(left)} mul ${typeName(right)} has scale ${scale}, more than ${decimalPrecisionMax}: cast a side`);
  let precision = op === 'mul' ? a.precision + b.precision : Math.max(whole + scale, widest) + 1;
  // DuckDB stays in 64 bits and checks for overflow when both sides are 64-bit decimals.
  if (precision > decimalPrecisionMaxI64 && widest <= decimalPrecisionMaxI64 && (op !== 'mul' || scale < decimalPrecisionMaxI64)) precision = decimalPrecisionMaxI64;
  return { kind: 'decimal', precision: Math.min(precision, decimalPrecisionMax), scale };
}

const dayKinds = new Set(['int8', 'int16', 'int32', 'uint8', 'uint16']);

function dateArithType(op: ArithOp, left: LogicalType, right: LogicalType): LogicalType {
  if (op === 'sub' && left.kind === 'date' && right.kind === 'date') return { kind: 'int64' };
  const days = left.kind === 'date' ? right : left;
  if (dayKinds.has(days.kind) && (op === 'add' || (op === 'sub' && left.kind === 'date'))) return { kind: 'date' };
  throw typeError(`${op} does not take ${typeName(left)} and ${typeName(right)}`);
}

/** Whether CAST takes it, for every value or for some. */
export function castable(from: LogicalType, to: LogicalType): boolean {
  if (sameType(from, to)) return true;
  const number = (t: LogicalType) => isNumeric(t) || t.kind === 'bool';
  if (number(from) && number(to)) return true;
  const local = (t: LogicalType) => t.kind === 'timestamp' && !t.utc;
  return (from.kind === 'date' && local(to)) || (local(from) && to.kind === 'date');
}

function comparable(a: LogicalType, b: LogicalType, what: string): LogicalType {
  const t = commonType(a, b);
  if (!t) throw typeError(`${what} cannot compare ${typeName(a)} with ${typeName(b)}: cast a side`);
  return t;
}

function mustBeBool(t: LogicalType, what: string): void {
  if (t.kind !== 'bool') throw typeError(`${what} needs bool, not ${typeName(t)}`);
}

function mustBeNumeric(t: LogicalType, what: string): void {
  if (!isNumeric(t)) throw typeError(`${what} needs a number, not ${typeName(t)}`);
}

function computable(name: string, type: LogicalType): LogicalType {
  if (type.kind === 'opaque') throw typeError(`"${name}" is ${typeName(type)}: its values are stored and given out, and SQL on the host computes with them`);
  return type;
}

export function typeName(t: LogicalType): string {
  if (t.kind === 'decimal') return `decimal(${t.precision}, ${t.scale})`;
  if (t.kind === 'timestamp') return t.utc ? 'timestamp with time zone' : 'timestamp';
  return t.kind === 'opaque' ? t.sql : t.kind;
}

const typeError = (detail: string) => new MillraceError('MR_PLAN_TYPE', detail, { httpStatus: 400 });
