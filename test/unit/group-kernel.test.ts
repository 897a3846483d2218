import { describe, expect, it } from 'vitest';
import type { Expr } from '../../pushdown/expr/expr.js';
import type { Aggregate, PlanOp } from '../../pushdown/plan/plan.js';
import { runReference } from '../../pushdown/reference/run.js';
import type { Value } from '../../pushdown/reference/value.js';
import type { Column } from '../../pushdown/types/schema.js';
import { type Data, dataOf } from '../differential/data.js';
import { KernelExecutor } from '../differential/kernels.js';
import { Random } from '../differential/random.js';

const column = (name: string): Expr => ({ kind: 'column', name });
const aggregates: Aggregate[] = [
  { name: 'n', fn: 'count' },
  { name: 's', fn: 'sum', arg: column('v') },
  { name: 'f', fn: 'sum', arg: column('x') },
  { name: 'a', fn: 'avg', arg: column('v') },
  { name: 'lo', fn: 'min', arg: column('t') },
  { name: 'hi', fn: 'max', arg: column('x') },
];

/** Three row groups of 20,000 rows: more groups than one batch holds, tables that grow several times. */
function manyGroups(): Data {
  const random = new Random(5);
  const columns: Column[] = [
    { name: 'k', type: { kind: 'int64' }, physical: 'i64', nullable: true },
    { name: 't', type: { kind: 'utf8' }, physical: 'utf8', nullable: true },
    { name: 'v', type: { kind: 'int64' }, physical: 'i64', nullable: false },
    { name: 'x', type: { kind: 'float64' }, physical: 'f64', nullable: true },
  ];
  const rows = (n: number): Value[][] =>
    Array.from({ length: n }, () => {
      const k = BigInt(random.int(0, 45_000)) * 0x1234_5678_9abn;
      return [random.chance(0.01) ? null : k, random.chance(0.01) ? null : `key ${random.int(0, 45_000)}`, random.big(-(2n ** 63n), 2n ** 63n - 1n), random.chance(0.1) ? null : random.u32() / 7];
    });
  return dataOf(columns, [rows(20_000), rows(20_000), rows(20_000)]);
}

describe('kernels over more groups than fit one batch', () => {
  const data = manyGroups();
  const agrees = async (ops: readonly PlanOp[]) => {
    const plan = { dataset: 't', ops };
    const kernels = new KernelExecutor(new Random(1));
    const actual = await kernels.run(plan, data);
    const expected = runReference(plan, data.schema, data.rowGroups);
    expect(kernels.counts.whole).toBe(1);
    expect(actual.rows.length).toBe(expected.rows.length);
    for (const [i, row] of expected.rows.entries()) if (!row.every((v, c) => Object.is(v, actual.rows[i]?.[c]))) expect(actual.rows[i]).toEqual(row);
  };
  it('by an integer', () => agrees([{ kind: 'aggregate', groupBy: [{ name: 'k', expr: column('k') }], aggregates }]));
  it('by a text', () => agrees([{ kind: 'aggregate', groupBy: [{ name: 't', expr: column('t') }], aggregates }]));
  it('by both, without functions', () => agrees([{ kind: 'aggregate', groupBy: [{ name: 't', expr: column('t') }, { name: 'k', expr: column('k') }], aggregates: [] }]));
  it('top 30,000 by text, then integer', () =>
    agrees([{ kind: 'topK', k: 30_000, orderBy: [{ expr: column('t'), descending: true, nullsFirst: false }, { expr: column('k'), descending: false, nullsFirst: true }] }]));
});
