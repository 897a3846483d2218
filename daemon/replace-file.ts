import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { MillraceError } from '../pushdown/types/error.js';
import { syncDirectory } from './datasets/sync-directory.js';

/**
 * Writes a small file anew, whole or not at all: beside, synced, renamed. The new file's name, made exclusively, is the lock
 * as well, so `text` may read the old one. Throws MR_TOKEN_BUSY, MR_TOKEN_FILE and what `text` throws.
 */
export function replaceFile(path: string, text: () => string): void {
  const beside = `${path}.new`;
  let fd: number;
  try {
    fd = openSync(beside, 'wx', 0o600);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw new MillraceError('MR_TOKEN_BUSY', `Another command is changing the file: try again; if none is, remove ${beside}.`, { cause });
    throw new MillraceError('MR_TOKEN_FILE', `${path} cannot be written (${code ?? String(cause)}).`, { cause });
  }
  try {
    writeSync(fd, text());
    fsyncSync(fd);
    renameSync(beside, path);
    syncDirectory(dirname(path));
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}
