import type { FileHandle } from 'node:fs/promises';
import type { NativeDuckDB } from '../../native/index.js';
import { type Compression, compressionBytes, compressionOf, oneCompression, textSource } from '../../pushdown/plan/source-sql.js';
import { typesOf } from './append-source.js';
import type { SourceOptions } from '../../pushdown/types/source-options.js';
import { mustBeWhole } from './whole-compressed.js';

/** The name the parsed rows have in DuckDB. */
const staged = 'staged';

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
  const compression = oneCompression(await Promise.all(files.map(({ file }) => compressionOfFile(file))));
  const paths = files.map(({ path }) => path);
  const source = textSource(format, paths, compression, format === 'csv' ? await withKnownTypes(db, paths, compression, options, knownTypes) : options);
  await db.query(`CREATE TABLE ${staged} AS SELECT * FROM ${source}`);
  // Afterwards: what is no text at all, however long it would become, has been refused by then.
  if (compression !== 'uncompressed') for (const [i, { file }] of files.entries()) await mustBeWhole(file, compression, files.length === 1 ? 'the file' : `file ${i + 1} of ${files.length}`);
  return staged;
}

/** Types for the columns the files have: the reader refuses others. */
async function withKnownTypes(db: NativeDuckDB, paths: readonly string[], compression: Compression, options: SourceOptions, knownTypes: Readonly<Record<string, string>> = {}): Promise<SourceOptions> {
  if (Object.keys(knownTypes).length === 0) return options;
  const names = [...(await typesOf(db, textSource('csv', paths, compression, options))).keys()];
  const known = names.flatMap((name) => (Object.hasOwn(knownTypes, name) ? [[name, knownTypes[name] ?? '']] : []));
  return { ...options, types: { ...Object.fromEntries(known), ...options.types } };
}

/** The file lies under a name of ours. */
async function compressionOfFile(file: FileHandle): Promise<Compression> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(compressionBytes), 0, compressionBytes, 0);
  return compressionOf(buffer.subarray(0, bytesRead));
}
