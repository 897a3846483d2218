import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { MillraceError } from '../../../pushdown/types/error.js';
import { formatOfName, sourceFilesMax, type SourceFormat } from '../../../pushdown/types/source-options.js';

export interface LocalFile {
  readonly path: string;
  readonly bytes: number;
}

/**
 * The files a path means, sorted by name: itself; for a folder, the data files in it (known endings, not below); for a name
 * with * or ? that is no file, all files beside it that match. @throws MillraceError MR_FILE
 */
export async function localFiles(path: string): Promise<LocalFile[]> {
  const found = await stat(path).catch((cause: NodeJS.ErrnoException) => (/[*?]/.test(basename(path)) && cause.code === 'ENOENT' ? undefined : unreadable(path, cause)));
  if (found?.isFile()) return [{ path, bytes: found.size }];
  if (found && !found.isDirectory()) throw new MillraceError('MR_FILE', `${path} is neither a file nor a folder.`, { field: 'path' });
  const folder = found ? path : dirname(path);
  const wanted = found ? (name: string) => hasKnownEnding(name) : matcher(basename(path));
  const names = (await readdir(folder).catch((cause: NodeJS.ErrnoException) => unreadable(folder, cause))).filter((name) => !name.startsWith('.') && wanted(name)).sort();
  const files: LocalFile[] = [];
  for (const name of names) {
    const at = join(folder, name);
    const { size, isFile } = await stat(at).then((s) => ({ size: s.size, isFile: s.isFile() }), (cause: NodeJS.ErrnoException) => unreadable(at, cause));
    if (isFile) files.push({ path: at, bytes: size });
  }
  if (files.length === 0) throw new MillraceError('MR_FILE', `${path} has no files to load.`, { field: 'path' });
  return files;
}

/** All files of all paths. @throws MillraceError MR_FILE */
export async function allFiles(paths: readonly string[]): Promise<LocalFile[]> {
  const files = (await Promise.all(paths.map(localFiles))).flat();
  if (files.length > sourceFilesMax) throw new MillraceError('MR_FILE', `${files.length} files were named; one load takes up to ${sourceFilesMax}: append the others.`, { field: 'path' });
  return files;
}

/** What the files are, by their names. @throws MillraceError MR_FILE when they disagree */
export function formatOfFiles(files: readonly LocalFile[]): SourceFormat {
  const formats = new Set(files.map(({ path }) => formatOfName(path)));
  const [format, other] = formats;
  if (other !== undefined) throw new MillraceError('MR_FILE', `The files are of several formats (${[...formats].join(', ')}): name one format, or load and append.`, { field: 'path' });
  return format ?? 'parquet';
}

const hasKnownEnding = (name: string): boolean => formatOfName(name) !== 'parquet' || /\.(parquet|pq)$/i.test(name);

function matcher(pattern: string): (name: string) => boolean {
  const expression = new RegExp(`^${pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*').replaceAll('?', '.')}$`);
  return (name) => expression.test(name);
}

function unreadable(path: string, cause: NodeJS.ErrnoException): never {
  throw new MillraceError('MR_FILE', `${path} cannot be read (${cause.code ?? String(cause)}).`, { field: 'path', cause });
}
