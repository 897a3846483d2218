import { MillraceError } from '../types/error.js';
import { commonType, isFloat } from '../expr/common-type.js';
import type { ArithOp, CompareOp, Expr } from '../expr/expr.js';
import { arithType, inferType } from '../expr/infer.js';
import { invariant } from '../types/error.js';
import type { LogicalType } from '../types/logical.js';
import type { Schema } from '../types/schema.js';
import { log1p } from '../wasm/log1p.js';
import { castValue, mustFit, rescale } from './cast.js';
import { likeMatcher } from './like.js';
import { type Value, compareValues } from './value.js';

/** One row's values, in the schema's order. */
export type Row = readonly Value[];
export type Evaluate = (row: Row) => Value;

/**
 * `expr` as a function of a row: SQL three-valued logic, value by value, nothing clever.
 * @throws MillraceError MR_ARITHMETIC_OVERFLOW when called on a row whose exact result does not fit
 */
export function evaluator(expr: Expr, schema: Schema): Evaluate {
  const of = (e: Expr) => evaluator(e, schema);
  const typeOf = (e: Expr) => inferType(e, schema);
  const castTo = (e: Expr, to: LogicalType): Evaluate => {
    const value = of(e);
    const from = typeOf(e);
    return (row) => castValue(value(row), from, to);
  };
  switch (expr.kind) {
    case 'column': {
      const index = schema.columns.findIndex((c) => c.name === expr.name);
      return (row) => row[index]!;
    }
    case 'literal':
      return () => expr.value;
    case 'compare': {
      const type = mustCompare([typeOf(expr.left), typeOf(expr.right)]);
      const left = castTo(expr.left, type);
      const right = castTo(expr.right, type);
      return (row) => compareNullable(expr.op, left(row), right(row));
    }
    case 'and': {
      const args = expr.args.map(of);
      return (row) => args.reduce<Value>((all, arg) => and(all, () => arg(row)), true);
    }
    case 'or': {
      const args = expr.args.map(of);
      return (row) => not(args.reduce<Value>((none, arg) => and(none, () => not(arg(row))), true));
    }
    case 'not': {
      const arg = of(expr.arg);
      return (row) => not(arg(row));
    }
    case 'isNull': {
      const arg = of(expr.arg);
      return (row) => (arg(row) === null) !== expr.negated;
    }
    case 'between': {
      const type = mustCompare([typeOf(expr.arg), typeOf(expr.low), typeOf(expr.high)]);
      const [arg, low, high] = [castTo(expr.arg, type), castTo(expr.low, type), castTo(expr.high, type)];
      return (row) => {
        const v = arg(row);
        return and(compareNullable('ge', v, low(row)), () => compareNullable('le', v, high(row)));
      };
    }
    case 'in': {
      const type = mustCompare([typeOf(expr.arg), ...expr.values.map(typeOf)]);
      const arg = castTo(expr.arg, type);
      const values = expr.values.map((v) => castTo(v, type));
      return (row) => {
        const v = arg(row);
        const none = values.reduce<Value>((n, value) => and(n, () => not(compareNullable('eq', v, value(row)))), true);
        return expr.negated ? none : not(none);
      };
    }
    case 'like': {
      const arg = of(expr.arg);
      const matches = likeMatcher(expr.pattern);
      return (row) => {
        const v = arg(row);
        return v === null ? null : matches(String(v)) !== expr.negated;
      };
    }
    case 'arith':
      return arithmetic(expr.op, expr.left, expr.right, schema);
    case 'negate': {
      const arg = of(expr.arg);
      const type = typeOf(expr.arg);
      return (row) => {
        const v = arg(row);
        return v === null ? null : typeof v === 'number' ? -v : mustFit(-BigInt(v), type);
      };
    }
    case 'cast':
      return castTo(expr.arg, expr.type);
    case 'coalesce': {
      const type = typeOf(expr);
      const args = expr.args.map((a) => castTo(a, type));
      return (row) => {
        for (const arg of args) {
          const v = arg(row);
          if (v !== null) return v;
        }
        return null;
      };
    }
    case 'log1p': {
      const arg = castTo(expr.arg, { kind: 'float64' });
      return (row) => {
        const v = arg(row);
        return v === null ? null : log1p(Number(v));
      };
    }
    case 'clamp': {
      const type = typeOf(expr.arg);
      const [arg, low, high] = [of(expr.arg), castTo(expr.low, type), castTo(expr.high, type)];
      return (row) => {
        const [v, l, h] = [arg(row), low(row), high(row)];
        if (v === null || l === null || h === null) return null;
        const raised = compareValues(v, l) < 0 ? l : v;
        return compareValues(raised, h) > 0 ? h : raised;
      };
    }
    case 'bucketize': {
      const arg = castTo(expr.arg, { kind: 'float64' });
      return (row) => {
        const v = arg(row);
        return v === null ? null : BigInt(expr.boundaries.filter((b) => compareValues(b, v) <= 0).length);
      };
    }
    case 'call':
      // What the function does is in its module: kernels run it.
      throw new MillraceError('MR_PLAN_UNSUPPORTED', `the function ${expr.name} runs in kernels only`, { httpStatus: 422 });
    default:
      return expr satisfies never;
  }
}

/** NULL AND FALSE is FALSE; the second side is not looked at when the first decides. */
function and(a: Value, other: () => Value): Value {
  if (a === false) return false;
  const b = other();
  if (b === false) return false;
  return a === null || b === null ? null : true;
}

const not = (v: Value): Value => (v === null ? null : !v);

function compareNullable(op: CompareOp, a: Value, b: Value): Value {
  if (a === null || b === null) return null;
  const order = compareValues(a, b);
  switch (op) {
    case 'eq':
      return order === 0;
    case 'ne':
      return order !== 0;
    case 'lt':
      return order < 0;
    case 'le':
      return order <= 0;
    case 'gt':
      return order > 0;
    case 'ge':
      return order >= 0;
    default:
      return op satisfies never;
  }
}

function mustCompare(types: readonly LogicalType[]): LogicalType {
  return types.reduce((a, b) => {
    const t = commonType(a, b);
    invariant(t, 'inferType accepted the operands');
    return t;
  });
}

function arithmetic(op: ArithOp, leftExpr: Expr, rightExpr: Expr, schema: Schema): Evaluate {
  const [left, right] = [evaluator(leftExpr, schema), evaluator(rightExpr, schema)];
  const [leftType, rightType] = [inferType(leftExpr, schema), inferType(rightExpr, schema)];
  const type = arithType(op, leftType, rightType);
  const pair = (compute: (a: Value, b: Value) => Value): Evaluate => (row) => {
    const [a, b] = [left(row), right(row)];
    return a === null || b === null ? null : compute(a, b);
  };
  if (isFloat(type)) {
    const round = type.kind === 'float32' ? Math.fround : (v: number) => v;
    return pair((a, b) => round(floatArith(op, Number(castValue(a, leftType, type)), Number(castValue(b, rightType, type)))));
  }
  const exact = (v: Value): bigint => {
    invariant(typeof v === 'bigint', 'exact arithmetic has exact operands');
    return v;
  };
  if (leftType.kind === 'date' || rightType.kind === 'date') return pair((a, b) => mustFit(op === 'add' ? exact(a) + exact(b) : exact(a) - exact(b), type));
  const scale = type.kind === 'decimal' ? type.scale : 0;
  const scaleOf = (t: LogicalType) => (t.kind === 'decimal' ? t.scale : 0);
  // Products keep their sides' scales, everything else is brought to one scale first.
  const widen = (v: Value, t: LogicalType) => (op === 'mul' && type.kind === 'decimal' ? exact(v) : mustFit(rescale(exact(v), scaleOf(t), scale), type));
  return pair((a, b) => {
    const [x, y] = [widen(a, leftType), widen(b, rightType)];
    if (op === 'mod') return y === 0n ? null : mustFit(x % y, type);
    return mustFit(op === 'add' ? x + y : op === 'sub' ? x - y : x * y, type);
  });
}

function floatArith(op: ArithOp, a: number, b: number): number {
  switch (op) {
    case 'add':
      return a + b;
    case 'sub':
      return a - b;
    case 'mul':
      return a * b;
    case 'div':
      return a / b;
    case 'mod':
      return a % b;
    default:
      return op satisfies never;
  }
}
