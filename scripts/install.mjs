// npm's install step: native addon, slot addon and launcher through node-gyp, SQLite for the pinned Node, then the TypeScript build.
// Nothing compiles before it: npm runs the scripts of packages first, and the one package that has one is kept from it (scripts/prebuild-install).
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { missingTool } from './check-toolchain.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const fail = (sentence) => { console.error(`millrace: ${sentence}`); process.exit(1); };
// 'npx millrace' in a clone links the clone into npx's cache, which runs this script again: what is built stays.
if (process.env.npm_command === 'exec' && existsSync(join(root, 'build/Release/millrace.node')) && existsSync(join(root, 'dist/clients/cli/main.js'))) process.exit(0);
const missing = missingTool();
if (missing) fail(missing);
for (const [script, args] of [['scripts/build-native.mjs', []], ['scripts/build-sqlite.mjs', []], ['node_modules/typescript/bin/tsc', ['-p', 'tsconfig.json']]]) {
  if (!existsSync(join(root, script))) fail(`${script} is missing: install with development dependencies (npm ci).`);
  const { status } = spawnSync(process.execPath, [join(root, script), ...args], { cwd: root, stdio: 'inherit' });
  if (status !== 0) fail(`${script} failed; the compiler's words are above.`);
}
