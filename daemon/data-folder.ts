import { mkdirSync, realpathSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { MillraceError } from '../pushdown/types/error.js';

/** The data folder's own path; it is made where it is absent. @throws MillraceError MR_CONFIG */
export function dataFolder(dir: string): string {
  try {
    makeMissing(resolve(dir));
    return realpathSync(dir);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === 'EEXIST' || code === 'ENOTDIR' ? 'a file is in its way' : (code ?? String(cause));
    throw new MillraceError('MR_CONFIG', `dir: ${dir} cannot be made or used as a folder (${why}).`, { field: 'dir', cause });
  }
}

/** One by one: where a file system takes no folders (/proc), Node's recursive mkdir never ends. */
function makeMissing(dir: string): void {
  if (isFolder(dir)) return;
  if (dirname(dir) !== dir) makeMissing(dirname(dir));
  try {
    mkdirSync(dir, { mode: 0o700 });
  } catch (error) {
    // Another daemon may have made it at the same time.
    if (!isFolder(dir)) throw error;
  }
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
