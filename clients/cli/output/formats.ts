import { type FileHandle, open } from 'node:fs/promises';
import { native } from '../../../native/index.js';
import { naturalPhysical } from '../../../pushdown/plan/schema.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import type { Batch } from '../../../pushdown/types/batch.js';
import type { LogicalType } from '../../../pushdown/types/logical.js';
import { wholeFile } from './whole-file.js';
import { writeOut } from './write.js';

/** What rows can be written as, besides the table of a terminal. */
export const fileFormats = ['json', 'csv', 'arrow', 'parquet', 'npy'] as const;
export type FileFormat = (typeof fileFormats)[number];

/** Rows as they come, and what they are. */
export interface Rows extends AsyncIterable<Batch> {
  readonly columns: readonly { readonly name: string; readonly type: LogicalType }[];
}

/** Formats a terminal would choke on. */
export const isBinary = (format: string): boolean => format === 'arrow' || format === 'parquet' || format === 'npy';

const parquetMemoryBytes = 512 << 20;

/** Writes rows to a file, or to stdout where `target` is undefined. Resolves with how many. */
export async function writeRows(rows: Rows, format: FileFormat, target: string | undefined, signal: AbortSignal): Promise<number> {
  if (target === undefined && isBinary(format) && process.stdout.isTTY) throw new MillraceError('MR_USAGE', `${format} is not for a terminal: redirect it (> rows.${format}).`);
  // Their heads or tails are known last, so they are files first wherever they go.
  if (format === 'parquet') return wholeFile(target, (path) => parquet(rows, path, signal));
  if (format === 'npy') return wholeFile(target, (path) => inFile(path, (file) => npy(rows, file)));
  const parts = streams[format];
  if (target === undefined) return parts(rows, writeOut);
  return wholeFile(target, (path) => inFile(path, (file) => parts(rows, (bytes) => append(file, bytes))));
}

type Write = (bytes: string | Uint8Array) => Promise<void>;

const streams: Readonly<Record<'json' | 'csv' | 'arrow', (rows: Rows, write: Write) => Promise<number>>> = {
  async json(rows, write) {
    const { ndjson } = await import('../../node/result/row-text.js');
    return each(rows, (batch) => write(ndjson(batch)));
  },
  async csv(rows, write) {
    const { csv, csvHeader } = await import('../../node/result/row-text.js');
    await write(csvHeader(rows.columns));
    return each(rows, (batch) => write(csv(batch)));
  },
  async arrow(rows, write) {
    const { arrowIpc } = await import('../../node/result/arrow-ipc.js');
    let count = 0;
    const counted = async function* () {
      for await (const batch of rows) {
        count += batch.rows;
        yield batch;
      }
    };
    const columns = rows.columns.map((c) => ({ ...c, physical: naturalPhysical(c.type), nullable: true }));
    for await (const part of arrowIpc(columns, counted())) await write(part);
    return count;
  },
};

async function parquet(rows: Rows, path: string, signal: AbortSignal): Promise<number> {
  const { writeParquet } = await import('../../node/result/parquet-file.js');
  // Ours are the only statements this engine sees; still it reaches nothing but its output.
  const engine = (database: string) => native().openDuckDB({ path: database, memoryLimitBytes: parquetMemoryBytes, threads: 2, locked: true, allowedPaths: [path] });
  return writeParquet(rows.columns, rows, { path, open: engine, signal });
}

async function npy(rows: Rows, file: FileHandle): Promise<number> {
  const { NpyWriter } = await import('../../node/result/npy.js');
  const writer = new NpyWriter(rows.columns);
  await append(file, writer.header(0));
  const count = await each(rows, (batch) => append(file, writer.body(batch)));
  const header = writer.header(count);
  await file.write(header, 0, header.byteLength, 0);
  return count;
}

async function inFile<T>(path: string, write: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await open(path, 'wx');
  try {
    return await write(file);
  } finally {
    await file.close();
  }
}

const append: (file: FileHandle, bytes: string | Uint8Array) => Promise<void> = (file, bytes) => file.appendFile(bytes);

async function each(rows: Rows, write: (batch: Batch) => Promise<void>): Promise<number> {
  let count = 0;
  for await (const batch of rows) {
    count += batch.rows;
    await write(batch);
  }
  return count;
}
