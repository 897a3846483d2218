// Lives of a host process that is made to be killed: started over a folder, listened to, ended by kill -9 or by a power cut.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, expect } from 'vitest';
import { packageRoot } from '../../native/index.js';
import type { Random } from './random.js';
import { pinnedNode } from './run-host.js';

const hostMsMax = 30_000;

/** A new folder for the media of a device; goes when the file's tests are over. */
export function freshMedia(): string {
  const root = mkdtempSync(join(tmpdir(), 'millrace-crash-'));
  roots.push(root);
  const media = join(root, 'media');
  mkdirSync(media);
  return media;
}
const roots: string[] = [];
afterAll(() => {
  for (const root of roots) rmSync(root, { recursive: true, force: true });
});

export interface Life {
  /** What was wrong with what it said and with how it ended. */
  readonly faults: string[];
  readonly stderr: string;
  readonly signal: string | null;
}

export interface LifeOptions<Line> {
  /** Of test/crash, without its ending. */
  readonly script: string;
  /** What the script gets, as JSON. */
  readonly work: unknown;
  readonly env?: Readonly<Record<string, string>>;
  /** Faults in a line it said. */
  readonly take: (line: Line) => readonly string[];
  /** kill -9 behind so many lines. */
  readonly killAfter?: number;
}

export async function hostLife<Line extends { readonly kind: string }>({ script, work, env, take, killAfter = Number.POSITIVE_INFINITY }: LifeOptions<Line>): Promise<Life> {
  const child = spawn(pinnedNode, [join(packageRoot, `dist/test/crash/${script}.js`), JSON.stringify(work)], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text; });
  const faults: string[] = [];
  let opened = false;
  let lines = 0;
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = JSON.parse(text) as Line;
    opened ||= line.kind === 'found';
    faults.push(...take(line));
    if (++lines > killAfter) child.kill('SIGKILL');
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
  if (!opened && signal === null) faults.push(`what it had stored did not open: ${stderr}`);
  return { faults, stderr, signal };
}

/** The storage shim's environment: power fails at the cut-th call (0: never). syncsLie: no sync does anything. */
export const power = (shim: string, dir: string, cut: number, seed: number, syncsLie = false): Record<string, string> => ({
  LD_PRELOAD: shim, LOST_WRITES_DIR: dir, LOST_WRITES_CUT: String(cut), LOST_WRITES_SEED: String(seed), ...(syncsLie ? { LOST_WRITES_IGNORE_SYNC: '1' } : {}),
});

/** One host's lives over one folder: with something to do, or only looked at. */
export interface Lives {
  readonly dir: string;
  readonly work: (env: Record<string, string>) => Promise<Life>;
  readonly look: () => Promise<Life>;
}

/** Calls of a whole life: where power can fail. */
async function callsOf({ dir, work }: Lives, shim: string): Promise<number> {
  const { faults, stderr } = await work(power(shim, dir, 0, 0));
  expect(faults).toEqual([]);
  return Number(/lost_writes: calls (\d+)/.exec(stderr)?.[1]);
}

/** Power fails at a random call of each life; nothing that was promised may be missed in the next. */
export async function surviveCuts(lives: Lives, shim: string, random: Random, rounds: number, callsMin: number): Promise<void> {
  const calls = await callsOf(lives, shim);
  expect(calls).toBeGreaterThan(callsMin);
  let cuts = 0;
  for (let round = 0; round < rounds; round++) {
    const { faults, signal } = await lives.work(power(shim, lives.dir, 1 + random.below(calls), random.below(2 ** 31)));
    expect(faults).toEqual([]);
    if (signal === 'SIGKILL') cuts++;
  }
  expect(cuts).toBeGreaterThan(3);
  expect((await lives.look()).faults).toEqual([]);
}

/** With syncs that lie, a check that is worth something finds a fault. */
export async function noticeLies(fresh: () => Lives, shim: string, random: Random): Promise<void> {
  const seen: string[] = [];
  for (let round = 0; round < 12 && seen.length === 0; round++) {
    const lives = fresh();
    const calls = await callsOf(lives, shim);
    seen.push(...(await lives.work(power(shim, lives.dir, (calls >> 1) + random.below(calls >> 1), random.below(2 ** 31), true))).faults);
    seen.push(...(await lives.look()).faults);
  }
  expect(seen).not.toEqual([]);
}
