// Raw blocks, and media that is memory, after kill -9 and after power cuts: what a completed Flush or FUA covers is there, and with the volatile write
// cache off every completed write.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, expect, it } from 'vitest';
import { packageRoot } from '../../native/index.js';
import { buildShim, isLong, seedOf } from './bench.js';
import { type BlocksHostOptions, type BlocksLine, BlocksModel, type BlocksStep, blockCount } from './blocks-model.js';
import { Random } from './random.js';
import { pinnedNode } from './run-host.js';

const roots: string[] = [];
afterAll(() => {
  for (const root of roots) rmSync(root, { recursive: true, force: true });
});
function freshDir(): string {
  const root = mkdtempSync(join(tmpdir(), 'millrace-blocks-crash-'));
  roots.push(root);
  mkdirSync(join(root, 'media'));
  return join(root, 'media');
}

let version = 0;
const randomSteps = (random: Random, count: number): BlocksStep[] =>
  Array.from({ length: count }, () => {
    const what = random.below(8);
    return what === 0 ? { kind: 'flush', all: random.below(2) === 0 } : { kind: what === 1 ? 'fua' : 'write', block: random.below(blockCount), version: ++version };
  });

const hostMsMax = 30_000;
async function live(model: BlocksModel, options: BlocksHostOptions, lostBefore: boolean, env: Record<string, string> = {}, killAfter = Number.POSITIVE_INFINITY) {
  const child = spawn(pinnedNode, [join(packageRoot, 'dist/test/crash/blocks-host.js'), JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const faults: string[] = [];
  let lines = 0;
  createInterface({ input: child.stdout }).on('line', (text) => {
    faults.push(...model.take(JSON.parse(text) as BlocksLine, lostBefore));
    if (++lines > killAfter) child.kill('SIGKILL');
  });
  const watchdog = setTimeout(() => {
    faults.push('the host hung');
    child.kill('SIGKILL');
  }, hostMsMax);
  const signal = await new Promise<string | null>((resolve) =>
    child.once('close', (code, by) => {
      if (by === null && code !== 0) faults.push(`the host ended with code ${code}: ${stderr}`);
      resolve(by);
    }),
  );
  clearTimeout(watchdog);
  return { faults, stderr, signal };
}

const power = (shim: string, dir: string, cut: number, seed: number, more: Record<string, string> = {}) => ({ LD_PRELOAD: shim, LOST_WRITES_DIR: dir, LOST_WRITES_CUT: String(cut), LOST_WRITES_SEED: String(seed), ...more });
async function callsOf(model: BlocksModel, dir: string, random: Random, shim: string, writeCache: boolean, memory = false): Promise<number> {
  const { faults, stderr } = await live(model, { dir, steps: randomSteps(random, 30), writeCache, memory }, true, power(shim, dir, 0, 0));
  expect(faults).toEqual([]);
  return Number(/lost_writes: calls (\d+)/.exec(stderr)?.[1]);
}

it.each([false, true])('keeps every completed write after kill -9 at random moments, memory %s', async (memory) => {
  const random = new Random(seedOf(`blocks kill ${memory}`));
  const dir = freshDir();
  const model = new BlocksModel(true);
  for (let round = 0; round < (isLong ? 60 : 6); round++) expect((await live(model, { dir, steps: randomSteps(random, 40), writeCache: true, memory }, false, {}, random.below(80))).faults).toEqual([]);
  expect((await live(model, { dir, steps: [], writeCache: true, memory }, false)).faults).toEqual([]);
});

it.each([[true, false], [false, false], [true, true], [false, true]])('keeps what Flush and FUA covered after power cuts, volatile write cache %s, memory %s', async (writeCache, memory) => {
  const shim = buildShim();
  const random = new Random(seedOf(`blocks power cut ${writeCache} ${memory}`));
  const dir = freshDir();
  const model = new BlocksModel(writeCache);
  const calls = await callsOf(model, dir, random, shim, writeCache, memory);
  expect(calls).toBeGreaterThan(20);
  let cuts = 0;
  for (let round = 0; round < (isLong ? 120 : 10); round++) {
    const { faults, signal } = await live(model, { dir, steps: randomSteps(random, 30), writeCache, memory }, true, power(shim, dir, 1 + random.below(calls), random.below(2 ** 31)));
    expect(faults).toEqual([]);
    if (signal === 'SIGKILL') cuts++;
  }
  expect(cuts).toBeGreaterThan(3);
  expect((await live(model, { dir, steps: [], writeCache, memory }, true)).faults).toEqual([]);
});

it.each([false, true])('would notice: with syncs that lie, something flushed is missed, memory %s', async (memory) => {
  const shim = buildShim();
  const random = new Random(11);
  const seen: string[] = [];
  for (let round = 0; round < 12 && seen.length === 0; round++) {
    const dir = freshDir();
    const model = new BlocksModel(true);
    const calls = await callsOf(model, dir, random, shim, true, memory);
    seen.push(...(await live(model, { dir, steps: randomSteps(random, 30), writeCache: true, memory }, true, power(shim, dir, (calls >> 1) + random.below(calls >> 1), random.below(2 ** 31), { LOST_WRITES_IGNORE_SYNC: '1' }))).faults);
    seen.push(...(await live(model, { dir, steps: [], writeCache: true, memory }, true)).faults);
  }
  expect(seen).not.toEqual([]);
});
