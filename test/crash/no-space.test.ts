import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildShim, CrashBench, isLong, seedOf } from './bench.js';
import type { HostLine, Operation } from './host-protocol.js';
import { Random } from './random.js';
import { randomLanes } from './variants.js';

const put = (name: string, variant: number): Operation => ({ kind: 'put', name, variant });
const codesOf = (lines: readonly HostLine[]) => lines.flatMap((line) => (line.kind === 'end' ? [line.code ?? 'ok'] : []));

describe('a full device', () => {
  let bench: CrashBench;
  beforeAll(async () => {
    // Room for the first variant twice, not for the last.
    bench = await CrashBench.make('parquet', 2 << 20);
  }, 180_000);
  afterAll(() => bench?.remove());

  it('refuses what does not fit with MR_NO_SPACE, gives the space back and goes on', async () => {
    const lines: HostLine[] = [];
    const lane = [put('a', 0), put('b', 3), put('b', 3), put('c', 0), put('d', 2), { kind: 'remove', name: 'a' }, put('a', 0)] satisfies Operation[];
    const { faults } = await bench.live([lane], {}, (line) => lines.push(line));
    expect(faults).toEqual([]);
    expect(codesOf(lines)).toContain('MR_NO_SPACE');
    expect(codesOf(lines).at(-1)).toBe('ok');
    expect((await bench.live([], {})).faults).toEqual([]);
  });
});

describe('a full file system', () => {
  let bench: CrashBench;
  let shim: string;
  beforeAll(async () => {
    shim = buildShim();
    bench = await CrashBench.make('raw', 24 << 20);
  });
  afterAll(() => bench?.remove());

  it('fails operations cleanly wherever the disk fills up, under the backing file and under the catalog', async () => {
    const random = new Random(seedOf('full file system'));
    const env = (from: number, count: number) => ({ LD_PRELOAD: shim, LOST_WRITES_DIR: bench.dir, LOST_WRITES_FULL_FROM: String(from), LOST_WRITES_FULL_CALLS: String(count) });
    const callsOf = async (lanes: Operation[][]) => {
      const { faults, stderr } = await bench.live(lanes, env(0, 0));
      expect(faults).toEqual([]);
      return Number(/lost_writes: calls (\d+)/.exec(stderr)?.[1]);
    };
    const lanes = () => randomLanes(random, 3, bench.variantCount);
    const all = await callsOf(lanes());
    const opening = await callsOf([]);
    const codes: string[] = [];
    for (let round = 0; round < (isLong ? 60 : 5); round++) {
      const from = opening + random.below(all - opening);
      const { faults } = await bench.live(lanes(), env(from, 1 + random.below(20)), (line) => codes.push(...codesOf([line])));
      expect(faults).toEqual([]);
    }
    expect(codes).toContain('MR_NO_SPACE');
    expect((await bench.live([], {})).faults).toEqual([]);
  });
});
