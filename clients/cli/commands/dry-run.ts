import type { Client } from '../../node/client.js';
import { bytesText } from '../bytes.js';
import { printable } from '../output/table.js';
import { writeOut } from '../output/write.js';
import type { StatementSettings } from './sql.js';

/** What a statement would push and read, without running any of it. */
export async function dryRun(client: Client, statement: string, settings: StatementSettings, signal: AbortSignal): Promise<void> {
  const scans = await client.estimateSql(statement, signal);
  const format = settings.output ?? (process.stdout.isTTY ? 'table' : 'json');
  if (format !== 'table') return writeOut(scans.map((scan) => `${JSON.stringify({ dryRun: true, pushdown: settings.pushdown, ...scan })}\n`).join(''));
  const crossing = { always: 'results only', never: 'all of these bytes', auto: 'results, and the chunks of row groups the host claims' }[settings.pushdown];
  const lines = scans.flatMap((s) => [
    `${s.dataset}: ${s.rows} rows in ${s.rowGroups} of ${s.rowGroups + s.rowGroupsPruned} row groups`,
    `  read      ${bytesText(s.chunkBytes)} of ${bytesText(s.datasetBytes)} (columns ${s.columns.join(', ') || 'none'})`,
    `  the link  ${crossing} (pushdown ${settings.pushdown})`,
    ...s.pushed.map((text) => `  pushed    ${text}`),
    ...s.host.map((text) => `  host      ${text}`),
  ]);
  await writeOut(lines.length === 0 ? 'no dataset is read\n' : lines.map((line) => `${printable(line)}\n`).join(''));
}
