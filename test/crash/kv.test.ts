// Keys and values after kill -9 and after power cuts: what a Flush covered is there, each key is old or new, never torn.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, expect, it } from 'vitest';
import { packageRoot } from '../../native/index.js';
import { buildShim, isLong, seedOf } from './bench.js';
import { contentsMax, type KvLine, KvModel, type KvStep } from './kv-model.js';
import { Random } from './random.js';
import { pinnedNode } from './run-host.js';

const roots: string[] = [];
afterAll(() => {
  for (const root of roots) rmSync(root, { recursive: true, force: true });
});
function freshDir(): string {
  const root = mkdtempSync(join(tmpdir(), 'millrace-kv-crash-'));
  roots.push(root);
  mkdirSync(join(root, 'store'));
  return join(root, 'store');
}

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

const hostMsMax = 30_000;
/** One life of a host: the faults in what it said, and how it ended. `onLine` may end it. */
async function live(model: KvModel, dir: string, lanes: KvStep[][], lostBefore: boolean, env: Record<string, string>, onLine: (kill: () => void, line: KvLine) => void = () => undefined) {
  const child = spawn(pinnedNode, [join(packageRoot, 'dist/test/crash/kv-host.js'), JSON.stringify({ dir, lanes })], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text; });
  const faults: string[] = [];
  let opened = false;
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = JSON.parse(text) as KvLine;
    opened ||= line.kind === 'found';
    faults.push(...model.take(line, lostBefore));
    onLine(() => void child.kill('SIGKILL'), line);
  });
  const watchdog = setTimeout(() => {
    faults.push('the host hung');
    child.kill('SIGKILL');
  }, hostMsMax);
  const signal = await new Promise<string | null>((resolve) => child.once('close', (code, by) => {
    if (by === null && code !== 0) faults.push(`the host ended with code ${code}: ${stderr}`);
    resolve(by);
  }));
  clearTimeout(watchdog);
  if (!opened && signal === null) faults.push(`the namespace did not open: ${stderr}`);
  return { faults, stderr, signal };
}

it('keeps everything that completed after kill -9 at random moments', async () => {
  const random = new Random(seedOf('kv kill'));
  const dir = freshDir();
  const model = new KvModel();
  for (let round = 0; round < (isLong ? 60 : 8); round++) {
    const after = random.below(60);
    let lines = 0;
    const { faults } = await live(model, dir, randomLanes(random, 30), false, {}, (kill) => {
      if (++lines > after) kill();
    });
    expect(faults).toEqual([]);
  }
  expect((await live(model, dir, [], false, {})).faults).toEqual([]);
});

const power = (shim: string, dir: string, cut: number, seed: number, more: Record<string, string> = {}) => ({ LD_PRELOAD: shim, LOST_WRITES_DIR: dir, LOST_WRITES_CUT: String(cut), LOST_WRITES_SEED: String(seed), ...more });
async function callsOf(model: KvModel, dir: string, random: Random, shim: string): Promise<number> {
  const { faults, stderr } = await live(model, dir, randomLanes(random, 12), true, power(shim, dir, 0, 0));
  expect(faults).toEqual([]);
  return Number(/lost_writes: calls (\d+)/.exec(stderr)?.[1]);
}

it('keeps what a Flush covered, each key old or new, after power cuts that lose and reorder unsynced writes', async () => {
  const shim = buildShim();
  const random = new Random(seedOf('kv power cut'));
  const dir = freshDir();
  const model = new KvModel();
  const calls = await callsOf(model, dir, random, shim);
  expect(calls).toBeGreaterThan(30);
  let cuts = 0;
  for (let round = 0; round < (isLong ? 120 : 14); round++) {
    const { faults, signal } = await live(model, dir, randomLanes(random, 12), true, power(shim, dir, 1 + random.below(calls), random.below(2 ** 31)));
    expect(faults).toEqual([]);
    if (signal === 'SIGKILL') cuts++;
  }
  expect(cuts).toBeGreaterThan(3);
  expect((await live(model, dir, [], true, {})).faults).toEqual([]);
});

it('would notice: with syncs that lie, something flushed is missed', async () => {
  const shim = buildShim();
  const random = new Random(11);
  const seen: string[] = [];
  for (let round = 0; round < 12 && seen.length === 0; round++) {
    const dir = freshDir();
    const model = new KvModel();
    const calls = await callsOf(model, dir, random, shim);
    seen.push(...(await live(model, dir, randomLanes(random, 12), true, power(shim, dir, (calls >> 1) + random.below(calls >> 1), random.below(2 ** 31), { LOST_WRITES_IGNORE_SYNC: '1' }))).faults);
    seen.push(...(await live(model, dir, [], true, {})).faults);
  }
  expect(seen).not.toEqual([]);
});
