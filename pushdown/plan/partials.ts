import type { Expr } from '../expr/expr.js';
import { inferNullable } from '../expr/infer.js';
import type { Schema } from '../types/schema.js';
import type { Aggregate } from './plan.js';

/**
 * What a kernel keeps per group (or for all rows) and sends per morsel, behind the group's keys and in this order. No partial
 * is ever NULL: a sum, min or max over no value is 0 (or the empty text) and its count says so.
 * Physical types: rows and count i64; sum f64 of floats, otherwise i64 or i128 as `sumPhysical` says; min and max as their argument.
 */
export interface Partial {
  /** rows: all rows that passed. count: those whose argument is not NULL. */
  readonly kind: 'rows' | 'count' | 'sum' | 'min' | 'max';
  /** Absent for rows only. */
  readonly arg?: Expr;
}

/** How an aggregate of the plan comes out of the partials. */
export interface Final {
  readonly fn: Aggregate['fn'];
  /** Index of the sum, min or max; absent for count. */
  readonly value?: number;
  /** Index of the count or rows that divides avg, that is the result of count, and that decides whether the result is NULL. */
  readonly count: number;
}

export interface Partials {
  /** The first is always `rows`. Equal ones are kept once. */
  readonly partials: readonly Partial[];
  /** One per aggregate. */
  readonly finals: readonly Final[];
}

export function partialsOf(aggregates: readonly Aggregate[], input: Schema): Partials {
  const partials: Partial[] = [{ kind: 'rows' }];
  const keys = ['rows'];
  const indexOf = (kind: Partial['kind'], arg: Expr): number => {
    const key = `${kind} ${exprKey(arg)}`;
    const known = keys.indexOf(key);
    if (known >= 0) return known;
    keys.push(key);
    return partials.push({ kind, arg }) - 1;
  };
  const finals = aggregates.map(({ fn, arg }): Final => {
    if (!arg) return { fn, count: 0 };
    const count = inferNullable(arg, input) ? indexOf('count', arg) : 0;
    if (fn === 'count') return { fn, count };
    return { fn, count, value: indexOf(fn === 'avg' ? 'sum' : fn, arg) };
  });
  return { partials, finals };
}

/** Equal for equal expressions. */
export const exprKey = (expr: Expr): string =>
  JSON.stringify(expr, (_, v: unknown) => (typeof v === 'bigint' ? `${v}n` : typeof v === 'number' && (!Number.isFinite(v) || Object.is(v, -0)) ? `#${Object.is(v, -0) ? '-0' : v}` : v));

/** i64 if `rows` values of these bounds cannot leave it, otherwise i128. */
export function sumPhysical(bounds: { readonly min: bigint; readonly max: bigint }, rows: number): 'i64' | 'i128' {
  const magnitude = -bounds.min > bounds.max ? -bounds.min : bounds.max;
  return magnitude * BigInt(rows) < 1n << 63n ? 'i64' : 'i128';
}
