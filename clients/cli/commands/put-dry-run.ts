import { createWriteStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { SourceFormat } from '../../../pushdown/types/source-options.js';
import type { Client, PutOptions } from '../../node/client.js';
import { lookAtFiles } from '../../node/put/look-at-files.js';
import type { LocalFile } from '../../node/put/local-files.js';
import { bytesText } from '../bytes.js';
import { printable, textTable } from '../output/table.js';
import { writeOut } from '../output/write.js';

export interface PutPlan {
  readonly name: string;
  readonly format: SourceFormat;
  /** undefined: what comes on stdin. */
  readonly files: readonly LocalFile[] | undefined;
  readonly options: PutOptions;
}

/** What would be loaded, with the types that would be found, and what stands in the way; nothing reaches the daemon. */
export async function putDryRun(client: Client, plan: PutPlan): Promise<void> {
  if (plan.files) return say(client, plan, plan.files, plan.files.map(({ path }) => path));
  // Readers of files go back and forth: what comes on stdin is one for as long as they look at it.
  const folder = await mkdtemp(join(tmpdir(), 'millrace-'));
  try {
    const path = join(folder, 'stdin');
    await pipeline(process.stdin, createWriteStream(path, { flags: 'wx', mode: 0o600 }));
    await say(client, plan, [{ path, bytes: (await stat(path)).size }], ['-']);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function say(client: Client, { name, format, options }: PutPlan, files: readonly LocalFile[], names: readonly string[]): Promise<void> {
  const columns = await lookAtFiles(files.map(({ path }) => path), format, options);
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const current = (await client.datasets()).find((d) => d.name.toLowerCase() === name.toLowerCase());
  const exists = current && { exists: { version: current.version, rows: current.rows }, refused: !options.replace && !options.append };
  if (!process.stdout.isTTY) return writeOut(`${JSON.stringify({ dryRun: true, ...(names.length === 1 ? { file: names[0] } : { files: names }), name, format, bytes, columns, ...exists })}\n`);
  const fate = !current ? 'would be made' : options.replace ? `would take the place of version ${current.version}` : options.append ? `would be appended to its ${current.rows} rows` : 'exists: --replace or --append, or another --name';
  const typesFlag = format === 'csv' || format === 'json' ? "; --types 'COLUMN=TYPE,...' overrides what was guessed" : '';
  await writeOut(`${printable(name)} ${fate}: ${names.length === 1 ? printable(names[0] ?? '') : `${names.length} files`}, ${format}, ${bytesText(bytes)}${typesFlag}\n`);
  await writeOut(textTable([{ name: 'column', numeric: false }, { name: 'type', numeric: false }], columns.map((column) => [printable(column.name), printable(column.type)])));
}
