// npm's install step: native addon, slot addon and launcher through node-gyp, SQLite for the pinned Node, then the TypeScript build.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const fail = (sentence) => { console.error(`millrace: ${sentence}`); process.exit(1); };
if (process.platform !== 'linux' || process.arch !== 'x64') fail(`Linux on x86-64 is needed, this is ${process.platform} on ${process.arch}.`);
if (Number(process.versions.node.split('.')[0]) < 20) fail(`Node 20 or later is needed, this is ${process.versions.node}.`);
for (const [tool, what] of [['python3', 'Python 3'], ['make', 'make'], ['g++', 'a C++20 compiler (g++ 11 or later)']])
  if (spawnSync(tool, ['--version'], { stdio: 'ignore' }).status !== 0) fail(`${what} is needed to build the native part and '${tool}' was not found: install it (Debian: apt-get install python3 make g++) and run npm ci again.`);
for (const [script, args] of [['scripts/build-native.mjs', []], ['scripts/build-sqlite.mjs', []], ['node_modules/typescript/bin/tsc', ['-p', 'tsconfig.json']]]) {
  if (!existsSync(join(root, script))) fail(`${script} is missing: install with development dependencies (npm ci).`);
  const { status } = spawnSync(process.execPath, [join(root, script), ...args], { cwd: root, stdio: 'inherit' });
  if (status !== 0) fail(`${script} failed; the compiler's words are above.`);
}
