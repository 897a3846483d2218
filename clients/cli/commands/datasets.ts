import { stat } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm as removeFile } from 'node:fs/promises';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { sqlType } from '../../../pushdown/plan/sql-type.js';
import type { DatasetInfo } from '../../../pushdown/types/dataset-info.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import { bytesText } from '../bytes.js';
import { textTable } from '../output/table.js';
import { writeOut } from '../output/write.js';
import { type ConnectSettings, withClient } from '../settings.js';

export interface PutSettings extends ConnectSettings {
  readonly name?: string;
  readonly replace?: boolean;
  readonly format?: 'parquet' | 'arrow';
}

/** Loads a local file as a dataset. */
export async function put(file: string, settings: PutSettings, signal: AbortSignal): Promise<void> {
  const found = await stat(file).catch((cause: unknown) => {
    throw new MillraceError('MR_FILE', `${file} cannot be read (${(cause as NodeJS.ErrnoException).code ?? String(cause)}).`, { cause });
  });
  if (!found.isFile()) throw new MillraceError('MR_FILE', `${file} is no file.`);
  const name = settings.name ?? nameOf(file);
  const format = settings.format ?? (/\.(arrows?|feather|ipc)$/i.test(file) ? 'arrow' : 'parquet');
  await withClient(settings, async (client) => {
    const started = performance.now();
    const source = createReadStream(file, { highWaterMark: 1 << 20 }).pipe(progress(found.size));
    const info = await client.put(name, source, { format, replace: settings.replace ?? false, signal });
    process.stderr.write(`${clearLine()}${info.name}: ${info.rows} rows in ${info.rowGroups} row groups, ${bytesText(info.storedBytes)} stored, ${((performance.now() - started) / 1000).toFixed(1)} s\n`);
  });
}

export async function ls(settings: ConnectSettings & { readonly output?: 'table' | 'json' }): Promise<void> {
  await withClient(settings, async (client) => {
    const datasets = await client.datasets();
    const format = settings.output ?? (process.stdout.isTTY ? 'table' : 'json');
    await writeOut(format === 'json' ? datasets.map((d) => `${JSON.stringify(d)}\n`).join('') : datasetTable(datasets));
  });
}

function datasetTable(datasets: readonly DatasetInfo[]): string {
  if (datasets.length === 0) return 'no datasets yet: millrace put FILE loads one\n';
  const right = (name: string) => ({ name, numeric: true });
  const left = (name: string) => ({ name, numeric: false });
  const columns = (d: DatasetInfo) => {
    const shown = d.columns.slice(0, 6).map((c) => `${c.name} ${sqlType(c.type)}`).join(', ');
    return d.columns.length > 6 ? `${shown}, ... (${d.columns.length})` : shown;
  };
  return textTable(
    [left('name'), right('version'), right('rows'), right('row groups'), right('stored'), left('columns')],
    datasets.map((d) => [d.name, String(d.version), String(d.rows), String(d.rowGroups), bytesText(d.storedBytes), columns(d)]),
  );
}

export async function rm(names: readonly string[], settings: ConnectSettings): Promise<void> {
  await withClient(settings, async (client) => {
    for (const name of names) {
      await client.remove(name);
      process.stderr.write(`removed ${name}\n`);
    }
  });
}

/** Writes a dataset as an Arrow IPC stream; a file appears whole or not at all. */
export async function exportDataset(name: string, settings: ConnectSettings & { readonly output: string }, signal: AbortSignal): Promise<void> {
  if (settings.output === '-' && process.stdout.isTTY) throw new MillraceError('MR_USAGE', 'An Arrow stream is not for a terminal: give a file with -o.');
  await withClient(settings, async (client) => {
    const stream = await client.export(name);
    if (settings.output === '-') return pipeline(stream, process.stdout, { signal, end: false });
    const partial = `${settings.output}.partial-${process.pid}`;
    try {
      await pipeline(stream, createWriteStream(partial, { flags: 'wx' }), { signal });
      await rename(partial, settings.output);
    } catch (error) {
      await removeFile(partial, { force: true });
      if (signal.aborted) throw new MillraceError('MR_CANCELLED', 'The export was cancelled.', { cause: error });
      throw error;
    }
    process.stderr.write(`${settings.output}: ${bytesText((await stat(settings.output)).size)}\n`);
  });
}

/** The file's name without its ending, as a dataset may be called. */
export function nameOf(file: string): string {
  const bare = basename(file, extname(file)).replace(/[^A-Za-z0-9_.-]/g, '_').slice(0, 128);
  return /^[A-Za-z0-9_]/.test(bare) ? bare : `d${bare}`.slice(0, 128);
}

function progress(total: number): Transform {
  let done = 0;
  let shown = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, next) {
      done += chunk.byteLength;
      if (process.stderr.isTTY && performance.now() - shown > 100) {
        shown = performance.now();
        process.stderr.write(`${clearLine()}sent ${bytesText(done)} of ${bytesText(total)}${done === total ? ', loading' : ''}`);
      }
      next(null, chunk);
    },
  });
}

const clearLine = () => (process.stderr.isTTY ? '\r\u001b[K' : '');
