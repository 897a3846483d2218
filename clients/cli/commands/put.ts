import { basename } from 'node:path';
import { sqlType } from '../../../pushdown/plan/sql-type.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import type { SourceFormat } from '../../../pushdown/types/source-options.js';
import type { DatasetInfo } from '../../../pushdown/types/dataset-info.js';
import { allFiles, formatOfFiles } from '../../node/put/local-files.js';
import { typesOfText } from '../../node/put/types-text.js';
import type { PutOptions, PutProgress } from '../../node/client.js';
import { bytesText } from '../bytes.js';
import { withProgress } from '../output/progress.js';
import { plural } from '../plural.js';
import { type ConnectSettings, withClient } from '../settings.js';

export interface PutSettings extends ConnectSettings {
  readonly name?: string;
  readonly replace?: boolean;
  readonly append?: boolean;
  readonly format?: SourceFormat;
  /** 'a=BIGINT,b=DATE' */
  readonly types?: string;
  readonly delimiter?: string;
  readonly header?: boolean;
  readonly nullText?: string;
  readonly quote?: string;
  /** Say what would be loaded, and load nothing. */
  readonly dryRun?: boolean;
}

/** Loads files (folders and globs stand for theirs, - for stdin) as one dataset. */
export async function put(paths: readonly string[], settings: PutSettings, signal: AbortSignal): Promise<void> {
  const stdin = paths.length === 1 && paths[0] === '-';
  if (stdin && !(settings.name && settings.format)) throw new MillraceError('MR_USAGE', 'What comes from stdin has neither a name nor an ending: give --name and --format.', { field: 'name' });
  const files = stdin ? [] : await allFiles(paths);
  const name = settings.name ?? nameOf(paths[0] ?? '');
  const format = settings.format ?? formatOfFiles(files);
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  await withClient(settings, async (client) => {
    const options = optionsOf(settings, format);
    if (settings.dryRun) {
      const { putDryRun } = await import('./put-dry-run.js');
      return putDryRun(client, { name, format, files: stdin ? undefined : files, options });
    }
    const started = performance.now();
    let at: PutProgress = { phase: 'send', bytes: 0, bytesTotal: bytes, file: 0, files: files.length };
    const observe = () => ({ done: at.bytes, total: stdin ? at.bytes : bytes, bytes: at.bytes, doing: at.phase === 'load' ? 'loading' : at.files > 1 ? `file ${at.file + 1} of ${at.files}` : `of ${bytesText(bytes)}` });
    const onProgress = (progress: PutProgress) => { at = progress; };
    const info = await withProgress(observe, () => client.put(name, stdin ? process.stdin : files.map(({ path }) => path), { ...options, signal, onProgress }));
    process.stderr.write(`${summary(info, format)}, ${((performance.now() - started) / 1000).toFixed(1)} s\n`);
  });
}

function optionsOf({ replace, append, types, delimiter, header, nullText, quote }: PutSettings, format: SourceFormat): PutOptions {
  return {
    format, replace: replace ?? false, append: append ?? false,
    ...(types === undefined ? {} : { types: typesOfText(types) }),
    ...(delimiter === undefined ? {} : { delimiter: delimiter === '\\t' ? '\t' : delimiter }),
    ...(header === undefined ? {} : { header }),
    ...(nullText === undefined ? {} : { nullText }),
    ...(quote === undefined ? {} : { quote }),
  };
}

/** Text files carry no types: the ones that were found are shown, so that wrong ones can be overridden. */
function summary(info: DatasetInfo, format: SourceFormat): string {
  const guessed = format === 'csv' || format === 'json' ? ` (${info.columns.map((c) => `${c.name} ${sqlType(c.type)}`).join(', ')})` : '';
  return `${info.name}: ${plural(info.rows, 'row')} in ${plural(info.rowGroups, 'row group')}${guessed}, ${bytesText(info.storedBytes)} stored`;
}

/** The file's name without its endings, as a dataset may be called. */
export function nameOf(file: string): string {
  const bare = basename(file).replace(/\.(gz|zst|zstd)$/i, '').replace(/\.[^.]*$/, '').replace(/[*?]/g, '').replace(/[^A-Za-z0-9_.-]/g, '_').slice(0, 128);
  return /^[A-Za-z0-9_]/.test(bare) ? bare : `d${bare}`.slice(0, 128);
}
