import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { caseFromJson, caseToJson } from './case-file.js';
import { disagreement } from './check.js';
import { randomData } from './data.js';
import { DeviceExecutor, DeviceUnderTest, randomClaims } from './device-executor.js';
import type { Executor } from './executor.js';
import { Random } from './random.js';
import { randomPlan } from './random-plan.js';

const long = process.env.MILLRACE_TEST === 'long';
const seed = Number(process.env.MILLRACE_SEED ?? (long ? Date.now() % 2 ** 31 : 20261121));
const plans = long ? 10_000 : 2_000;
const plansPerDataset = 20;
const casesDir = join(fileURLToPath(new URL('.', import.meta.url)), 'cases');

let device: DeviceUnderTest;
let sides: Executor[];
beforeAll(() => {
  device = new DeviceUnderTest();
  sides = [
    new DeviceExecutor('never', device, 'never'),
    new DeviceExecutor('always', device, 'always'),
    new DeviceExecutor('auto', device, 'auto'),
    new DeviceExecutor('random split', device, 'auto', randomClaims(new Random(seed))),
  ];
});
afterAll(() => device.close());

describe('the reference and a real device, wherever the morsels run, give the same rows', () => {
  it(`for ${plans} random plans, seed ${seed}`, async () => {
    console.log(`device differential seed ${seed}; replay: MILLRACE_SEED=${seed} npm test -- test/differential/device`);
    const found: string[] = [];
    for (let d = 0; d * plansPerDataset < plans && found.length < 5; d++) {
      const data = randomData(new Random(seed + d * 7919));
      for (let p = 0; p < plansPerDataset; p++) {
        const plan = randomPlan(new Random(seed + d * 7919 + p * 104729 + 1), data);
        const differs = await disagreement(plan, data, sides);
        if (differs === undefined) continue;
        const file = join(tmpdir(), `millrace-device-differential-${seed}-${d}-${p}.json`);
        mkdirSync(tmpdir(), { recursive: true });
        writeFileSync(file, caseToJson(plan, data));
        found.push(`${differs}\n  case: ${file} (move it to test/differential/cases to keep it)`);
      }
    }
    expect(found.join('\n')).toBe('');
    // Both ends of the mechanism were at work.
    expect(device.ran.device).toBeGreaterThan(plans / 2);
    expect(device.ran.host).toBeGreaterThan(plans / 2);
  }, long ? 3_600_000 : 300_000);

  for (const file of readdirSync(casesDir).filter((f) => f.endsWith('.json')))
    it(`for the case ${file}`, async () => {
      const { plan, data } = caseFromJson(readFileSync(join(casesDir, file), 'utf8'));
      expect(await disagreement(plan, data, sides)).toBe(undefined);
    });
});
