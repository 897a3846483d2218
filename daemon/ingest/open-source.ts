import { type FileHandle, open } from 'node:fs/promises';
import { type NativeDuckDB, native } from '../../native/index.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { withFileNames } from '../../pushdown/plan/file-words.js';
import { parquetSchemaSql, refuseParquetLosses } from '../../pushdown/plan/parquet-losses.js';
import { parquetSource, retyped } from '../../pushdown/plan/source-sql.js';
import { sqlType } from '../../pushdown/plan/sql-type.js';
import { registerArrow } from './arrow-source.js';
import { appended, type ColumnTypes, inTypes, typesOf } from './append-source.js';
import type { ToIngest } from './protocol.js';
import { readCells } from './result-cell.js';
import { stageText } from './text-source.js';

/** The files of one load as a relation. */
export interface OpenSource {
  readonly db: NativeDuckDB;
  /** What stands behind FROM; rows come in the order of the files, behind those of `basePath`, in the columns and types of `extend`. */
  readonly relation: string;
  /** An error of DuckDB about the files, by names that mean something. */
  named(error: unknown): unknown;
  close(): Promise<void>;
}

type Start = Extract<ToIngest, { kind: 'start' }> & { /** Types of columns, where the files have them. */ readonly knownTypes?: Readonly<Record<string, string>> };

/**
 * Opens every file once, by descriptor: no glob character, hive directory or URL in a path means anything, and a renamed file
 * stays the same. DuckDB may read those files and nothing else.
 * @throws MillraceError MR_FILE_INVALID, MR_TYPE_UNSUPPORTED, MR_TABLE_INVALID, MR_SQL_*
 */
export async function openSource(start: Extract<ToIngest, { kind: 'start' }>): Promise<OpenSource> {
  const files: FileHandle[] = [];
  let db: NativeDuckDB | undefined;
  const close = async (): Promise<void> => {
    db?.close();
    for (const file of files) await file.close();
  };
  const named = (error: unknown): unknown => (error instanceof MillraceError ? new MillraceError(error.code, withFileNames(error.message, (fd) => labelOf(files, start.paths.length, fd)), { ...error.at, cause: error }) : error);
  try {
    for (const path of start.paths) files.push(await openFile(path));
    if ((start.format === 'csv' || start.format === 'json') && (await Promise.all(files.map((file) => file.stat()))).every(({ size }) => size === 0)) throw new MillraceError('MR_FILE_INVALID', files.length === 1 ? 'The file is empty.' : 'The files are empty.');
    const opened = files.map((file) => ({ file, path: `/proc/self/fd/${file.fd}` }));
    const text = start.format === 'csv' || start.format === 'json';
    db = native().openDuckDB({
      ...(text ? { path: start.stagePath } : {}),
      memoryLimitBytes: start.memoryLimitBytes, threads: start.threads, locked: true, allowedPaths: opened.map(({ path }) => path),
    });
    if (start.extend) {
      const types = new Map(start.extend.columns.map(({ name, type }) => [name, sqlType(type)]));
      return { db, relation: await inTypes(db, types, retyped(start.format, start.options, await relationOf(db, withTypes(start, types), opened))), named, close };
    }
    if (start.basePath === undefined) return { db, relation: retyped(start.format, start.options, await relationOf(db, start, opened)), named, close };
    const baseFile = await openFile(start.basePath);
    files.push(baseFile);
    const base = await registerArrow(db, native().mapFile(baseFile.fd), 'base');
    const types = await typesOf(db, base);
    return { db, relation: await appended(db, base, types, retyped(start.format, start.options, await relationOf(db, withTypes(start, types), opened))), named, close };
  } catch (error) {
    const told = named(error); // while the descriptors are there
    await close();
    throw told;
  }
}

function labelOf(files: readonly FileHandle[], count: number, fd: number): string {
  const at = files.findIndex((file) => file.fd === fd);
  return count === 1 || at < 0 || at >= count ? 'the file' : `file ${at + 1} of ${count}`;
}

/** A CSV file that is appended is read in the types the dataset has: '007' stays a text. */
function withTypes(start: Start, types: ColumnTypes): Start {
  if (start.format !== 'csv') return start;
  return { ...start, knownTypes: Object.fromEntries([...types].filter(([, type]) => !/[([]/.test(type) || type.startsWith('DECIMAL('))) };
}

async function relationOf(db: NativeDuckDB, { format, options, knownTypes }: Start, files: readonly { readonly file: FileHandle; readonly path: string }[]): Promise<string> {
  switch (format) {
    case 'csv':
    case 'json':
      return stageText(db, format, files, options, knownTypes);
    case 'parquet': {
      const paths = files.map(({ path }) => path);
      const elements = readCells(await db.query(parquetSchemaSql(paths)));
      refuseParquetLosses(elements.map(([file, name, children, loss]) => ({ file: String(file), name: String(name), children: Number(children), loss: loss === null ? undefined : String(loss) })), options);
      return parquetSource(paths);
    }
    case 'arrow': {
      const relations: string[] = [];
      for (const [i, { file }] of files.entries()) relations.push(await registerArrow(db, native().mapFile(file.fd), `arrow_file_${i}`));
      return relations.length === 1 ? (relations[0] ?? '') : `(${relations.map((relation) => `SELECT * FROM ${relation}`).join(' UNION ALL BY NAME ')})`;
    }
    default:
      return format satisfies never;
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    throw new MillraceError('MR_FILE_INVALID', `The file cannot be opened: ${error instanceof Error ? error.message : String(error)}`);
  }
}
