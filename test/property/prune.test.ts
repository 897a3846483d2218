import { expect, it } from 'vitest';
import { evaluator } from '../../pushdown/reference/evaluate.js';
import type { Value } from '../../pushdown/reference/value.js';
import { pruneRowGroups } from '../../pushdown/split/prune.js';
import { randomData } from '../differential/data.js';
import { randomPredicate } from '../differential/random-expr.js';
import { Random } from '../differential/random.js';
import { layoutOf } from '../differential/zone-layout.js';

const seed = Number(process.env.MILLRACE_SEED ?? 1);

it(`a pruned row group has no row the predicate takes (seed ${seed}), and pruning happens`, () => {
  let pruned = 0;
  for (let d = 0; d < 60; d++) {
    const data = randomData(new Random(seed + d));
    const layout = layoutOf(data);
    const random = new Random(seed * 31 + d);
    const rows = data.values.flat();
    const sample = (name: string): Value => (rows.length === 0 ? null : (random.pick(rows)[data.schema.columns.findIndex((c) => c.name === name)] ?? null));
    for (let p = 0; p < 50; p++) {
      const predicate = randomPredicate(random, { columns: data.schema.columns, sample }, 2);
      const kept = new Set(pruneRowGroups(predicate, layout, data.schema));
      const keep = evaluator(predicate, data.schema);
      data.values.forEach((group, g) => {
        if (kept.has(g)) return;
        if (group.length > 0) pruned++;
        for (const row of group) if (keep(row) === true) expect.fail(`seed ${seed}, dataset ${d}, predicate ${p}, row group ${g}`);
      });
    }
  }
  expect(pruned).toBeGreaterThan(100);
});
