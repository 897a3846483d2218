// Millrace needs no root: the jail's and the caps' own tests, run as a user who has no privilege.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, chownSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '../../native/index.js';
import { pinnedNode } from '../e2e/daemon-process.js';

const nobody = { uid: 65534, gid: 65534 };
const files = ['test/security/slot-jail.test.ts', 'test/security/tenant-caps.test.ts'];
/** Vitest without the project's configuration, which would build and write into the checkout. */
const runner = `
  import { startVitest } from 'vitest/node';
  const [root, scratch, ...files] = process.argv.slice(1);
  const vitest = await startVitest('test', files, {
    config: false, root, watch: false, testTimeout: 60_000, hookTimeout: 60_000, pool: 'forks', maxWorkers: 1, include: ['test/**/*.test.ts'], reporters: ['json'], outputFile: scratch + '/results.json',
  }, { cacheDir: scratch + '/cache' });
  await vitest.close();
  process.exit(0);
`;

/** Why this cannot be tried here. */
function obstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'the whole run is an ordinary user\'s already';
  return spawnSync(pinnedNode, ['-e', ''], { cwd: packageRoot, ...nobody }).status === 0 ? undefined : 'nobody may not read this checkout: one of the folders it lies in is closed to other users';
}

const why = obstacle();
if (why) console.log(`skipped, an ordinary user's slots: ${why}`);

it.skipIf(why !== undefined)('holds for an ordinary user what it holds for root', { timeout: 300_000 }, async () => {
  const scratch = mkdtempSync(join(tmpdir(), 'millrace-nobody-'));
  chownSync(scratch, nobody.uid, nobody.gid);
  try {
    const child = spawn(pinnedNode, ['--input-type=module', '-e', runner, packageRoot, scratch, ...files], { cwd: packageRoot, ...nobody, env: { PATH: process.env.PATH, HOME: scratch }, stdio: ['ignore', 'pipe', 'pipe'] });
    let log = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { log += text; });
    await new Promise((resolve) => { child.once('close', resolve); });
    const report = JSON.parse(readFileSync(join(scratch, 'results.json'), 'utf8')) as { testResults: { name: string; message: string; assertionResults: { fullName: string; status: string; failureMessages: string[] }[] }[] };
    expect(report.testResults.map(({ name, message }) => [name, message]), log).toEqual(files.map((file) => [join(packageRoot, file), '']));
    const results = report.testResults.flatMap((file) => file.assertionResults);
    expect(results.filter(({ status }) => status !== 'passed').map(({ fullName, failureMessages }) => [fullName, ...failureMessages])).toEqual([]);
    expect(results.length).toBeGreaterThan(20);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
});
