import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { caseFromJson, caseToJson } from './case-file.js';
import { disagreement } from './check.js';
import { randomData } from './data.js';
import { DuckExecutor } from './duckdb.js';
import type { Executor } from './executor.js';
import { KernelExecutor } from './kernels.js';
import { randomPlan } from './random-plan.js';
import { Random } from './random.js';

const long = process.env.MILLRACE_TEST === 'long';
const seed = Number(process.env.MILLRACE_SEED ?? (long ? Date.now() % 2 ** 31 : 20261121));
const plans = long ? 40_000 : 2_000;
const plansPerDataset = 20;
const casesDir = join(fileURLToPath(new URL('.', import.meta.url)), 'cases');

let sides: Executor[];
let kernels: KernelExecutor;
beforeAll(async () => {
  kernels = new KernelExecutor(new Random(seed));
  sides = [kernels, await DuckExecutor.open()];
});

describe('every evaluator gives the same rows', () => {
  it(`for ${plans} random plans, seed ${seed}`, async () => {
    console.log(`differential seed ${seed}; replay: MILLRACE_SEED=${seed} npm test -- test/differential`);
    const found: string[] = [];
    for (let d = 0; d * plansPerDataset < plans && found.length < 5; d++) {
      const data = randomData(new Random(seed + d * 7919));
      for (let p = 0; p < plansPerDataset; p++) {
        const plan = randomPlan(new Random(seed + d * 7919 + p * 104729 + 1), data);
        const differs = await disagreement(plan, data, sides);
        if (differs === undefined) continue;
        const file = join(tmpdir(), `millrace-differential-${seed}-${d}-${p}.json`);
        mkdirSync(tmpdir(), { recursive: true });
        writeFileSync(file, caseToJson(plan, data));
        found.push(`${differs}\n  case: ${file} (move it to test/differential/cases to keep it)`);
      }
    }
    if (process.env.MILLRACE_VERBOSE) console.log(kernels.counts, kernels.refused);
    expect(found.join('\n')).toBe('');
    // Most of what is generated must be what kernels are for.
    expect(kernels.counts.whole).toBeGreaterThan(kernels.counts.cut);
  }, long ? 3_600_000 : 120_000);

  for (const file of readdirSync(casesDir).filter((f) => f.endsWith('.json')))
    it(`for the case ${file}`, async () => {
      const { plan, data } = caseFromJson(readFileSync(join(casesDir, file), 'utf8'));
      expect(await disagreement(plan, data, sides)).toBe(undefined);
    });
});
