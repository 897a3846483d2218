import type { Aggregate } from '../../../pushdown/plan/plan.js';
import { type Expression, col, toExpr } from './expression.js';

/** An aggregate before it is named (`agg({ name: sum('x') })`). */
export type AggregateCall = Omit<Aggregate, 'name'>;

const call = (fn: Aggregate['fn'], arg: string | Expression): AggregateCall => ({ fn, arg: toExpr(typeof arg === 'string' ? col(arg) : arg) });

/** Types as DuckDB: sum of an integer is HUGEINT (decimal(38,0)), of decimal(p,s) decimal(38,s), of a float float64. */
export const sum = (arg: string | Expression): AggregateCall => call('sum', arg);
export const min = (arg: string | Expression): AggregateCall => call('min', arg);
export const max = (arg: string | Expression): AggregateCall => call('max', arg);
/** float64. */
export const avg = (arg: string | Expression): AggregateCall => call('avg', arg);
/** Rows, or values that are not NULL. */
export const count = (arg?: string | Expression): AggregateCall => (arg === undefined ? { fn: 'count' } : call('count', arg));
