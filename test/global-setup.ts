import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Children of the daemon run from dist: build it once per test run, before any worker starts. */
export default function buildDist(): void {
  const root = join(dirname(fileURLToPath(import.meta.url)), '..');
  const { status } = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.json'], { cwd: root, stdio: 'inherit' });
  if (status !== 0) throw new Error('tsc failed; its words are above');
}
