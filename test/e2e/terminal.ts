// The command line on a real terminal (scripts/terminal.py).
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../native/index.js';

export type Step = { readonly expect: string } | { readonly send: string };

export interface TerminalRun {
  readonly exit: number;
  /** Everything it printed, escapes included. */
  readonly screen: string;
}

export async function onTerminal(command: readonly string[], steps: readonly Step[], env: Readonly<Record<string, string>> = {}): Promise<TerminalRun> {
  const child = spawn('python3', [join(packageRoot, 'scripts/terminal.py'), '120', '40', ...command], { stdio: 'pipe', env: { ...process.env, ...env } });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => { out += text; });
  child.stderr.setEncoding('utf8').on('data', (text: string) => { err += text; });
  child.stdin.end(steps.map((step) => `${JSON.stringify(step)}\n`).join(''));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`the terminal ended with ${code}: ${err}`);
  const lines = out.trimEnd().split('\n').map((line) => JSON.parse(line) as [number, string, string] | { exit: number });
  const last = lines.pop() as { exit: number };
  return { exit: last.exit, screen: lines.map((line) => (line as [number, string, string])[2]).join('') };
}
