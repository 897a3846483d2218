// Raw blocks, and media that is memory, after kill -9 and after power cuts: what a completed Flush or FUA covers is there, and with the volatile write
// cache off every completed write.
import { expect, it } from 'vitest';
import { buildShim, isLong, seedOf } from './bench.js';
import { type BlocksHostOptions, type BlocksLine, BlocksModel, type BlocksStep, blockCount } from './blocks-model.js';
import { freshMedia, hostLife, type Lives, noticeLies, surviveCuts } from './host-life.js';
import { Random } from './random.js';

let version = 0;
const randomSteps = (random: Random, count: number): BlocksStep[] =>
  Array.from({ length: count }, () => {
    const what = random.below(8);
    return what === 0 ? { kind: 'flush', all: random.below(2) === 0 } : { kind: what === 1 ? 'fua' : 'write', block: random.below(blockCount), version: ++version };
  });

const live = (model: BlocksModel, work: BlocksHostOptions, lostBefore: boolean, more: { env?: Record<string, string>; killAfter?: number } = {}) =>
  hostLife<BlocksLine>({ script: 'blocks-host', work, take: (line) => model.take(line, lostBefore), ...more });

/** Of a host under the storage shim. */
function lives(random: Random, writeCache: boolean, memory: boolean): Lives {
  const dir = freshMedia();
  const model = new BlocksModel(writeCache);
  return {
    dir,
    work: (env) => live(model, { dir, steps: randomSteps(random, 30), writeCache, memory }, true, { env }),
    look: () => live(model, { dir, steps: [], writeCache, memory }, true),
  };
}

it.each([false, true])('keeps every completed write after kill -9 at random moments, memory %s', async (memory) => {
  const random = new Random(seedOf(`blocks kill ${memory}`));
  const dir = freshMedia();
  const model = new BlocksModel(true);
  for (let round = 0; round < (isLong ? 60 : 6); round++) expect((await live(model, { dir, steps: randomSteps(random, 40), writeCache: true, memory }, false, { killAfter: random.below(80) })).faults).toEqual([]);
  expect((await live(model, { dir, steps: [], writeCache: true, memory }, false)).faults).toEqual([]);
});

it.each([[true, false], [false, false], [true, true], [false, true]])('keeps what Flush and FUA covered after power cuts, volatile write cache %s, memory %s', async (writeCache, memory) => {
  const random = new Random(seedOf(`blocks power cut ${writeCache} ${memory}`));
  await surviveCuts(lives(random, writeCache, memory), buildShim(), random, isLong ? 120 : 10, 20);
});

it.each([false, true])('would notice: with syncs that lie, something flushed is missed, memory %s', async (memory) => {
  const random = new Random(11);
  await noticeLies(() => lives(random, true, memory), buildShim(), random);
});
