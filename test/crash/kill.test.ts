import { afterAll, beforeAll, expect, it } from 'vitest';
import { CrashBench, isLong, seedOf } from './bench.js';
import { Random } from './random.js';
import { randomLanes } from './variants.js';

let bench: CrashBench;
beforeAll(async () => {
  bench = await CrashBench.make('parquet', 24 << 20);
}, 180_000);
afterAll(() => bench?.remove());

it('holds whole datasets, old or new, after kill -9 at random moments of ingest, replace and delete', async () => {
  const random = new Random(seedOf('kill'));
  const rounds = isLong ? 50 : 8;
  for (let round = 0; round < rounds; round++) {
    const afterMs = random.below(700);
    const { faults } = await bench.live(randomLanes(random, 12, bench.variantCount), {}, (line, kill) => {
      if (line.kind === 'found') setTimeout(kill, afterMs);
    });
    expect(faults).toEqual([]);
  }
  expect((await bench.live([], {})).faults).toEqual([]);
});
