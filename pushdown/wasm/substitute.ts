import type { Expr } from '../expr/expr.js';
import { invariant } from '../types/error.js';

/** `expr` with every column replaced by the expression of that name. Columns that have none stay. */
export function substitute(expr: Expr, named: ReadonlyMap<string, Expr>): Expr {
  const of = (e: Expr) => substitute(e, named);
  switch (expr.kind) {
    case 'column':
      return named.get(expr.name) ?? expr;
    case 'literal':
      return expr;
    case 'compare':
    case 'arith':
      return { ...expr, left: of(expr.left), right: of(expr.right) };
    case 'and':
    case 'or':
    case 'coalesce':
    case 'call':
      return { ...expr, args: expr.args.map(of) };
    case 'between':
    case 'clamp':
      return { ...expr, arg: of(expr.arg), low: of(expr.low), high: of(expr.high) };
    case 'in':
    case 'not':
    case 'isNull':
    case 'like':
    case 'negate':
    case 'cast':
    case 'log1p':
    case 'bucketize':
      return { ...expr, arg: of(expr.arg) };
    default:
      invariant(expr satisfies never, 'every expression is known');
      return expr;
  }
}
