import { writeOut } from '../output/write.js';
import { type ConnectSettings, withClient } from '../settings.js';

/** The daemon's audit log, one JSON object a line. */
export async function audit(settings: ConnectSettings & { readonly limit: string }): Promise<void> {
  await withClient({ ...settings, transport: 'http' }, async (client) => {
    for (const entry of await client.audit(Number(settings.limit))) await writeOut(`${JSON.stringify(entry)}\n`);
  });
}
