import type { DatasetDescription } from '../../node/describe.js';
import { bytesText } from '../bytes.js';
import { printable, textTable } from '../output/table.js';
import { plural } from '../plural.js';
import { writeOut } from '../output/write.js';
import { type ConnectSettings, withClient } from '../settings.js';

export interface DescribeSettings extends ConnectSettings {
  readonly output?: 'table' | 'json';
}

/** Zone map lines a terminal gets; `-o json` has all of them. */
const zonesShownMax = 40;

export async function describe(name: string, settings: DescribeSettings): Promise<void> {
  await withClient(settings, async (client) => {
    const found = await client.describe(name);
    const format = settings.output ?? (process.stdout.isTTY ? 'table' : 'json');
    await writeOut(format === 'json' ? `${JSON.stringify(found)}\n` : describeText(found));
  });
}

const right = (name: string) => ({ name, numeric: true });
const left = (name: string) => ({ name, numeric: false });

export function describeText({ name, version, rows, rowGroups, rowGroupRowsMax, storedBytes, columns }: DatasetDescription): string {
  const heading = `${printable(name)}, version ${version}: ${plural(rows, 'row')} in ${plural(rowGroups.length, 'row group')} of up to ${plural(rowGroupRowsMax, 'row')}, ${bytesText(storedBytes)} stored\n`;
  const schema = textTable(
    [left('column'), left('type'), left('stored as'), left('nullable'), right('nulls'), right('dictionary'), right('bytes')],
    columns.map((c) => [printable(c.name), c.type, c.physical, c.nullable ? 'yes' : 'no', String(c.nullCount), c.dictionaryEntries === undefined ? '' : `${c.dictionaryEntries} values`, bytesText(c.bytes)]),
  );
  const lines = rowGroups.flatMap((group, g) =>
    group.zones.map((zone, c) => [String(g), String(group.rows), printable(columns[c]?.name ?? ''), String(zone.nullCount), bound(zone.min, zone.prefixes), bound(zone.max, zone.prefixes), bytesText(zone.bytes)]),
  );
  const zones = textTable([right('row group'), right('rows'), left('column'), right('nulls'), left('min'), left('max'), right('bytes')], lines.slice(0, zonesShownMax));
  const more = lines.length > zonesShownMax ? `the first ${zonesShownMax} of ${lines.length} zone maps; -o json gives all\n` : '';
  return heading + schema + zones + more;
}

const bound = (text: string | undefined, prefixes: true | undefined) => (text === undefined ? '' : `${printable(text).slice(0, 40)}${prefixes ? '…' : ''}`);
