import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { packageRoot } from '../../native/index.js';

/**
 * better-sqlite3's binary for the Node the daemon runs on (scripts/build-sqlite.mjs makes it for the pinned one). Any
 * other Node falls back to the binary of the package, which exists only where another project's npm built it.
 */
export function sqliteBinding(): { nativeBinding?: string } {
  const { version } = createRequire(import.meta.url)('better-sqlite3/package.json') as { version: string };
  const path = join(packageRoot, `node_modules/.cache/millrace/better-sqlite3-${version}-node-${process.versions.node}.node`);
  return existsSync(path) ? { nativeBinding: path } : {};
}
