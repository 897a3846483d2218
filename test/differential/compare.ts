import { isFloat } from '../../pushdown/expr/common-type.js';
import { inferType } from '../../pushdown/expr/infer.js';
import type { Plan } from '../../pushdown/plan/plan.js';
import { evaluator } from '../../pushdown/reference/evaluate.js';
import { type Rows, runReference } from '../../pushdown/reference/run.js';
import type { Value } from '../../pushdown/reference/value.js';
import type { Schema } from '../../pushdown/types/schema.js';
import type { Data } from './data.js';

/** What differs between `expected` (the reference) and `actual`; undefined: nothing. */
export function difference(expected: Rows, actual: Rows, equal: (a: Value, b: Value, column: number) => boolean): string | undefined {
  const names = (r: Rows) => r.columns.map((c) => c.name).join();
  if (names(expected) !== names(actual)) return `columns ${names(expected)} against ${names(actual)}`;
  if (expected.rows.length !== actual.rows.length) return `${expected.rows.length} rows against ${actual.rows.length}`;
  for (const [i, row] of expected.rows.entries())
    for (const [c, v] of row.entries()) {
      const other = actual.rows[i]?.[c] as Value;
      if (!equal(v, other, c)) return `row ${i}, column ${expected.columns[c]?.name}: ${show(v)} against ${show(other)}`;
    }
  return undefined;
}

const show = (v: Value): string => (typeof v === 'string' ? JSON.stringify(v) : Object.is(v, -0) ? '-0' : `${String(v)}${typeof v === 'bigint' ? 'n' : ''}`);

export const sameBits = (a: Value, b: Value): boolean => Object.is(a, b);

/**
 * DESIGN.md's rule against DuckDB: exact types equal, -0 equal to 0, float sums and averages within n * 2^-52 of sum|x|
 * (nothing is promised once that is not finite), log1p to a few units in the last place.
 */
export function sqlEqual(plan: Plan, data: Data): (a: Value, b: Value, column: number) => boolean {
  const { byColumn } = tolerances(plan, data);
  return (a, b, column) => {
    if (a === b || Object.is(a, b)) return true;
    if (typeof a !== 'number' || typeof b !== 'number') return false;
    const tolerance = byColumn[column] ?? 0;
    if (tolerance === Infinity) return true;
    return Math.abs(a - b) <= tolerance + (usesLog1p(plan) ? 1e-13 * Math.abs(a) : 0);
  };
}

const usesLog1p = (plan: Plan): boolean => JSON.stringify(plan, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v)).includes('"log1p"');

/** Per output column: how far float aggregates may be apart; 0: not one. Operators above an aggregate only pass its floats on. */
function tolerances(plan: Plan, data: Data): { byColumn: number[] } {
  const at = plan.ops.findIndex((op) => op.kind === 'aggregate');
  const op = plan.ops[at];
  if (op?.kind !== 'aggregate') return { byColumn: [] };
  const below: Plan = { ...plan, ops: plan.ops.slice(0, at) };
  const input = runReference(below, data.schema, data.rowGroups);
  const schema: Schema = { columns: input.columns };
  const names = new Map<string, number>();
  for (const { name, fn, arg } of op.aggregates) {
    if (!arg || fn === 'count' || fn === 'min' || fn === 'max') continue;
    const type = inferType(arg, schema);
    if (fn === 'sum' && !isFloat(type)) continue;
    const value = evaluator(arg, schema);
    const scale = type.kind === 'decimal' ? 10 ** type.scale : 1;
    let sum = 0;
    for (const row of input.rows) {
      const v = value(row);
      if (v !== null) sum += Math.abs(Number(v)) / scale;
    }
    const bound = Math.max(2, input.rows.length) * 2 ** -52 * sum;
    names.set(name, Number.isFinite(bound) ? bound : Infinity);
  }
  return { byColumn: input.columns && planNames(plan, at).map((name) => names.get(name) ?? 0) };
}

/** Output column -> the aggregate it passes on, by name. */
function planNames(plan: Plan, aggregateAt: number): string[] {
  const op = plan.ops[aggregateAt];
  if (op?.kind !== 'aggregate') return [];
  return plan.ops.slice(aggregateAt + 1).reduce<string[]>(
    (names, next) => (next.kind === 'project' ? next.columns.map((c) => (c.expr.kind === 'column' ? c.expr.name : '')) : names),
    [...op.groupBy, ...op.aggregates].map((c) => c.name),
  );
}
