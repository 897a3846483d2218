import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { caseToJson } from './case-file.js';
import { disagreement } from './check.js';
import { randomData } from './data.js';
import { DeviceUnderTest } from './device.js';
import { DuckExecutor } from './duckdb.js';
import type { Executor } from './executor.js';
import { randomPlan } from './random-plan.js';
import { Random } from './random.js';

const long = process.env.MILLRACE_TEST === 'long';
const seed = Number(process.env.MILLRACE_SEED ?? (long ? Date.now() % 2 ** 31 : 20261122));
const plans = long ? 20_000 : 2_000;
const plansPerDataset = 50;

let device: DeviceUnderTest;
let sides: Executor[];
let duck: DuckExecutor;
beforeAll(async () => {
  duck = await DuckExecutor.open();
  device = await DeviceUnderTest.start();
  sides = [device.side('pushed', 'always'), device.side('pulled', 'never'), device.side('hybrid', 'auto', new Random(seed)), duck];
});
afterAll(async () => {
  await device?.stop();
});

it(`pushed, pulled and split at random, ${plans} plans give the reference's rows (seed ${seed})`, async () => {
  console.log(`device differential seed ${seed}; replay: MILLRACE_SEED=${seed} npm test -- test/differential/device.test.ts`);
  const found: string[] = [];
  for (let d = 0; d * plansPerDataset < plans && found.length < 5; d++) {
    const data = DeviceUnderTest.cut(randomData(new Random(seed + d * 7919)));
    await device.load(data, duck);
    for (let p = 0; p < plansPerDataset && found.length < 5; p++) {
      const plan = randomPlan(new Random(seed + d * 7919 + p * 104729 + 1), data);
      const differs = await disagreement(plan, data, sides);
      if (differs === undefined) continue;
      const file = join(tmpdir(), `millrace-device-${seed}-${d}-${p}.json`);
      writeFileSync(file, caseToJson(plan, data));
      found.push(`${differs}\n  case: ${file} (move it to test/differential/cases to keep it)`);
    }
  }
  expect(found.join('\n')).toBe('');
  expect(device.morsels.device).toBeGreaterThan(0);
  expect(device.morsels.host).toBeGreaterThan(0);
}, long ? 3_600_000 : 300_000);
