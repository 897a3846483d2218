import { type FileHandle, open } from 'node:fs/promises';
import { type NativeDuckDB, native } from '../../native/index.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { sqlType } from '../../pushdown/plan/sql-type.js';
import { registerArrow } from './arrow-source.js';
import { appended, type ColumnTypes, inTypes, typesOf } from './append-source.js';
import { quoted } from './column-type.js';
import type { ToIngest } from './protocol.js';
import { pathList, stageText } from './text-source.js';

/** The files of one load as a relation. */
export interface OpenSource {
  readonly db: NativeDuckDB;
  /** What stands behind FROM; rows come in the order of the files, behind those of `basePath`, in the columns and types of `extend`. */
  readonly relation: string;
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
  try {
    for (const path of start.paths) files.push(await openFile(path));
    const named = files.map((file) => ({ file, path: `/proc/self/fd/${file.fd}` }));
    const text = start.format === 'csv' || start.format === 'json';
    db = native().openDuckDB({
      ...(text ? { path: start.stagePath } : {}),
      memoryLimitBytes: start.memoryLimitBytes, threads: start.threads, locked: true, allowedPaths: named.map(({ path }) => path),
    });
    if (start.extend) {
      const types = new Map(start.extend.columns.map(({ name, type }) => [name, sqlType(type)]));
      return { db, relation: await inTypes(db, types, retyped(start, await relationOf(db, withTypes(start, types), named))), close };
    }
    if (start.basePath === undefined) return { db, relation: retyped(start, await relationOf(db, start, named)), close };
    const baseFile = await openFile(start.basePath);
    files.push(baseFile);
    const base = await registerArrow(db, native().mapFile(baseFile.fd), 'base');
    const types = await typesOf(db, base);
    return { db, relation: await appended(db, base, types, retyped(start, await relationOf(db, withTypes(start, types), named))), close };
  } catch (error) {
    await close();
    throw error;
  }
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
    case 'parquet':
      return `read_parquet(${pathList(files.map(({ path }) => path))}, hive_partitioning = false, union_by_name = ${files.length > 1})`;
    case 'arrow': {
      const relations: string[] = [];
      for (const [i, { file }] of files.entries()) relations.push(await registerArrow(db, native().mapFile(file.fd), `arrow_file_${i}`));
      return relations.length === 1 ? (relations[0] ?? '') : `(${relations.map((relation) => `SELECT * FROM ${relation}`).join(' UNION ALL BY NAME ')})`;
    }
    default:
      return format satisfies never;
  }
}

/** Types the caller wants otherwise. The CSV reader got them already. */
function retyped({ format, options }: Start, relation: string): string {
  const types = Object.entries(options.types ?? {});
  if (types.length === 0 || format === 'csv') return relation;
  return `(SELECT * REPLACE (${types.map(([name, type]) => `CAST(${quoted(name)} AS ${typeText(type)}) AS ${quoted(name)}`).join(', ')}) FROM ${relation})`;
}

/** It stands in SQL as it is: nothing but a type may. */
function typeText(type: string): string {
  let depth = 0;
  for (const c of type) {
    depth += c === '(' ? 1 : c === ')' ? -1 : 0;
    if (depth < 0) break;
  }
  if (depth !== 0 || !/^[A-Za-z][A-Za-z0-9_ ,()[\]]*$/.test(type)) throw new MillraceError('MR_SOURCE_OPTION', `'${type}' is not a type: write one of DuckDB's, such as BIGINT, DATE or DECIMAL(12,2).`, { field: 'types' });
  return type;
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    throw new MillraceError('MR_FILE_INVALID', `The file cannot be opened: ${error instanceof Error ? error.message : String(error)}`);
  }
}
