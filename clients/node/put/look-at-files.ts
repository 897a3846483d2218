import { type FileHandle, open } from 'node:fs/promises';
import { RecordBatchReader } from 'apache-arrow';
import { native } from '../../../native/index.js';
import { arrowWords, fileWords, withFileNames } from '../../../pushdown/plan/file-words.js';
import { parquetSchemaSql, refuseParquetLosses } from '../../../pushdown/plan/parquet-losses.js';
import { type Compression, compressionBytes, compressionOf, oneCompression, parquetSource, retyped, textSource } from '../../../pushdown/plan/source-sql.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import type { SourceFormat, SourceOptions } from '../../../pushdown/types/source-options.js';
import { batchRows } from '../result/value.js';
import { batchesOf } from '../sql/duck-result.js';

export interface FoundColumn {
  readonly name: string;
  /** DuckDB's words for text and Parquet files, Arrow's for Arrow files. */
  readonly type: string;
}

const memoryLimitBytes = 512 << 20;

/**
 * The columns a load of these files would find, read on this machine as the daemon reads them: text files by the same sniffer,
 * which looks at their beginning; nothing is loaded and no rows are checked.
 * @throws MillraceError MR_FILE, MR_FILE_INVALID, MR_TYPE_UNSUPPORTED, MR_SOURCE_OPTION
 */
export async function lookAtFiles(paths: readonly string[], format: SourceFormat, options: SourceOptions): Promise<readonly FoundColumn[]> {
  const files: FileHandle[] = [];
  try {
    for (const path of paths) files.push(await opened(path));
    if ((format === 'csv' || format === 'json') && (await Promise.all(files.map((file) => file.stat()))).every(({ size }) => size === 0)) throw new MillraceError('MR_FILE_INVALID', files.length === 1 ? 'The file is empty.' : 'The files are empty.');
    return format === 'arrow' ? await arrowColumns(files, options) : await duckColumns(files, format, options);
  } catch (error) {
    if (!(error instanceof MillraceError && /^MR_SQL_|^MR_TABLE_INVALID$/.test(error.code))) throw error;
    const { detail, field } = fileWords(withFileNames(error.message, (fd) => paths[files.findIndex((file) => file.fd === fd)] ?? 'the file'));
    throw new MillraceError('MR_FILE_INVALID', `The file cannot be read: ${detail}`, { cause: error, ...(field === undefined ? {} : { field }) });
  } finally {
    for (const file of files) await file.close();
  }
}

async function duckColumns(files: readonly FileHandle[], format: 'csv' | 'json' | 'parquet', options: SourceOptions): Promise<readonly FoundColumn[]> {
  // By descriptor: no glob character, hive directory or URL in a path means anything.
  const paths = files.map(({ fd }) => `/proc/self/fd/${fd}`);
  const source = format === 'parquet' ? parquetSource(paths) : textSource(format, paths, oneCompression(await Promise.all(files.map(compressionOfFile))), options);
  const db = native().openDuckDB({ memoryLimitBytes, threads: 1, locked: true, allowedPaths: paths });
  const rowsOf = async (sql: string) => batchesOf(await db.query(sql)).batches.flatMap((batch) => batchRows(batch));
  try {
    if (format === 'parquet') refuseParquetLosses((await rowsOf(parquetSchemaSql(paths))).map((row) => ({ file: String(row.file_name), name: String(row.name), children: Number(row.children), loss: row.loss === null ? undefined : String(row.loss) })), options);
    return (await rowsOf(`SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM ${retyped(format, options, source)})`)).map((row) => ({ name: String(row.column_name), type: String(row.column_type) }));
  } finally {
    db.close();
  }
}

/** What the schemas at the files' beginnings say; a column of several files stands where it first occurs. */
async function arrowColumns(files: readonly FileHandle[], { types = {} }: SourceOptions): Promise<readonly FoundColumn[]> {
  const found = new Map<string, string>();
  for (const file of files) {
    try {
      const reader = await RecordBatchReader.from(file);
      await reader.open({ autoDestroy: false });
      for (const { name, type } of reader.schema.fields) if (!found.has(name)) found.set(name, types[name] ?? String(type));
    } catch (cause) {
      throw new MillraceError('MR_FILE_INVALID', `This is not an Arrow IPC file or stream that can be read: ${arrowWords(cause)}`, { cause });
    }
  }
  return [...found].map(([name, type]) => ({ name, type }));
}

async function compressionOfFile(file: FileHandle): Promise<Compression> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(compressionBytes), 0, compressionBytes, 0);
  return compressionOf(buffer.subarray(0, bytesRead));
}

async function opened(path: string): Promise<FileHandle> {
  return open(path, 'r').catch((cause: NodeJS.ErrnoException) => {
    throw new MillraceError('MR_FILE', `${path} cannot be read (${cause.code ?? String(cause)}).`, { field: 'path', cause });
  });
}
