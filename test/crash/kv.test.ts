// Keys and values after kill -9 and after power cuts: what a Flush covered is there, each key is old or new, never torn.
import { expect, it } from 'vitest';
import { buildShim, isLong, seedOf } from './bench.js';
import { freshMedia, hostLife, type Lives, noticeLies, surviveCuts } from './host-life.js';
import { contentsMax, type KvLine, KvModel, type KvStep } from './kv-model.js';
import { Random } from './random.js';

/** Two lanes over three keys each. */
function randomLanes(random: Random, steps: number): KvStep[][] {
  return [['a', 'bb', 'c'.repeat(16)], ['x', 'yy', 'z'.repeat(16)]].map((keys, lane) =>
    Array.from({ length: steps }, (): KvStep => {
      const key = keys[random.below(3)] ?? 'a';
      const what = random.below(8);
      return what < 2 ? { kind: 'flush', lane } : what === 2 ? { kind: 'delete', key } : { kind: 'store', key, content: random.below(contentsMax) };
    }),
  );
}

const live = (model: KvModel, dir: string, lanes: KvStep[][], lostBefore: boolean, more: { env?: Record<string, string>; killAfter?: number } = {}) =>
  hostLife<KvLine>({ script: 'kv-host', work: { dir, lanes }, take: (line) => model.take(line, lostBefore), ...more });

/** Of a host under the storage shim. */
function lives(random: Random): Lives {
  const dir = freshMedia();
  const model = new KvModel();
  return { dir, work: (env) => live(model, dir, randomLanes(random, 12), true, { env }), look: () => live(model, dir, [], true) };
}

it('keeps everything that completed after kill -9 at random moments', async () => {
  const random = new Random(seedOf('kv kill'));
  const dir = freshMedia();
  const model = new KvModel();
  for (let round = 0; round < (isLong ? 60 : 8); round++) expect((await live(model, dir, randomLanes(random, 30), false, { killAfter: random.below(60) })).faults).toEqual([]);
  expect((await live(model, dir, [], false)).faults).toEqual([]);
});

it('keeps what a Flush covered, each key old or new, after power cuts that lose and reorder unsynced writes', async () => {
  const random = new Random(seedOf('kv power cut'));
  await surviveCuts(lives(random), buildShim(), random, isLong ? 120 : 14, 30);
});

it('would notice: with syncs that lie, something flushed is missed', async () => {
  const random = new Random(11);
  await noticeLies(() => lives(random), buildShim(), random);
});
