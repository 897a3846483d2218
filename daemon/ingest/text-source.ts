import type { FileHandle } from 'node:fs/promises';
import type { NativeDuckDB } from '../../native/index.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { typesOf } from './append-source.js';
import type { SourceOptions } from '../../pushdown/types/source-options.js';

/** The name the parsed rows have in DuckDB. */
const staged = 'staged';
/** One JSON document at most: a row group takes no larger value either. */
const jsonBytesMax = 64 << 20;

export interface TextFile {
  readonly path: string;
  readonly file: FileHandle;
}

/**
 * Parses CSV or JSON files once, in their order, into a table of the staging database: every later pass reads the same typed
 * rows. Types are DuckDB's sniffer's unless `options.types` says otherwise.
 * @returns what to put behind FROM
 * @throws MillraceError MR_FILE_INVALID, MR_SQL_*
 */
export async function stageText(db: NativeDuckDB, format: 'csv' | 'json', files: readonly TextFile[], options: SourceOptions, knownTypes?: Readonly<Record<string, string>>): Promise<string> {
  const byCompression = new Map<Compression, string[]>();
  for (const { path, file } of files) {
    const compression = await compressionOf(file);
    byCompression.set(compression, [...(byCompression.get(compression) ?? []), path]);
  }
  if (byCompression.size > 1) throw new MillraceError('MR_FILE_INVALID', 'Some of the files are compressed otherwise than others: load files of one kind, or append.');
  const [[compression, paths]] = [...byCompression] as [[Compression, string[]]];
  const source = format === 'csv' ? csvSource(paths, compression, await withKnownTypes(db, paths, compression, options, knownTypes)) : jsonSource(paths, compression);
  await db.query(`CREATE TABLE ${staged} AS SELECT * FROM ${source}`);
  return staged;
}

/** Types for the columns the files have: the reader refuses others. */
async function withKnownTypes(db: NativeDuckDB, paths: readonly string[], compression: Compression, options: SourceOptions, knownTypes: Readonly<Record<string, string>> = {}): Promise<SourceOptions> {
  if (Object.keys(knownTypes).length === 0) return options;
  const names = [...(await typesOf(db, csvSource(paths, compression, options))).keys()];
  const known = names.flatMap((name) => (Object.hasOwn(knownTypes, name) ? [[name, knownTypes[name] ?? '']] : []));
  return { ...options, types: { ...Object.fromEntries(known), ...options.types } };
}

type Compression = 'uncompressed' | 'gzip' | 'zstd';

/** By the first bytes: the file lies under a name of ours. */
async function compressionOf(file: FileHandle): Promise<Compression> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
  if (bytesRead >= 2 && buffer[0] === 0x1f && buffer[1] === 0x8b) return 'gzip';
  return bytesRead === 4 && buffer.readUInt32LE() === 0xfd2fb528 ? 'zstd' : 'uncompressed';
}

function csvSource(paths: readonly string[], compression: Compression, { types, delimiter, header, nullText, quote }: SourceOptions): string {
  const settings = [
    `compression = '${compression}'`,
    'hive_partitioning = false',
    // Names must agree between files; DuckDB would otherwise read by position.
    ...(paths.length > 1 ? ['union_by_name = true'] : []),
    ...(delimiter === undefined ? [] : [`delim = ${literal(delimiter)}`]),
    ...(header === undefined ? [] : [`header = ${header}`]),
    ...(nullText === undefined ? [] : [`nullstr = [${literal(nullText)}, '']`]),
    ...(quote === undefined ? [] : [`quote = ${literal(quote)}`]),
    ...(types === undefined || Object.keys(types).length === 0 ? [] : [`types = {${Object.entries(types).map(([name, type]) => `${literal(name)}: ${literal(type)}`).join(', ')}}`]),
  ];
  return `read_csv(${pathList(paths)}, ${settings.join(', ')})`;
}

function jsonSource(paths: readonly string[], compression: Compression): string {
  return `read_json(${pathList(paths)}, compression = '${compression}', maximum_object_size = ${jsonBytesMax}, union_by_name = ${paths.length > 1}, hive_partitioning = false)`;
}

export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
export const pathList = (paths: readonly string[]): string => `[${paths.map(literal).join(', ')}]`;
