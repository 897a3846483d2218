import type { Expr } from '../expr/expr.js';
import { Unsupported } from './unsupported.js';

/** Nodes one expression of a kernel may have: projections put into each other can double it with every step. */
export const exprNodesMax = 4096;

const sizes = new WeakMap<Expr, number>();

/** @throws Unsupported beyond exprNodesMax. Shared parts are counted each time but walked once. */
export function checkSize(expr: Expr): void {
  if (sizeOf(expr) > exprNodesMax) throw new Unsupported(`an expression of more than ${exprNodesMax} parts`);
}

function sizeOf(expr: Expr): number {
  const known = sizes.get(expr);
  if (known !== undefined) return known;
  const size = childrenOf(expr).reduce((sum, child) => sum + sizeOf(child), 1);
  sizes.set(expr, size);
  return size;
}

function childrenOf(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case 'column':
    case 'literal':
      return [];
    case 'compare':
    case 'arith':
      return [expr.left, expr.right];
    case 'and':
    case 'or':
    case 'coalesce':
    case 'call':
      return expr.args;
    case 'between':
    case 'clamp':
      return [expr.arg, expr.low, expr.high];
    case 'in':
      // Literals become a table, not code.
      return [expr.arg];
    case 'not':
    case 'isNull':
    case 'like':
    case 'negate':
    case 'cast':
    case 'log1p':
    case 'bucketize':
      return [expr.arg];
    default:
      return expr satisfies never;
  }
}
