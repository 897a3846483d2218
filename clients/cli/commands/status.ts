import { textTable } from '../output/table.js';
import { writeOut } from '../output/write.js';
import { type ConnectSettings, withClient } from '../settings.js';

/** Counters of the daemon: a table of dotted names on a terminal, one JSON object otherwise. */
export async function status(settings: ConnectSettings & { readonly output?: 'table' | 'json' }): Promise<void> {
  await withClient({ ...settings, transport: 'http' }, async (client) => {
    const found = await client.status();
    const format = settings.output ?? (process.stdout.isTTY ? 'table' : 'json');
    if (format === 'json') return writeOut(`${JSON.stringify(found)}\n`);
    await writeOut(textTable([{ name: 'what', numeric: false }, { name: 'value', numeric: true }], [...flat(found)].map(([name, value]) => [name, value])));
  });
}

function* flat(value: unknown, path = ''): Generator<[string, string]> {
  if (typeof value !== 'object' || value === null) return yield [path, String(value)];
  for (const [key, inner] of Object.entries(value)) yield* flat(inner, path ? `${path}.${key}` : key);
}
