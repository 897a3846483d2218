import { explainText } from '../../node/sql/explain-sql.js';
import { printable } from '../output/table.js';
import { writeOut } from '../output/write.js';
import { type ConnectSettings, withClient } from '../settings.js';

export interface ExplainSettings extends ConnectSettings {
  readonly pushdown: 'auto' | 'always' | 'never';
  readonly analyze?: boolean;
  readonly output?: 'table' | 'json';
}

export async function explain(statement: string, settings: ExplainSettings, signal: AbortSignal): Promise<void> {
  await withClient(settings, async (client) => {
    const { plan } = await client.explainSql(statement, { pushdown: settings.pushdown, signal, analyze: settings.analyze ?? false });
    const format = settings.output ?? (process.stdout.isTTY ? 'table' : 'json');
    if (format === 'json') return writeOut(plan.map((row) => `${JSON.stringify(row)}\n`).join(''));
    // The info column takes what the terminal leaves.
    const width = process.stdout.columns ? Math.max(40, process.stdout.columns - 80) : undefined;
    await writeOut(`${explainText(plan.map((row) => ({ ...row, info: printable(row.info) })), width)}\n`);
  });
}
