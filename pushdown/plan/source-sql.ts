import { MillraceError } from '../types/error.js';
import type { SourceFormat, SourceOptions } from '../types/source-options.js';
import { quoteName } from './sql-expr.js';

// How DuckDB is asked to read files: in the same words where they are loaded and where they are only looked at, so that both find the same types.

export type Compression = 'uncompressed' | 'gzip' | 'zstd';
export const compressionBytes = 4;
/** One JSON document at most: a row group takes no larger value either. */
const jsonBytesMax = 64 << 20;

/** By the first bytes (compressionBytes of them, where there are so many): names say nothing about what lies under them. */
export function compressionOf(first: Uint8Array): Compression {
  if (first[0] === 0x1f && first[1] === 0x8b) return 'gzip';
  return first[0] === 0x28 && first[1] === 0xb5 && first[2] === 0x2f && first[3] === 0xfd ? 'zstd' : 'uncompressed';
}

/** @throws MillraceError MR_FILE_INVALID: one reader takes one compression */
export function oneCompression(found: readonly Compression[]): Compression {
  const [first = 'uncompressed', ...others] = new Set(found);
  if (others.length > 0) throw new MillraceError('MR_FILE_INVALID', 'Some of the files are compressed otherwise than others: load files of one kind, or append.');
  return first;
}

/** What stands behind FROM for text files. Types are DuckDB's sniffer's unless `options.types` says otherwise. */
export function textSource(format: 'csv' | 'json', paths: readonly string[], compression: Compression, options: SourceOptions): string {
  return format === 'csv' ? csvSource(paths, compression, options) : jsonSource(paths, compression);
}

export function parquetSource(paths: readonly string[]): string {
  return `read_parquet(${pathList(paths)}, hive_partitioning = false, union_by_name = ${paths.length > 1})`;
}

export const parquetSchemaOf = (paths: readonly string[]): string => `parquet_schema(${pathList(paths)})`;

/** Types the caller wants otherwise. The CSV reader got them already. @throws MillraceError MR_SOURCE_OPTION */
export function retyped(format: SourceFormat, options: SourceOptions, relation: string): string {
  const types = Object.entries(options.types ?? {});
  if (types.length === 0 || format === 'csv') return relation;
  return `(SELECT * REPLACE (${types.map(([name, type]) => `CAST(${quoteName(name)} AS ${typeText(type)}) AS ${quoteName(name)}`).join(', ')}) FROM ${relation})`;
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

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
const pathList = (paths: readonly string[]): string => `[${paths.map(literal).join(', ')}]`;
