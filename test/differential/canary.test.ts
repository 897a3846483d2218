import { expect, it } from 'vitest';
import type { Plan } from '../../pushdown/plan/plan.js';
import { runReference } from '../../pushdown/reference/run.js';
import { disagreement } from './check.js';
import { randomData } from './data.js';
import type { Executor } from './executor.js';
import { randomPlan } from './random-plan.js';
import { Random } from './random.js';

/** An evaluator with one planted bug: the plan it runs is slightly another. */
const wrong = (name: string, change: (plan: Plan) => Plan): Executor => ({
  name,
  rule: 'bits',
  run: async (plan, data) => runReference(change(plan), data.schema, data.rowGroups),
});

const replacing = (from: string, to: string) => (plan: Plan): Plan =>
  JSON.parse(
    JSON.stringify(plan, (_, v: unknown) => (typeof v === 'bigint' ? { $int: String(v) } : Number.isNaN(v) ? { $nan: true } : v)).replaceAll(from, to),
    (_, v: unknown) => (typeof v === 'object' && v !== null && '$int' in v ? BigInt(String(v.$int)) : typeof v === 'object' && v !== null && '$nan' in v ? Number.NaN : v),
  ) as Plan;

const bugs: readonly Executor[] = [
  wrong('< is <=', replacing('"op":"lt"', '"op":"le"')),
  wrong('min is max', replacing('"fn":"min"', '"fn":"max"')),
  wrong('nulls first is nulls last', replacing('"nullsFirst":true', '"nullsFirst":false')),
  wrong('NOT IN is IN', replacing('"negated":true', '"negated":false')),
  wrong('filters are forgotten', (plan) => ({ ...plan, ops: plan.ops.filter((op) => op.kind !== 'filter') })),
];

it.each(bugs.map((b) => [b.name, b] as const))('the comparison notices that %s', async (_, bug) => {
  for (let d = 0; d < 60; d++) {
    const data = randomData(new Random(d));
    for (let p = 0; p < 20; p++) if (await disagreement(randomPlan(new Random(d * 1000 + p), data), data, [bug])) return;
  }
  expect.fail('1,200 plans did not show the planted bug');
});
