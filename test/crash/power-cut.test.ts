import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildShim, CrashBench, isLong, seedOf } from './bench.js';
import { Random } from './random.js';
import { randomLanes } from './variants.js';

const capacityBytes = 24 << 20;
let shim: string;
beforeAll(() => {
  shim = buildShim();
});

const benches: CrashBench[] = [];
async function makeBench(files: 'raw' | 'parquet'): Promise<CrashBench> {
  const bench = await CrashBench.make(files, capacityBytes);
  benches.push(bench);
  return bench;
}
afterAll(() => {
  for (const bench of benches) bench.remove();
});

const power = (bench: CrashBench, cut: number, seed: number, more: Record<string, string> = {}) => ({
  LD_PRELOAD: shim, LOST_WRITES_DIR: bench.dir, LOST_WRITES_CUT: String(cut), LOST_WRITES_SEED: String(seed), ...more,
});
/** Calls to cut at that one life of the lanes below makes. */
async function callsOf(bench: CrashBench, random: Random): Promise<number> {
  const { faults, stderr } = await bench.live(randomLanes(random, 3, bench.variantCount), power(bench, 0, 0));
  expect(faults).toEqual([]);
  return Number(/lost_writes: calls (\d+)/.exec(stderr)?.[1]);
}

it.each([
  ['raw', isLong ? 100 : 8],
  ['parquet', isLong ? 50 : 3],
] as const)('holds whole datasets, old or new, after power cuts that lose and reorder unsynced writes (%s files)', async (files, rounds) => {
  const random = new Random(seedOf('power cut'));
  const bench = await makeBench(files);
  const calls = await callsOf(bench, random);
  expect(calls).toBeGreaterThan(30);
  for (let round = 0; round < rounds; round++) {
    const { faults } = await bench.live(randomLanes(random, 3, bench.variantCount), power(bench, 1 + random.below(calls), random.below(2 ** 31)));
    expect(faults).toEqual([]);
  }
  expect((await bench.live([], {})).faults).toEqual([]);
});

it('would notice: with syncs that lie, damage is found', async () => {
  const random = new Random(7);
  const bench = await makeBench('raw');
  const calls = await callsOf(bench, random);
  const seen: string[] = [];
  for (let round = 0; round < 12 && seen.length === 0; round++) {
    await bench.live(randomLanes(random, 3, bench.variantCount), power(bench, (calls >> 1) + random.below(calls >> 1), random.below(2 ** 31), { LOST_WRITES_IGNORE_SYNC: '1' }));
    seen.push(...(await bench.live([], {})).faults);
  }
  expect(seen).not.toEqual([]);
});
