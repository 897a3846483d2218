import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { packageRoot } from '../../native/index.js';

export interface Served {
  readonly url: string;
  readonly dir: string;
  /** Ends the daemon in order and removes its directory. */
  stop(): Promise<void>;
}

/** `millrace serve` in a directory of its own, as a user would start it. */
export async function serve(flags: readonly string[] = []): Promise<Served> {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-'));
  const child = spawn(process.execPath, [join(packageRoot, 'dist/clients/cli/main.js'), 'serve', '--dir', dir, '--port', '0', ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
    rmSync(dir, { recursive: true, force: true });
  };
  const listening = new Promise<string>((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const { ready, url } = JSON.parse(line) as { ready?: boolean; url?: string };
      if (ready && url) resolve(url);
    });
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop().then(() => process.exit(130)));
  const url = await Promise.race([listening, ended.then((code) => Promise.reject(new Error(`the daemon ended with ${code} before it listened`)))]).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return { url, dir, stop };
}
