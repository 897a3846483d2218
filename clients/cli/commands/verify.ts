import { MillraceError } from '../../../pushdown/types/error.js';
import { bytesText } from '../bytes.js';
import { textTable } from '../output/table.js';
import { writeOut } from '../output/write.js';
import { type ConnectSettings, withClient } from '../settings.js';

export interface VerifySettings extends ConnectSettings {
  readonly output?: 'table' | 'json';
}

/** Scrubs a dataset. Damage is reported whole on stdout and then is an error. @throws MillraceError MR_DATASET_DAMAGED */
export async function verify(name: string, settings: VerifySettings, signal: AbortSignal): Promise<void> {
  await withClient({ ...settings, transport: 'http' }, async (client) => {
    const report = await client.verify(name, signal);
    const format = settings.output ?? (process.stdout.isTTY ? 'table' : 'json');
    if (format === 'json') await writeOut(`${JSON.stringify(report)}\n`);
    else if (report.damaged.length === 0) await writeOut(`${report.name}: ${report.chunks} chunks, ${bytesText(report.bytes)}, all checksums match\n`);
    else await writeOut(textTable([{ name: 'column', numeric: false }, { name: 'row group', numeric: true }], report.damaged.map((d) => [d.column, String(d.rowGroup)])));
    if (report.damaged.length > 0) throw new MillraceError('MR_DATASET_DAMAGED', `${report.damaged.length} of ${report.chunks} chunks of '${report.name}' do not match their checksums: put the dataset again from its source.`);
  });
}
