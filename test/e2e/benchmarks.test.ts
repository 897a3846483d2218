import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, it } from 'vitest';
import type { BenchReport } from '../../benchmarks/harness/report.js';
import { packageRoot } from '../../native/index.js';

const run = promisify(execFile);
const out = mkdtempSync(join(tmpdir(), 'millrace-benchmarks-'));
afterAll(() => rmSync(out, { recursive: true, force: true }));

const peers = ['fio', 'nbdkit'].every((tool) => spawnSync(tool, ['--version']).status === 0);
if (!peers) console.log('queue-tcp is skipped: fio or nbdkit is not installed');

/** Benchmarks rot when nobody runs them. What they measure is not asserted: the machine is shared while tests run. */
it.each(['scan', 'ingest', 'auto', 'memory', 'slots', 'kernels', 'kv', 'load', 'model', 'queue', ...(peers ? ['queue-tcp'] : [])])('%s runs at its quick size and writes the common shape', async (name) => {
  const json = join(out, `${name}.json`);
  const svg = join(out, `${name}.svg`);
  await run(process.execPath, [join(packageRoot, 'dist/benchmarks/run.js'), name, '--quick', '--json', json, '--svg', svg], { maxBuffer: 1 << 24 });
  const report = JSON.parse(readFileSync(json, 'utf8')) as BenchReport;
  expect(report).toMatchObject({ name, quick: true, profile: 'local', commit: expect.any(String), machine: expect.any(String) });
  expect(report.results.length).toBeGreaterThan(0);
  for (const result of report.results) {
    expect(result.ours).toBeGreaterThan(0);
    expect(result.runs).toBeGreaterThan(0);
    // A comparison stands only where both sides were shown to give the same rows.
    if (result.peer !== undefined) expect(result.resultHash).toMatch(/./);
  }
  expect(readFileSync(svg, 'utf8')).toMatch(/^<svg /);
}, 180_000);

it('lists which question each benchmark answers', async () => {
  const { stdout } = await run(process.execPath, [join(packageRoot, 'dist/benchmarks/run.js'), '--list']);
  for (const name of ['scan', 'ingest', 'auto', 'memory', 'kernels', 'kv', 'load', 'model', 'queue', 'queue-tcp', 'slots']) expect(stdout).toMatch(new RegExp(`^${name} +\\S.*\\?$`, 'm'));
});
