import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { Transform } from 'node:stream';
import { MillraceError } from '../../../pushdown/types/error.js';
import { bytesText } from '../bytes.js';
import { withProgress } from '../output/progress.js';
import { writeOut } from '../output/write.js';
import { type ConnectSettings, withClient } from '../settings.js';

export interface PutSettings extends ConnectSettings {
  readonly name?: string;
  readonly replace?: boolean;
  readonly format?: 'parquet' | 'arrow';
  /** Say what would be loaded, and load nothing. */
  readonly dryRun?: boolean;
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
    if (settings.dryRun) {
      const current = (await client.datasets()).find((d) => d.name.toLowerCase() === name.toLowerCase());
      return writeOut(`${JSON.stringify({ dryRun: true, file, name, format, bytes: found.size, ...(current ? { exists: { version: current.version, rows: current.rows }, refused: !settings.replace } : {}) })}\n`);
    }
    const started = performance.now();
    const meter = new Meter();
    const source = createReadStream(file, { highWaterMark: 1 << 20 }).pipe(meter.stream);
    const observe = () => ({ done: meter.bytes, total: found.size, bytes: meter.bytes, doing: meter.bytes === found.size ? 'loading' : `of ${bytesText(found.size)}` });
    const info = await withProgress(observe, () => client.put(name, source, { format, replace: settings.replace ?? false, signal }));
    process.stderr.write(`${info.name}: ${info.rows} rows in ${info.rowGroups} row groups, ${bytesText(info.storedBytes)} stored, ${((performance.now() - started) / 1000).toFixed(1)} s\n`);
  });
}

/** The file's name without its ending, as a dataset may be called. */
export function nameOf(file: string): string {
  const bare = basename(file, extname(file)).replace(/[^A-Za-z0-9_.-]/g, '_').slice(0, 128);
  return /^[A-Za-z0-9_]/.test(bare) ? bare : `d${bare}`.slice(0, 128);
}

/** Counts what passes. */
class Meter {
  bytes = 0;
  readonly stream = new Transform({
    transform: (chunk: Buffer, _encoding, next) => {
      this.bytes += chunk.byteLength;
      next(null, chunk);
    },
  });
}
