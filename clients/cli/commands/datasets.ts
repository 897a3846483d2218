import { sqlType } from '../../../pushdown/plan/sql-type.js';
import type { DatasetInfo } from '../../../pushdown/types/dataset-info.js';
import { bytesText } from '../bytes.js';
import { textTable } from '../output/table.js';
import { writeOut } from '../output/write.js';
import { type ConnectSettings, withClient } from '../settings.js';

export async function ls(settings: ConnectSettings & { readonly output?: 'table' | 'json' }): Promise<void> {
  await withClient(settings, async (client) => {
    const datasets = await client.datasets();
    const format = settings.output ?? (process.stdout.isTTY ? 'table' : 'json');
    await writeOut(format === 'json' ? datasets.map((d) => `${JSON.stringify(d)}\n`).join('') : datasetTable(datasets));
  });
}

export function datasetTable(datasets: readonly DatasetInfo[]): string {
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
