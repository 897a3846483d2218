import { createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { quoteName } from '../../../pushdown/plan/sql-expr.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import type { Client } from '../../node/client.js';
import { bytesText } from '../bytes.js';
import { type FileFormat, fileFormats, isBinary, writeRows } from '../output/formats.js';
import { withProgress } from '../output/progress.js';
import { wholeFile } from '../output/whole-file.js';
import { type ConnectSettings, withClient } from '../settings.js';

export interface ExportSettings extends ConnectSettings {
  readonly output?: string;
}

/** Writes a dataset to a file, or to stdout without one (`-`); a file appears whole or not at all. */
export async function exportDataset(name: string, file: string | undefined, settings: ExportSettings, signal: AbortSignal): Promise<void> {
  const { target, format } = destination(file, settings.output);
  if (target === undefined && isBinary(format) && process.stdout.isTTY) throw new MillraceError('MR_USAGE', `${format} is not for a terminal: name a file (millrace export ${name} FILE).`);
  await withClient(settings, async (client) => {
    try {
      // The daemon's own Arrow stream keeps every type; the other formats are made here of the rows.
      await (format === 'arrow' ? arrowStream(client, name, target, signal) : rowsOf(client, name, format, target, signal));
    } catch (error) {
      if (signal.aborted) throw new MillraceError('MR_CANCELLED', 'The export was cancelled.', { cause: error });
      throw error;
    }
    if (target !== undefined) process.stderr.write(`${target}: ${bytesText((await stat(target)).size)}\n`);
  });
}

const endings: Readonly<Record<string, FileFormat>> = {
  '.arrow': 'arrow', '.arrows': 'arrow', '.feather': 'arrow', '.ipc': 'arrow', '.csv': 'csv', '.json': 'json', '.ndjson': 'json', '.jsonl': 'json', '.npy': 'npy', '.parquet': 'parquet', '.pq': 'parquet',
};

/** `-o` names a format, or (as `-o rows.parquet`) the file. Where nothing names a format, the file's ending must; stdout gets Arrow. */
function destination(file: string | undefined, output: string | undefined): { readonly target: string | undefined; readonly format: FileFormat } {
  const named = fileFormats.find((f) => f === output);
  if (output !== undefined && !named && file !== undefined) throw new MillraceError('MR_USAGE', `'${output}' is no format: choose ${fileFormats.join(', ')}.`);
  const path = file ?? (named ? undefined : output);
  const target = path === '-' ? undefined : path;
  const format = named ?? (target === undefined ? 'arrow' : endings[extname(target).toLowerCase()]);
  if (!format) throw new MillraceError('MR_USAGE', `The ending of '${target}' names no format: use ${Object.keys(endings).join(' ')}, or say it (-o ${fileFormats.join('|')}).`, { field: 'file' });
  return { target, format };
}

async function arrowStream(client: Client, name: string, target: string | undefined, signal: AbortSignal): Promise<void> {
  const { storedBytes } = (await client.datasets()).find((d) => d.name.toLowerCase() === name.toLowerCase()) ?? { storedBytes: 0 };
  const stream = await client.export(name);
  let bytes = 0;
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      bytes += chunk.byteLength;
      next(null, chunk);
    },
  });
  // Widened to logical types it is longer than what is stored; how much is known at the end.
  const observe = () => ({ done: bytes, total: Math.max(storedBytes, bytes), bytes });
  await withProgress(observe, async () => {
    if (target === undefined) await pipeline(stream, meter, process.stdout, { signal, end: false });
    else await wholeFile(target, (path) => pipeline(stream, meter, createWriteStream(path, { flags: 'wx' }), { signal }));
  });
}

async function rowsOf(client: Client, name: string, format: FileFormat, target: string | undefined, signal: AbortSignal): Promise<void> {
  const { rows: total } = await client.info(name);
  const run = await client.sqlEngine.run(`SELECT * FROM ${quoteName(name)}`, { signal });
  let rows = 0;
  const counted = {
    columns: run.columns,
    async *[Symbol.asyncIterator]() {
      for await (const batch of run) {
        rows += batch.rows;
        yield batch;
      }
    },
  };
  await withProgress(() => ({ done: rows, total, rows, bytes: run.stats().linkBytes }), () => writeRows(counted, format, target, signal));
}
