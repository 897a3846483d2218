import { readFileSync, statSync } from 'node:fs';
import { MillraceError } from '../../pushdown/types/error.js';
import { parseDhchapSecret } from '../../native/dhchap/secret.js';
import type { DhchapHost } from './dhchap-exchange.js';

export const hostsWithSecretsMax = 10_000;

/**
 * One host a line: `HOST-NQN SECRET [CONTROLLER-SECRET] [token=NAME]`; lines that begin with # and empty ones say nothing. Others
 * than the owner must not read it. @throws MillraceError MR_NVME_SECRET_FILE
 */
export function readSecretFile(path: string): ReadonlyMap<string, DhchapHost> {
  const wrong = (what: string, cause?: unknown) => new MillraceError('MR_NVME_SECRET_FILE', `${path}: ${what}.`, { field: 'nvmeTcpSecretFile', cause });
  let text: string;
  try {
    if ((statSync(path).mode & 0o077) !== 0) throw wrong('others than its owner may read it: chmod 600');
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw cause instanceof MillraceError ? cause : wrong('it cannot be read', cause);
  }
  const hosts = new Map<string, DhchapHost>();
  text.split('\n').forEach((line, i) => {
    const words = line.trim().split(/\s+/);
    const token = words.at(-1)?.startsWith('token=') ? words.pop()?.slice('token='.length) : undefined;
    const [nqn, secret, controllerSecret, ...more] = words;
    if (!nqn || nqn.startsWith('#')) return;
    if (!secret || more.length > 0 || token === '' || !/^nqn\.[\x21-\x7e]{1,219}$/.test(nqn)) throw wrong(`line ${i + 1} does not read HOST-NQN SECRET [CONTROLLER-SECRET] [token=NAME]`);
    if (hosts.has(nqn)) throw wrong(`line ${i + 1} names a host a second time`);
    try {
      hosts.set(nqn, { secret: parseDhchapSecret(secret), ...(controllerSecret ? { controllerSecret: parseDhchapSecret(controllerSecret) } : {}), ...(token === undefined ? {} : { token }) });
    } catch (cause) {
      throw wrong(`line ${i + 1}: ${(cause as Error).message}`, cause);
    }
  });
  if (hosts.size === 0) throw wrong('it names no host');
  if (hosts.size > hostsWithSecretsMax) throw wrong(`it names more than ${hostsWithSecretsMax} hosts`);
  return hosts;
}
