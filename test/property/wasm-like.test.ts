import { expect, test } from 'vitest';
import type { Expr } from '../../pushdown/expr/expr.js';
import type { PlanOp } from '../../pushdown/plan/plan.js';
import { decodeBatch } from '../../pushdown/reference/decode.js';
import { encodeBatch } from '../../pushdown/reference/encode.js';
import type { Value } from '../../pushdown/reference/value.js';
import { compileKernel } from '../../pushdown/runtime/kernel-module.js';
import { KernelInstance, loadedBytes } from '../../pushdown/runtime/kernel.js';
import type { Column } from '../../pushdown/types/schema.js';
import { compileScan } from '../../pushdown/wasm/compile.js';
import { matchesLike } from '../../pushdown/wasm/like.js';
import { Random } from '../differential/random.js';

const long = process.env.MILLRACE_TEST === 'long';
const firstSeed = Number(process.env.MILLRACE_SEED ?? (long ? Date.now() % 2 ** 31 : 1));
const cases = process.env.MILLRACE_SEED ? 1 : long ? 5_000 : 200;

const letters = ['a', 'b', 'é', '日', '💩'];

function randomText(random: Random, most: number): string {
  // Few letters: needles reach over row borders and overlap themselves.
  const some = letters.slice(0, random.int(1, letters.length));
  return Array.from({ length: random.int(0, most) }, () => random.pick(some)).join('');
}

function randomPattern(random: Random): string {
  return Array.from({ length: random.int(1, 5) }, () => random.pick(['%', '%', '_', randomText(random, 3), randomText(random, 20)])).join('');
}

test(`LIKE in kernels equals the plain matcher, seeds ${firstSeed}..${firstSeed + cases - 1}`, () => {
  for (let seed = firstSeed; seed < firstSeed + cases; seed++) {
    const random = new Random(seed);
    const nullable = random.chance(0.5);
    const rows = random.pick([1, 5, 70, 300, 2500]);
    const most = random.pick([3, 12, 50]);
    const columns: Column[] = [
      { name: 's', type: { kind: 'utf8' }, physical: 'utf8', nullable },
      { name: 'i', type: { kind: 'int32' }, physical: 'i32', nullable: false },
    ];
    const pattern = randomPattern(random);
    const negated = random.chance(0.3);
    const values = Array.from({ length: rows }, (_, i): Value[] => [nullable && random.chance(0.2) ? null : randomText(random, most), BigInt(i)]);
    const like: Expr = { kind: 'like', arg: { kind: 'column', name: 's' }, pattern, negated };
    const rest: Expr = { kind: 'compare', op: 'ge', left: { kind: 'column', name: 'i' }, right: { kind: 'literal', value: BigInt(random.int(0, 3)), type: { kind: 'int32' } } };
    const ops: PlanOp[] = [
      { kind: 'filter', predicate: random.chance(0.5) ? like : { kind: 'and', args: [rest, like] } },
      { kind: 'project', columns: [{ name: 'i', expr: { kind: 'column', name: 'i' } }] },
    ];
    const scan = compileScan(ops, { name: 't', columns, rows, rowGroups: 1, rowGroupRowsMax: rows });
    const batch = encodeBatch(columns, values);
    const data = scan.inputColumns.map((c) => batch.data[c]!);
    const instance = new KernelInstance(compileKernel(scan.wasm), { windowBytes: Math.max(64, loadedBytes(data)), inputColumns: data.length });
    const actual: Value[] = [];
    for (const out of instance.runMorsel(rows, instance.loadBatch(data))) actual.push(...decodeBatch({ rows: out.rows, columns: scan.output, data: out.data }).map((r) => r[0]!));
    const low = ops[0]?.kind === 'filter' && ops[0].predicate.kind === 'and' && rest.kind === 'compare' && rest.right.kind === 'literal' ? BigInt(rest.right.value as bigint) : 0n;
    const expected = values.filter(([s, i]) => typeof s === 'string' && (i as bigint) >= low && matchesLike(s, pattern) !== negated).map((r) => r[1]);
    expect(actual, `MILLRACE_SEED=${seed} node scripts/test.mjs test/property/wasm-like.test.ts (${pattern})`).toEqual(expected);
  }
});
