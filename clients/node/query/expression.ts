import type { ArithOp, CompareOp, Expr } from '../../../pushdown/expr/expr.js';
import type { OrderBy } from '../../../pushdown/plan/plan.js';
import type { LogicalType } from '../../../pushdown/types/logical.js';
import { type Literal, literal } from './literal.js';

/** What the fluent methods take: another expression, a bare syntax tree or a JavaScript value. */
export type Operand = Expression | Expr | Literal;

type CastType = LogicalType | Exclude<LogicalType['kind'], 'opaque'>;

/** A scalar expression under construction; immutable, SQL semantics (pushdown/expr/expr.ts). */
export class Expression {
  constructor(readonly node: Expr) {
    Object.freeze(this);
  }

  eq(other: Operand): Expression { return this.#compare('eq', other); }
  ne(other: Operand): Expression { return this.#compare('ne', other); }
  lt(other: Operand): Expression { return this.#compare('lt', other); }
  le(other: Operand): Expression { return this.#compare('le', other); }
  gt(other: Operand): Expression { return this.#compare('gt', other); }
  ge(other: Operand): Expression { return this.#compare('ge', other); }
  /** low <= this <= high. */
  between(low: Operand, high: Operand): Expression { return new Expression({ kind: 'between', arg: this.node, low: toExpr(low), high: toExpr(high) }); }
  in(values: readonly Literal[]): Expression { return new Expression({ kind: 'in', arg: this.node, values: values.map(literal), negated: false }); }
  notIn(values: readonly Literal[]): Expression { return new Expression({ kind: 'in', arg: this.node, values: values.map(literal), negated: true }); }
  /** SQL LIKE: % any run, _ one character, no escape. */
  like(pattern: string): Expression { return new Expression({ kind: 'like', arg: this.node, pattern, negated: false }); }
  notLike(pattern: string): Expression { return new Expression({ kind: 'like', arg: this.node, pattern, negated: true }); }
  isNull(): Expression { return new Expression({ kind: 'isNull', arg: this.node, negated: false }); }
  isNotNull(): Expression { return new Expression({ kind: 'isNull', arg: this.node, negated: true }); }

  and(...others: Operand[]): Expression { return new Expression({ kind: 'and', args: [this.node, ...others.map(toExpr)] }); }
  or(...others: Operand[]): Expression { return new Expression({ kind: 'or', args: [this.node, ...others.map(toExpr)] }); }
  not(): Expression { return new Expression({ kind: 'not', arg: this.node }); }

  add(other: Operand): Expression { return this.#arith('add', other); }
  sub(other: Operand): Expression { return this.#arith('sub', other); }
  mul(other: Operand): Expression { return this.#arith('mul', other); }
  div(other: Operand): Expression { return this.#arith('div', other); }
  mod(other: Operand): Expression { return this.#arith('mod', other); }
  negate(): Expression { return new Expression({ kind: 'negate', arg: this.node }); }
  cast(type: CastType): Expression { return new Expression({ kind: 'cast', arg: this.node, type: toType(type) }); }

  /** ML: the value where it is there, otherwise `value`. */
  fill(value: Operand): Expression { return new Expression({ kind: 'coalesce', args: [this.node, toExpr(value)] }); }
  /** ML: min(max(this, low), high). */
  clamp(low: Operand, high: Operand): Expression { return new Expression({ kind: 'clamp', arg: this.node, low: toExpr(low), high: toExpr(high) }); }
  /** ML: ln(1 + this), float64. */
  log1p(): Expression { return new Expression({ kind: 'log1p', arg: this.node }); }
  /** ML: how many of the ascending boundaries are <= this, int32. */
  bucketize(boundaries: readonly number[]): Expression { return new Expression({ kind: 'bucketize', arg: this.node, boundaries: [...boundaries] }); }

  /** Sort keys for topK. NULLs last unless said otherwise, as DuckDB. */
  asc(options: { nullsFirst?: boolean } = {}): OrderBy { return { expr: this.node, descending: false, nullsFirst: options.nullsFirst ?? false }; }
  desc(options: { nullsFirst?: boolean } = {}): OrderBy { return { expr: this.node, descending: true, nullsFirst: options.nullsFirst ?? false }; }

  #compare(op: CompareOp, other: Operand): Expression { return new Expression({ kind: 'compare', op, left: this.node, right: toExpr(other) }); }
  #arith(op: ArithOp, other: Operand): Expression { return new Expression({ kind: 'arith', op, left: this.node, right: toExpr(other) }); }
}

/** A column of the input. */
export const col = (name: string): Expression => new Expression({ kind: 'column', name });
/** A constant, typed like the SQL literal it prints as; or of `type` (value then as pushdown/expr LiteralValue). */
export const lit = (value: Literal | Expr): Expression => new Expression(toExpr(value));
/** A user's scalar function, `kernel` or `kernel.function`, over these arguments: NULL where one of them is (docs/kernels.md). */
export const udf = (name: string, ...args: Operand[]): Expression => new Expression({ kind: 'call', name, args: args.map(toExpr) });
export const coalesce = (...args: Operand[]): Expression => new Expression({ kind: 'coalesce', args: args.map(toExpr) });

export function toExpr(operand: Operand): Expr {
  if (operand instanceof Expression) return operand.node;
  if (typeof operand === 'object' && operand !== null && !(operand instanceof Date)) return operand;
  return literal(operand);
}

function toType(type: CastType): LogicalType {
  if (typeof type !== 'string') return type;
  switch (type) {
    case 'decimal':
      return { kind: 'decimal', precision: 18, scale: 3 };
    case 'timestamp':
      return { kind: 'timestamp', utc: false };
    default:
      return { kind: type };
  }
}
