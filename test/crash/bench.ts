import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { packageRoot } from '../../native/index.js';
import type { HostLine, HostOptions, Operation } from './host-protocol.js';
import { StoreModel } from './model.js';
import { runHost } from './run-host.js';
import { appendedVariants, makeRawVariants, makeVariants, rowsOfVariants } from './variants.js';

export const isLong = process.env.MILLRACE_TEST === 'long';
/** Fixed in the fast suite; MILLRACE_SEED replays a printed one. */
export function seedOf(test: string): number {
  const seed = process.env.MILLRACE_SEED ? Number(process.env.MILLRACE_SEED) : isLong ? (Date.now() & 0x7fffffff) : 20_261_121;
  console.log(`${test}: seed ${seed}; replay with MILLRACE_SEED=${seed}${isLong ? ' MILLRACE_TEST=long' : ''}`);
  return seed;
}

type Loads = Pick<HostOptions, 'variants' | 'ingestScript' | 'rowsOfVariants'>;
const hostMsMax = 20_000;

/** A directory for one store that dies again and again, the files it loads and what its contents must be. */
export class CrashBench {
  readonly model: StoreModel;
  readonly #root: string;
  #round = 0;

  private constructor(root: string, private readonly loads: Loads, contents: ReadonlyMap<string, string>, readonly capacityBytes: number) {
    this.#root = root;
    this.model = new StoreModel(contents);
  }

  /** `files`: Parquet through the product's own ingest child, or raw bytes through raw-child.ts. */
  static async make(files: 'parquet' | 'raw', capacityBytes: number): Promise<CrashBench> {
    const root = mkdtempSync(join(tmpdir(), 'millrace-crash-'));
    const loads: Loads = files === 'parquet' ? { variants: await makeVariants(root), rowsOfVariants } : { variants: makeRawVariants(root), ingestScript: join(packageRoot, 'dist/test/crash/raw-child.js') };
    const { variants } = loads;
    // What a clean load of each variant gives, and of each with another behind it, told by a store of its own.
    const clean = { dir: join(root, 'clean'), capacityBytes: 64 << 20, ...loads };
    mkdirSync(clean.dir);
    const wanted = variants.flatMap((_, first) => [[first], ...(loads.rowsOfVariants ? appendedVariants.map((second) => [first, second]) : [])]);
    const loading = wanted.map((parts) => parts.map((variant, i): Operation => ({ kind: i === 0 ? 'put' : 'append', name: `v${parts.join('-')}`, variant })));
    for (const lanes of [[loading.slice(0, loading.length / 2).flat(), loading.slice(loading.length / 2).flat()], []]) {
      const run = runHost({ ...clean, lanes }, {}, () => undefined);
      expect(await run.ended).toMatchObject({ code: 0, stderr: '' });
      const last = run.lines.find((line) => line.kind === 'found');
      if (lanes.length > 0 || last?.kind !== 'found') continue;
      expect(last.datasets.map((d) => d.damagedChunks)).toEqual(wanted.map(() => 0));
      const contents = new Map<string, string>();
      for (const parts of wanted) {
        const digest = last.datasets.find((d) => d.name === `v${parts.join('-')}`)?.digest ?? 'missing';
        contents.set(digest, parts.join('+'));
      }
      expect(contents.size).toBe(wanted.length);
      mkdirSync(join(root, 'store'));
      return new CrashBench(root, loads, contents, capacityBytes);
    }
    throw new Error('the clean store reported nothing');
  }

  get variantCount(): number {
    return this.loads.variants.length;
  }
  get dir(): string {
    return join(this.#root, 'store');
  }

  /** One life of a host; checks all it says. Resolves with how it ended. */
  async live(lanes: readonly (readonly Operation[])[], env: Readonly<Record<string, string>>, onLine: (line: HostLine, kill: () => void) => void = () => undefined): Promise<{ signal: string | null; faults: string[]; stderr: string }> {
    this.#round++;
    const faults: string[] = [];
    const run = runHost({ dir: this.dir, capacityBytes: this.capacityBytes, ...this.loads, lanes }, env, (line, child) => {
      faults.push(...this.model.take(line).map((fault) => `round ${this.#round}: ${fault}`));
      onLine(line, () => void child.kill('SIGKILL'));
    });
    const watchdog = setTimeout(() => {
      faults.push(`round ${this.#round}: the host hung; its last line: ${JSON.stringify(run.lines.at(-1))}`);
      run.child.kill('SIGKILL');
    }, hostMsMax);
    const { code, signal, stderr } = await run.ended;
    clearTimeout(watchdog);
    if (signal === null && code !== 0) faults.push(`round ${this.#round}: the host ended with code ${code}: ${stderr}`);
    if (!run.lines.some((line) => line.kind === 'found') && signal === null) faults.push(`round ${this.#round}: the store did not open: ${stderr}`);
    return { signal, faults, stderr };
  }

  remove(): void {
    rmSync(this.#root, { recursive: true, force: true });
  }
}

/** Builds the storage shim; its path. */
export function buildShim(): string {
  const out = join(packageRoot, 'build/shim');
  const { status, stderr } = spawnSync('make', ['-C', join(packageRoot, 'native/shim'), `OUT=${out}`], { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  return join(out, 'lost_writes.so');
}
