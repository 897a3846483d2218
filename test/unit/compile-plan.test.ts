import { describe, expect, it } from 'vitest';
import type { Expr } from '../../pushdown/expr/expr.js';
import type { PlanOp } from '../../pushdown/plan/plan.js';
import type { DatasetSchema } from '../../pushdown/types/schema.js';
import { compilePlan } from '../../pushdown/wasm/compile-plan.js';

const dataset: DatasetSchema = {
  name: 't',
  rows: 1000,
  rowGroups: 10,
  rowGroupRowsMax: 100,
  columns: [
    { name: 'a', type: { kind: 'int32' }, physical: 'i32', nullable: false, min: 0n, max: 10n },
    { name: 'b', type: { kind: 'int64' }, physical: 'i64', nullable: true },
    { name: 'x', type: { kind: 'float64' }, physical: 'f64', nullable: false },
    { name: 't', type: { kind: 'utf8' }, physical: 'dict8', nullable: false, dictionary: ['p', 'q'], min: 0n, max: 1n },
  ],
};
const column = (name: string): Expr => ({ kind: 'column', name });
const int = (value: bigint): Expr => ({ kind: 'literal', value, type: { kind: 'int32' } });
const greater = (left: Expr, right: Expr): Expr => ({ kind: 'compare', op: 'gt', left, right });
/** Kernels compute in 64 bits. */
const unsupported: Expr = greater({ kind: 'cast', arg: column('b'), type: { kind: 'decimal', precision: 38, scale: 10 } }, int(5n));
const compile = (ops: readonly PlanOp[]) => compilePlan({ dataset: 't', ops }, dataset);
const read = (ops: readonly PlanOp[]) => compile(ops).scan.inputColumns.map((i) => dataset.columns[i]?.name).sort();

describe('compilePlan cuts where kernels end', () => {
  it('takes everything when it can', () => {
    const { rest, merge, output } = compile([
      { kind: 'filter', predicate: greater(column('a'), int(3n)) },
      { kind: 'aggregate', groupBy: [{ name: 'k', expr: column('t') }], aggregates: [{ name: 'n', fn: 'count' }] },
    ]);
    expect(rest).toEqual([]);
    expect(merge.kind).toBe('kernel');
    expect(output.map((c) => [c.name, c.physical])).toEqual([['k', 'dict8'], ['n', 'i64']]);
  });

  it('leaves an unsupported conjunct, and what is above it, to the host and still filters by the other', () => {
    const { rest, scan, decisions } = compile([
      { kind: 'filter', predicate: { kind: 'and', args: [unsupported, greater(column('a'), int(3n))] } },
      { kind: 'aggregate', groupBy: [], aggregates: [{ name: 's', fn: 'sum', arg: column('b') }] },
    ]);
    expect(rest.map((op) => op.kind)).toEqual(['filter', 'aggregate']);
    expect(scan.prune).toEqual(greater(column('a'), int(3n)));
    // Only what the host still needs travels.
    expect(scan.output.map((c) => c.name)).toEqual(['b']);
    expect(decisions.map((d) => d.support)).toEqual(['exact', 'unsupported', 'unsupported']);
    expect(decisions[1]?.reason).toContain('64 bits');
  });

  it('reads only columns the plan needs, and one to count rows', () => {
    expect(read([{ kind: 'project', columns: [{ name: 'y', expr: column('x') }] }])).toEqual(['x']);
    expect(read([{ kind: 'aggregate', groupBy: [], aggregates: [{ name: 'n', fn: 'count' }] }])).toEqual(['t']);
    expect(read([{ kind: 'filter', predicate: greater(column('a'), int(1n)) }, { kind: 'aggregate', groupBy: [], aggregates: [{ name: 'n', fn: 'count' }] }])).toEqual(['a']);
  });

  it('sends sort keys that the result does not show along, and drops them in the merge', () => {
    const { scan, output } = compile([
      { kind: 'project', columns: [{ name: 'y', expr: column('x') }, { name: 'z', expr: { kind: 'negate', arg: column('a') } }] },
      { kind: 'topK', k: 5, orderBy: [{ expr: column('z'), descending: true, nullsFirst: false }, { expr: column('y'), descending: false, nullsFirst: false }] },
    ]);
    expect(scan.output.length).toBe(3);
    expect(output.map((c) => c.name)).toEqual(['y', 'z']);
  });

  it('stops a limit early and cuts it once more where morsels meet', () => {
    const { scan, merge } = compile([{ kind: 'limit', count: 7, offset: 2 }]);
    expect(scan.limitRows).toBe(9);
    expect(merge).toEqual({ kind: 'concat', offset: 2, limit: 7 });
  });

  it('does not follow projections that double an expression forever', () => {
    const doubling = (i: number): PlanOp => ({ kind: 'project', columns: [{ name: `d${i + 1}`, expr: { kind: 'arith', op: 'mul', left: column(i === 0 ? 'x' : `d${i}`), right: column(i === 0 ? 'x' : `d${i}`) } }] });
    const { rest } = compile(Array.from({ length: 60 }, (_, i) => doubling(i)));
    expect(rest.length).toBeGreaterThan(40);
  });

  it('names what is wrong with a plan', () => {
    expect(() => compile([{ kind: 'filter', predicate: column('nope') }])).toThrow(expect.objectContaining({ code: 'MR_PLAN_UNKNOWN_COLUMN' }));
  });
});
