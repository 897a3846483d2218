import { expect, test } from 'vitest';
import type { Expr } from '../../pushdown/expr/expr.js';
import type { Aggregate, Plan } from '../../pushdown/plan/plan.js';
import { runReference } from '../../pushdown/reference/run.js';
import type { Value } from '../../pushdown/reference/value.js';
import type { Column } from '../../pushdown/types/schema.js';
import { difference, sameBits } from '../differential/compare.js';
import { dataOf } from '../differential/data.js';
import { KernelExecutor } from '../differential/kernels.js';
import { Random } from '../differential/random.js';

const long = process.env.MILLRACE_TEST === 'long';
const firstSeed = Number(process.env.MILLRACE_SEED ?? (long ? Date.now() % 2 ** 31 : 1));
const cases = process.env.MILLRACE_SEED ? 1 : long ? 2_000 : 60;
const column = (name: string): Expr => ({ kind: 'column', name });

/** Keys of few values and exact arguments of every width: what is added up in vectors, one mask per group. */
test(`few groups equal the reference interpreter, seeds ${firstSeed}..${firstSeed + cases - 1}`, async () => {
  for (let seed = firstSeed; seed < firstSeed + cases; seed++) {
    const random = new Random(seed);
    // All values at their upper bounds: what overflows a lane if anything does.
    const largest = random.chance(0.2);
    const nullable = () => !largest && random.chance(0.4);
    const dictionary = ['A', 'N', 'R', 'x'].slice(0, random.int(1, 4));
    const key = (name: string): Column => ({ name, type: { kind: 'utf8' }, physical: 'dict8', nullable: nullable(), dictionary, min: 0n, max: BigInt(dictionary.length - 1) });
    const bits = [7n, 15n, 31n, 40n] as const;
    const physical = ['i8', 'i16', 'i32', 'i64'] as const;
    const exact = bits.map((b, i): Column => ({ name: `v${i}`, type: { kind: 'int64' }, physical: physical[i]!, nullable: nullable(), min: -(2n ** b), max: 2n ** b - 1n }));
    // The bounds up to which sums are taken apart into digits, and one beyond.
    const small = (name: string, width: 'i16' | 'i32', max: bigint): Column => ({ name, type: { kind: 'int64' }, physical: width, nullable: nullable(), min: 0n, max });
    const digits = [small('d0', 'i32', random.pick([2n ** 30n - 1n, 2n ** 30n])), small('d1', 'i32', 2n ** 22n - 1n), small('f', 'i16', random.pick([100n, 256n, 257n]))];
    const columns = [key('k0'), key('k1'), ...exact, ...digits];
    const value = (c: Column): Value => {
      if (c.nullable && random.chance(0.3)) return null;
      if (largest) return c.dictionary ? c.dictionary[0]! : c.max!;
      return c.dictionary ? random.pick(c.dictionary) : random.pick([c.min!, c.max!, random.big(c.min!, c.max!)]);
    };
    const sizes = Array.from({ length: random.int(1, 3) }, () => random.pick(largest ? [2048, 5000] : [0, 1, 15, 16, 100, 2048, 2049, 5000]));
    const data = dataOf(columns, sizes.map((n) => Array.from({ length: n }, () => columns.map(value))));
    const times = (left: Expr, right: Expr): Expr => ({ kind: 'arith', op: 'mul', left, right });
    const products = [times(column('v2'), column('v0')), times(column('d0'), column('f')), times(column('f'), times(column('d1'), column('f'))), times(column('d1'), column('f'))];
    const args = [...[...exact, ...digits].map((c) => column(c.name)), ...products];
    const aggregates = largest ? args.map((arg, i): Aggregate => ({ name: `a${i}`, fn: 'sum', arg })) : Array.from({ length: random.int(1, 4) }, (_, i): Aggregate => ({ name: `a${i}`, fn: random.pick(['sum', 'sum', 'avg', 'count'] as const), arg: random.pick(args) }));
    const groupBy = (random.chance(0.5) ? ['k0'] : ['k1', 'k0']).map((name) => ({ name, expr: column(name) }));
    const filter: Plan['ops'] = !largest && random.chance(0.6) ? [{ kind: 'filter', predicate: { kind: 'compare', op: 'lt', left: column('v1'), right: { kind: 'literal', value: BigInt(random.int(-32768, 32767)), type: { kind: 'int64' } } } }] : [];
    const plan: Plan = { dataset: 't', ops: [...filter, { kind: 'aggregate', groupBy, aggregates }] };
    const actual = await new KernelExecutor(new Random(seed)).run(plan, data);
    const expected = runReference(plan, data.schema, data.rowGroups);
    expect(difference(expected, actual, sameBits), `MILLRACE_SEED=${seed} node scripts/test.mjs test/property/wasm-few-groups.test.ts`).toBeUndefined();
  }
});
