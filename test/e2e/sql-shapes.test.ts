// Every statement shape through a real daemon, its slots and the host kernels: pushed, pulled and both equal DuckDB.
import type { DuckDBConnection } from '@duckdb/node-api';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, connect } from '../../clients/node/index.js';
import { flightsLike, judgeOf } from '../unit/sql-fixture.js';
import { carrierCodes, comparable, shapes } from '../unit/sql-shapes.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';

let daemon: DaemonProcess;
let judge: DuckDBConnection;
const clients: Client[] = [];

beforeAll(async () => {
  daemon = await startDaemonProcess();
  judge = await judgeOf([flightsLike(), carrierCodes()]);
  for (const transport of ['http', 'shm'] as const) clients.push(await connect({ url: daemon.url, transport }));
  for (const name of ['t', 'u']) {
    const file = join(daemon.dir, `${name}.parquet`);
    await judge.run(`COPY ${name} TO '${file}' (FORMAT parquet)`);
    await clients[0]!.put(name, file); // made above
  }
});
afterAll(async () => {
  judge?.closeSync();
  for (const client of clients) await client.close();
  await daemon?.dispose();
});

describe.each(['http', 'shm'] as const)('%s', (transport) => {
  describe.each(['never', 'always', 'auto'] as const)('%s', (pushdown) => {
    // All of them pushed and pulled over HTTP; a part of them both at once, and over shared memory, which shares all but the transport.
    const every = transport === 'shm' ? 6 : pushdown === 'auto' ? 2 : 1;
    const some = shapes.filter((_, i) => process.env.MILLRACE_TEST === 'long' || i % every === 0);
    test.each(some)('%s: %s', async (_kind, sql) => {
      const client = clients[transport === 'http' ? 0 : 1]!; // made above
      const result = await client.sql(sql, { pushdown });
      expect(comparable(sql, result.toCanonicalRows())).toEqual(comparable(sql, (await judge.runAndReadAll(sql)).getRows()));
      const { morselsDevice, morselsHost } = result.stats;
      if (pushdown === 'never') expect(morselsDevice).toBe(0);
      if (pushdown === 'always') expect(morselsHost).toBe(0);
    });
  });
});
