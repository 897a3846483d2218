import type { ArithOp, CompareOp, Expr } from '../../../pushdown/expr/expr.js';
import { arithType, castable } from '../../../pushdown/expr/infer.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import type { LogicalType } from '../../../pushdown/types/logical.js';
import { type BoundExpression, between, cast, comparison, conjunction, constant, operator, reference, scalarFunction } from './bound-plan.js';
import { constantValue } from './constant-value.js';
import { logicalOf, sameType } from './duck-type.js';
import { userFunctionCall } from './user-function.js';

/** An expression of the plan with the type DuckDB bound it to. */
export interface Typed {
  readonly expr: Expr;
  readonly type: LogicalType;
  /** Of a cast: its argument's type. */
  readonly from?: LogicalType;
}
/** What BOUND_REF #i means where the expression stands; undefined: not expressible. */
export type Input = readonly (Typed | undefined)[];

const bool: LogicalType = { kind: 'bool' };
const compareOps: Readonly<Record<string, CompareOp>> = {
  COMPARE_EQUAL: 'eq', COMPARE_NOTEQUAL: 'ne', COMPARE_LESSTHAN: 'lt', COMPARE_LESSTHANOREQUALTO: 'le', COMPARE_GREATERTHAN: 'gt', COMPARE_GREATERTHANOREQUALTO: 'ge',
};
const arithOps: Readonly<Record<string, ArithOp>> = { '+': 'add', '-': 'sub', '*': 'mul', '/': 'div', '%': 'mod' };

/**
 * A bound DuckDB expression as an expression of a plan; undefined unless it means exactly the same for every input. Types
 * come from the bound plan and are asserted operator by operator: DuckDB has already written every cast out.
 */
export function translateExpression(node: BoundExpression, input: Input): Typed | undefined {
  switch (node.expression_class) {
    case 'BOUND_REF': {
      const ref = reference.safeParse(node).data;
      const source = ref && input[ref.index];
      const type = ref && logicalOf(ref.return_type);
      return source && type && sameType(source.type, type) ? source : undefined;
    }
    case 'BOUND_CONSTANT': {
      const found = constant.safeParse(node).data;
      const typed = found && constantValue(found.value);
      return typed && { expr: { kind: 'literal', value: typed.value, type: typed.type }, type: typed.type };
    }
    case 'BOUND_COMPARISON': {
      const found = comparison.safeParse(node).data;
      const left = found && translateExpression(found.left, input);
      const right = found && translateExpression(found.right, input);
      return left && right ? compare(node.type, left, right) : undefined;
    }
    case 'BOUND_CONJUNCTION': {
      const found = conjunction.safeParse(node).data;
      const args = found && allOf(found.children, input);
      if (!args?.every((a) => a.type.kind === 'bool')) return undefined;
      const kind = node.type === 'CONJUNCTION_AND' ? 'and' : node.type === 'CONJUNCTION_OR' ? 'or' : undefined;
      return kind && { expr: { kind, args: args.map((a) => a.expr) }, type: bool };
    }
    case 'BOUND_BETWEEN': return range(node, input);
    case 'BOUND_OPERATOR': return operation(node, input);
    case 'BOUND_CAST': return conversion(node, input);
    case 'BOUND_FUNCTION': return userCall(node, input) ?? call(node, input);
    default: return undefined;
  }
}

/** `left op right`; also for filters of scans, which have the same kinds. */
export function compare(kind: string, left: Typed, right: Typed): Typed | undefined {
  if (!sameType(left.type, right.type)) return undefined;
  const op = Object.hasOwn(compareOps, kind) ? compareOps[kind] : undefined;
  if (op) return { expr: { kind: 'compare', op, left: left.expr, right: right.expr }, type: bool };
  if (kind !== 'COMPARE_DISTINCT_FROM' && kind !== 'COMPARE_NOT_DISTINCT_FROM') return undefined;
  if (right.expr.kind !== 'literal') return undefined;
  const distinct = kind === 'COMPARE_DISTINCT_FROM';
  const missing: Expr = { kind: 'isNull', arg: left.expr, negated: right.expr.value === null ? distinct : !distinct };
  if (right.expr.value === null) return { expr: missing, type: bool };
  const differs: Expr = { kind: 'compare', op: distinct ? 'ne' : 'eq', left: left.expr, right: right.expr };
  return { expr: { kind: distinct ? 'or' : 'and', args: [missing, differs] }, type: bool };
}

function allOf(nodes: readonly BoundExpression[], input: Input): Typed[] | undefined {
  const out: Typed[] = [];
  for (const node of nodes) {
    const typed = translateExpression(node, input);
    if (!typed) return undefined;
    out.push(typed);
  }
  return out;
}

function range(node: BoundExpression, input: Input): Typed | undefined {
  const found = between.safeParse(node).data;
  const parts = found && allOf([found.input, found.lower, found.upper], input);
  if (!parts) return undefined;
  const [arg, low, high] = parts as [Typed, Typed, Typed];
  if (!sameType(arg.type, low.type) || !sameType(arg.type, high.type)) return undefined;
  if (found.lower_inclusive && found.upper_inclusive) return { expr: { kind: 'between', arg: arg.expr, low: low.expr, high: high.expr }, type: bool };
  return {
    expr: { kind: 'and', args: [
      { kind: 'compare', op: found.lower_inclusive ? 'ge' : 'gt', left: arg.expr, right: low.expr },
      { kind: 'compare', op: found.upper_inclusive ? 'le' : 'lt', left: arg.expr, right: high.expr },
    ] },
    type: bool,
  };
}

function operation(node: BoundExpression, input: Input): Typed | undefined {
  const found = operator.safeParse(node).data;
  const args = found && allOf(found.children, input);
  const first = args?.[0];
  if (!found || !args || !first) return undefined;
  switch (node.type) {
    case 'OPERATOR_NOT': return args.length === 1 && first.type.kind === 'bool' ? { expr: { kind: 'not', arg: first.expr }, type: bool } : undefined;
    case 'OPERATOR_IS_NULL': case 'OPERATOR_IS_NOT_NULL':
      return args.length === 1 ? { expr: { kind: 'isNull', arg: first.expr, negated: node.type === 'OPERATOR_IS_NOT_NULL' }, type: bool } : undefined;
    case 'COMPARE_IN': case 'COMPARE_NOT_IN': return membership(first, args.slice(1), node.type === 'COMPARE_NOT_IN');
    case 'OPERATOR_COALESCE': return args.every((a) => sameType(a.type, first.type)) ? { expr: { kind: 'coalesce', args: args.map((a) => a.expr) }, type: first.type } : undefined;
    default: return undefined;
  }
}

export function membership(arg: Typed, values: readonly Typed[], negated: boolean): Typed | undefined {
  if (values.length === 0 || !values.every((v) => v.expr.kind === 'literal' && sameType(v.type, arg.type))) return undefined;
  return { expr: { kind: 'in', arg: arg.expr, values: values.map((v) => v.expr), negated }, type: bool };
}

function userCall(node: BoundExpression, input: Input): Typed | undefined {
  const found = userFunctionCall(node);
  // The call casts by itself, as DuckDB would: a cast to the argument's type may be left to it.
  const args = found?.args.map((arg, i) => translateExpression(arg, input) ?? uncast(arg, found.target.params[i], input)).filter((a) => a !== undefined);
  return found && args && args.length === found.args.length ? { expr: { kind: 'call', name: found.name, target: found.target, args: args.map((a) => a.expr) }, type: found.target.result } : undefined;
}

function uncast(node: BoundExpression, to: LogicalType | undefined, input: Input): Typed | undefined {
  const found = node.expression_class === 'BOUND_CAST' ? cast.safeParse(node).data : undefined;
  const arg = found && !found.try_cast ? translateExpression(found.child, input) : undefined;
  return arg && to && castable(arg.type, to) ? arg : undefined;
}

function conversion(node: BoundExpression, input: Input): Typed | undefined {
  const found = cast.safeParse(node).data;
  const type = found && logicalOf(found.return_type);
  const arg = found && translateExpression(found.child, input);
  if (!found || found.try_cast || !type || !arg) return undefined;
  // Where a truth value is wanted DuckDB asks whether a function's number is 0, as we do.
  const truth = type.kind === 'bool' && arg.expr.kind === 'call' && arg.type.kind !== 'utf8';
  if (!truth && !widens(arg.type, type)) return undefined;
  return { expr: { kind: 'cast', arg: arg.expr, type }, type, from: arg.type };
}

const integerBits: Readonly<Record<string, readonly [signed: boolean, bits: number]>> = {
  int8: [true, 8], int16: [true, 16], int32: [true, 32], int64: [true, 64], uint8: [false, 8], uint16: [false, 16], uint32: [false, 32],
};
const integerDigits: Readonly<Record<string, number>> = { int8: 3, int16: 5, int32: 10, int64: 19, uint8: 3, uint16: 5, uint32: 10 };

/** Casts that neither fail nor round in a way two engines could do differently. */
function widens(from: LogicalType, to: LogicalType): boolean {
  const source = integerBits[from.kind];
  const target = integerBits[to.kind];
  if (source && target) return source[0] === target[0] ? target[1] >= source[1] : target[0] && target[1] > source[1];
  if (source && to.kind === 'decimal') return to.precision - to.scale >= (integerDigits[from.kind] ?? Number.POSITIVE_INFINITY);
  if (from.kind === 'decimal' && to.kind === 'decimal') return to.scale >= from.scale && to.precision - to.scale >= from.precision - from.scale;
  if (to.kind === 'float64') return source !== undefined || from.kind === 'float32' || (from.kind === 'decimal' && from.precision <= 18);
  return from.kind === 'date' && to.kind === 'timestamp' && !to.utc;
}

function call(node: BoundExpression, input: Input): Typed | undefined {
  const found = scalarFunction.safeParse(node).data;
  const type = found && logicalOf(found.return_type);
  const args = found && allOf(found.children, input);
  if (!found || !type || !args) return undefined;
  const [first, second] = args;
  if (first && args.length === 1 && found.name === '-' && sameType(first.type, type)) return { expr: { kind: 'negate', arg: first.expr }, type };
  if (!first || !second || args.length !== 2) return undefined;
  const op = Object.hasOwn(arithOps, found.name) ? arithOps[found.name] : undefined;
  if (op) return arithmetic(op, first, second, type);
  return like(found.name, first, second);
}

function arithmetic(op: ArithOp, left: Typed, right: Typed, type: LogicalType): Typed | undefined {
  // Our typing rules must give DuckDB's type: the plan carries none of its own. DuckDB has already brought decimal operands
  // to the result's scale; the same values in their own types give the same result and the type the rules say.
  for (const l of spellings(left)) {
    for (const r of spellings(right)) {
      if (resultIs(op, l.type, r.type, type)) return { expr: { kind: 'arith', op, left: l.expr, right: r.expr }, type };
    }
  }
  return undefined;
}

function resultIs(op: ArithOp, left: LogicalType, right: LogicalType, type: LogicalType): boolean {
  try {
    return sameType(arithType(op, left, right), type);
  } catch (error) {
    if (error instanceof MillraceError) return false;
    throw error;
  }
}

/** The operand as bound, and the same value without a widening to decimal. */
function spellings(arg: Typed): Typed[] {
  if (arg.type.kind !== 'decimal') return [arg];
  if (arg.expr.kind === 'literal' && typeof arg.expr.value === 'bigint') return [arg, ...shorter(arg.expr.value, arg.type.scale)];
  return arg.expr.kind === 'cast' && arg.from ? [arg, { expr: arg.expr.arg, type: arg.from }] : [arg];
}

/** A decimal constant with fewer trailing zeros, shortest last. */
function shorter(unscaled: bigint, scale: number): Typed[] {
  const out: Typed[] = [];
  for (let value = unscaled, s = scale; s >= 0; value /= 10n, s--) {
    const precision = Math.max((value < 0n ? -value : value).toString().length, s, 1);
    const type: LogicalType = { kind: 'decimal', precision, scale: s };
    out.push({ expr: { kind: 'literal', value, type }, type });
    if (value % 10n !== 0n) break;
  }
  return out;
}

const likeOf: Readonly<Record<string, (text: string) => string>> = { contains: (t) => `%${t}%`, prefix: (t) => `${t}%`, suffix: (t) => `%${t}` };

/** LIKE and what DuckDB rewrites it to. */
function like(name: string, arg: Typed, pattern: Typed): Typed | undefined {
  if (arg.type.kind !== 'utf8' || pattern.expr.kind !== 'literal' || typeof pattern.expr.value !== 'string') return undefined;
  const text = pattern.expr.value;
  if (name === '~~' || name === '!~~') return { expr: { kind: 'like', arg: arg.expr, pattern: text, negated: name === '!~~' }, type: bool };
  const make = Object.hasOwn(likeOf, name) ? likeOf[name] : undefined;
  return make && !/[%_]/.test(text) ? { expr: { kind: 'like', arg: arg.expr, pattern: make(text), negated: false }, type: bool } : undefined;
}
