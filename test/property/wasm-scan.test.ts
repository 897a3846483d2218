import { expect, test } from 'vitest';
import type { Plan, PlanOp } from '../../pushdown/plan/plan.js';
import { decodeBatch } from '../../pushdown/reference/decode.js';
import { type Rows, runReference } from '../../pushdown/reference/run.js';
import { compileKernel } from '../../pushdown/runtime/kernel-module.js';
import { KernelFault } from '../../pushdown/runtime/kernel-fault.js';
import { KernelInstance, loadedBytes } from '../../pushdown/runtime/kernel.js';
import { GuestFault } from '../../pushdown/runtime/wire.gen.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { compileScan } from '../../pushdown/wasm/compile.js';
import { Unsupported } from '../../pushdown/wasm/unsupported.js';
import { difference, sameBits } from '../differential/compare.js';
import { type Data, randomData } from '../differential/data.js';
import { randomPlan } from '../differential/random-plan.js';
import { Random } from '../differential/random.js';

const long = process.env.MILLRACE_TEST === 'long';
const firstSeed = Number(process.env.MILLRACE_SEED ?? (long ? Date.now() % 2 ** 31 : 1));
const cases = process.env.MILLRACE_SEED ? Number(process.env.MILLRACE_CASES ?? 1) : long ? 20_000 : 700;

/** Only what compileScan takes: filters, projections, a limit on top. */
function rowPlan(random: Random, data: Data): Plan {
  const plan = randomPlan(random, data);
  const ops: PlanOp[] = [];
  for (const op of plan.ops) {
    if (op.kind === 'aggregate' || op.kind === 'topK') break;
    ops.push(op);
  }
  return { ...plan, ops };
}

function runKernel(plan: Plan, data: Data): Rows {
  const scan = compileScan(plan.ops, data.schema);
  const kernel = compileKernel(scan.wasm);
  const batches = data.rowGroups.map((g) => ({ rows: g.rows, data: scan.inputColumns.map((c) => g.data[c]!) }));
  const windowBytes = Math.max(64, ...batches.map((b) => loadedBytes(b.data)));
  const instance = new KernelInstance(kernel, { windowBytes, inputColumns: scan.inputColumns.length });
  const rows = batches.flatMap((batch) => {
    const columns = instance.loadBatch(batch.data);
    const decoded: ReturnType<typeof decodeBatch> = [];
    for (const out of instance.runMorsel(batch.rows, columns)) decoded.push(...decodeBatch({ rows: out.rows, columns: scan.output, data: out.data }));
    return decoded;
  });
  const limit = plan.ops.at(-1);
  const cut = limit?.kind === 'limit' ? rows.slice(limit.offset, limit.offset + limit.count) : rows;
  return { columns: scan.output, rows: cut };
}

function outcome(run: () => Rows): Rows | 'overflow' {
  try {
    return run();
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'MR_ARITHMETIC_OVERFLOW') return 'overflow';
    if (error instanceof KernelFault && error.fault === GuestFault.ArithmeticOverflow) return 'overflow';
    throw error;
  }
}

test(`scan kernels equal the reference interpreter, seeds ${firstSeed}..${firstSeed + cases - 1}`, () => {
  let unsupported = 0;
  for (let seed = firstSeed; seed < firstSeed + cases; seed++) {
    const random = new Random(seed);
    const data = randomData(random);
    const plan = rowPlan(random, data);
    const where = `MILLRACE_SEED=${seed} node scripts/test.mjs test/property/wasm-scan.test.ts`;
    const expected = outcome(() => runReference(plan, data.schema, data.rowGroups));
    let actual: Rows | 'overflow';
    try {
      actual = outcome(() => runKernel(plan, data));
    } catch (error) {
      if (!(error instanceof Unsupported)) throw new Error(`${where}: ${String(error)}`, { cause: error });
      unsupported++;
      continue;
    }
    // A row that a filter on top drops need not have been computed; overflow is an error on at least one side then.
    if (expected === 'overflow' || actual === 'overflow') expect(actual === expected || plan.ops.length > 1, where).toBe(true);
    else expect(difference(expected, actual, sameBits), where).toBeUndefined();
  }
  expect(unsupported).toBeLessThan(cases / 5);
});
