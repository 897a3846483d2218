import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

export const historyEntriesMax = 1000;

/** `$MILLRACE_HISTORY`, or XDG's state folder. */
export function historyPath(env: NodeJS.ProcessEnv = process.env): string {
  return env.MILLRACE_HISTORY ?? join(env.XDG_STATE_HOME ?? join(homedir(), '.local/state'), 'millrace/history');
}

/** Statements, newest first as readline wants them. One that cannot be read is empty: a shell works without. */
export async function readHistory(path: string): Promise<string[]> {
  try {
    return (await readFile(path, 'utf8')).split('\n').filter(Boolean).slice(-historyEntriesMax).reverse();
  } catch {
    return [];
  }
}

/** Written whole and for its owner alone: statements may hold what others should not see. */
export async function writeHistory(path: string, newestFirst: readonly string[]): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const partial = `${path}.${process.pid}`;
  await writeFile(partial, newestFirst.slice(0, historyEntriesMax).reverse().map((line) => `${line.replaceAll('\n', ' ')}\n`).join(''), { mode: 0o600 });
  await rename(partial, path);
}
