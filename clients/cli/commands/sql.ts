import { text as textOf } from 'node:stream/consumers';
import { naturalPhysical } from '../../../pushdown/plan/schema.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import type { LogicalType } from '../../../pushdown/types/logical.js';
import type { SqlRun } from '../../node/sql/sql-query.js';
import { bytesText } from '../bytes.js';
import { firstRows, resultTable, tableRowsMax } from '../output/table.js';
import { writeOut } from '../output/write.js';
import { type ConnectSettings, withClient } from '../settings.js';

export type OutputFormat = 'table' | 'json' | 'csv' | 'arrow';

export interface SqlSettings extends ConnectSettings {
  readonly pushdown: 'auto' | 'always' | 'never';
  readonly output?: OutputFormat;
  /** One line of figures on stderr, also when that is no terminal. */
  readonly stats?: boolean;
}

/** Runs a statement (`-`: from stdin) and prints its rows. */
export async function sql(statement: string, settings: SqlSettings, signal: AbortSignal): Promise<void> {
  const format = settings.output ?? (process.stdout.isTTY ? 'table' : 'json');
  if (format === 'arrow' && process.stdout.isTTY) throw new MillraceError('MR_USAGE', 'An Arrow stream is not for a terminal: redirect it (> rows.arrows).');
  await withClient(settings, async (client) => {
    const started = performance.now();
    const run = await client.sqlEngine.run(statement, { pushdown: settings.pushdown, signal });
    const rows = await print[format](run);
    if (settings.stats || process.stderr.isTTY) process.stderr.write(`${figures(run, rows, performance.now() - started)}\n`);
  });
}

export async function statementOf(argument: string): Promise<string> {
  return argument === '-' ? textOf(process.stdin) : argument;
}

const print: Readonly<Record<OutputFormat, (run: SqlRun) => Promise<number>>> = {
  async table(run) {
    const { rows, total } = await firstRows(run, tableRowsMax);
    await writeOut(resultTable(run.columns.map((c) => ({ name: c.name, numeric: isNumeric(c.type) })), rows));
    if (total > rows.length) process.stderr.write(`the first ${rows.length} of ${total} rows; -o json or -o csv gives all\n`);
    return total;
  },
  async json(run) {
    const { ndjson } = await import('../../node/result/row-text.js');
    return each(run, (batch) => writeOut(ndjson(batch)));
  },
  async csv(run) {
    const { csv, csvHeader } = await import('../../node/result/row-text.js');
    await writeOut(csvHeader(run.columns));
    return each(run, (batch) => writeOut(csv(batch)));
  },
  async arrow(run) {
    const { arrowIpc } = await import('../../node/result/arrow-ipc.js');
    let rows = 0;
    const counted = async function* () {
      for await (const batch of run) {
        rows += batch.rows;
        yield batch;
      }
    };
    const columns = run.columns.map((c) => ({ ...c, physical: naturalPhysical(c.type), nullable: true }));
    for await (const part of arrowIpc(columns, counted())) await writeOut(part);
    return rows;
  },
};

async function each(run: SqlRun, write: (batch: Parameters<typeof firstRows>[0] extends AsyncIterable<infer B> ? B : never) => Promise<void>): Promise<number> {
  let rows = 0;
  for await (const batch of run) {
    rows += batch.rows;
    await write(batch);
  }
  return rows;
}

function figures(run: SqlRun, rows: number, ms: number): string {
  const { linkBytes, morselsDevice, morselsHost, morselsPruned } = run.stats();
  const where = [morselsDevice ? `${morselsDevice} row groups on the device` : '', morselsHost ? `${morselsHost} on the host` : '', morselsPruned ? `${morselsPruned} pruned` : ''].filter(Boolean).join(', ');
  return `${rows} rows, ${bytesText(linkBytes)} over the link, ${ms.toFixed(1)} ms${where ? ` (${where})` : ''}`;
}

export function isNumeric(type: LogicalType): boolean {
  return !['bool', 'utf8', 'date', 'timestamp'].includes(type.kind);
}
