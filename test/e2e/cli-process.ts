// Runs the command line as a user has it: a process per command, on the Node of the user.
import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../native/index.js';

export const cliScript = join(packageRoot, 'dist/clients/cli/main.js');

/** The user's own Node where it is another than the pinned one. */
export const userNode = ((): string => {
  try {
    return execFileSync('sh', ['-c', 'command -v node'], { encoding: 'utf8' }).trim() || process.execPath;
  } catch {
    return process.execPath;
  }
})();

export interface Ran { readonly code: number | null; readonly out: Buffer; readonly text: string; readonly err: string }
export interface RunOptions { readonly input?: string; readonly killAfterMs?: number; readonly env?: Readonly<Record<string, string>>; readonly cwd?: string }

export function runCli(args: readonly string[], { input = '', killAfterMs, env = {}, cwd }: RunOptions = {}): Promise<Ran> {
  const child = spawn(userNode, [cliScript, ...args], { stdio: 'pipe', env: { ...process.env, ...env }, ...(cwd === undefined ? {} : { cwd }) });
  const out: Buffer[] = [];
  let err = '';
  child.stdout.on('data', (part: Buffer) => out.push(part));
  child.stderr.setEncoding('utf8').on('data', (part: string) => { err += part; });
  // A command that ends without reading its input says so by its exit code.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  if (killAfterMs !== undefined) setTimeout(() => child.kill('SIGINT'), killAfterMs);
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, out: Buffer.concat(out), text: Buffer.concat(out).toString('utf8'), err })));
}
