import { text as textOf } from 'node:stream/consumers';
import type { LogicalType } from '../../../pushdown/types/logical.js';
import type { Client } from '../../node/client.js';
import { PlanExecution } from '../../node/scan/execute.js';
import type { SqlRun } from '../../node/sql/sql-query.js';
import { bytesText } from '../bytes.js';
import { type FileFormat, writeRows } from '../output/formats.js';
import { plural } from '../plural.js';
import { type Progress, withProgress } from '../output/progress.js';
import { firstRows, resultTable, tableRowsMax } from '../output/table.js';
import { writeOut } from '../output/write.js';
import { type ConnectSettings, withClient } from '../settings.js';

export type OutputFormat = 'table' | FileFormat;

export interface StatementSettings {
  readonly pushdown: 'auto' | 'always' | 'never';
  readonly output?: OutputFormat;
  /** One line of figures on stderr, also when that is no terminal. */
  readonly stats?: boolean;
}

export interface SqlSettings extends ConnectSettings, StatementSettings {
  /** Say what would be pushed and how many bytes it is about; run nothing. */
  readonly dryRun?: boolean;
}

/** Runs a statement and prints its rows. */
export async function sql(statement: string, settings: SqlSettings, signal: AbortSignal): Promise<void> {
  await withClient(settings, async (client) => {
    if (!settings.dryRun) return runStatement(client, statement, settings, signal);
    const { dryRun } = await import('./dry-run.js');
    return dryRun(client, statement, settings, signal);
  });
}

/** `-` reads the statement from stdin. */
export async function statementOf(argument: string): Promise<string> {
  return argument === '-' ? textOf(process.stdin) : argument;
}

export async function runStatement(client: Client, statement: string, settings: StatementSettings, signal: AbortSignal): Promise<void> {
  const format = settings.output ?? (process.stdout.isTTY ? 'table' : 'json');
  const started = performance.now();
  const run = await client.sqlEngine.run(statement, { pushdown: settings.pushdown, signal });
  // Rows that scroll by on the same terminal are progress enough.
  const bar = process.stderr.isTTY && (format === 'table' || !process.stdout.isTTY);
  const rows = await withProgress(() => progressOf(run), async () => (format === 'table' ? table(run) : { count: await writeRows(run, format, undefined, signal), text: '' }), bar);
  await writeOut(rows.text);
  if (settings.stats || process.stderr.isTTY) process.stderr.write(`${figures(run, rows.count, performance.now() - started)}\n`);
}

/** The whole table before any of it is written: a bar and a table do not share a terminal. */
async function table(run: SqlRun): Promise<{ count: number; text: string }> {
  const { rows, total } = await firstRows(run, tableRowsMax);
  const text = resultTable(run.columns.map((c) => ({ name: c.name, numeric: isNumeric(c.type) })), rows);
  if (total > rows.length) process.stderr.write(`the first ${rows.length} of ${total} rows; -o json or -o csv gives all\n`);
  return { count: total, text };
}

/** Row groups done of those the scans so far read. */
function progressOf(run: SqlRun): Progress {
  const { morselsDevice, morselsHost, rowsScanned, linkBytes } = run.stats();
  const total = run.runs().reduce((sum, r) => sum + (r instanceof PlanExecution ? (r.prepared?.rowGroups.length ?? 0) : 0), 0);
  const scans = run.plan.kind === 'scans' && run.plan.scans.length > 1 ? `scan ${run.runs().length} of ${run.plan.scans.length}` : undefined;
  return { done: morselsDevice + morselsHost, total, rows: rowsScanned, bytes: linkBytes, ...(scans === undefined ? {} : { doing: scans }) };
}

function figures(run: SqlRun, rows: number, ms: number): string {
  const { linkBytes, linkModelMs, morselsDevice, morselsHost, morselsPruned } = run.stats();
  const modelled = linkModelMs === undefined ? '' : ` (${linkModelMs.toFixed(1)} ms of link time by the model)`;
  const where = [morselsDevice ? `${plural(morselsDevice, 'row group')} on the device` : '', morselsHost ? `${morselsHost} on the host` : '', morselsPruned ? `${morselsPruned} pruned` : ''].filter(Boolean).join(', ');
  return `${plural(rows, 'row')}, ${bytesText(linkBytes)} over the link${modelled}, ${ms.toFixed(1)} ms${where ? ` (${where})` : ''}`;
}

export function isNumeric(type: LogicalType): boolean {
  return !['bool', 'utf8', 'date', 'timestamp'].includes(type.kind);
}
