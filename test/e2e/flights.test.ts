import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, col, connect, count, type QueryResult } from '../../clients/node/index.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';
import { duckRows, firstDifference, flightsPath, flightsQueries, textRows } from './flights.js';

const modes = ['never', 'always', 'auto'] as const;
const transports = ['http', 'shm'] as const;

interface Counters { readonly executes: number; readonly chunkBytes: number; readonly resultBytes: number; readonly scansOpen: number; readonly claimsOpen: number }

let daemon: DaemonProcess;
const clients = new Map<string, Client>();
const truth = new Map<string, (string | number | null)[][]>();

beforeAll(async () => {
  daemon = await startDaemonProcess();
  for (const transport of transports) clients.set(transport, await connect({ url: daemon.url, transport }));
  const info = await clients.get('http')!.put('flights', flightsPath);
  expect(info).toMatchObject({ name: 'flights', version: 1, rows: 3_000_000 });
  for (const { name, sql } of flightsQueries) truth.set(name, await duckRows(sql));
});
afterAll(async () => {
  for (const client of clients.values()) await client.close();
  await daemon.dispose();
});

const device = async (): Promise<Counters> => ((await clients.get('http')!.status()) as { device: Counters }).device;

describe.each(transports)('over %s', (transport) => {
  describe.each(flightsQueries)('$name', ({ name, query, ordered }) => {
    it('never, always and auto give the same bits, and DuckDB the same rows', async () => {
      const results: QueryResult[] = [];
      for (const pushdown of modes) results.push(await query(clients.get(transport)!).collect({ pushdown }));
      const [never, always, auto] = results.map((result) => result.toCanonicalRows());
      expect(always).toEqual(never);
      expect(auto).toEqual(never);
      expect(firstDifference(textRows(results[0]!.toRows()), truth.get(name)!, ordered)).toBeUndefined();
      for (const [i, { stats }] of results.entries()) {
        expect(stats.transport).toBe(transport);
        if (modes[i] === 'never') expect(stats.morselsDevice).toBe(0);
        if (modes[i] === 'always') expect(stats.morselsHost).toBe(0);
        expect(stats.morselsDevice + stats.morselsHost + stats.morselsPruned).toBe(results[0]!.stats.morselsDevice + results[0]!.stats.morselsHost + results[0]!.stats.morselsPruned);
      }
    });
  });

  it('pull is pull: never executes nothing on the device, always moves no chunk', async () => {
    const query = clients.get(transport)!.dataset('flights').filter(col('delay').gt(60)).groupBy('origin').agg({ n: count() });
    const before = await device();
    const pulled = await query.collect({ pushdown: 'never' });
    const between = await device();
    const pushed = await query.collect({ pushdown: 'always' });
    const after = await device();
    expect(between.executes - before.executes).toBe(0);
    expect(between.resultBytes - before.resultBytes).toBe(0);
    expect(between.chunkBytes - before.chunkBytes).toBeGreaterThan(3_000_000);
    expect(after.executes - between.executes).toBe(pushed.stats.morselsDevice);
    expect(after.chunkBytes - between.chunkBytes).toBe(0);
    expect(pushed.stats.morselsDevice).toBe(pulled.stats.morselsHost);
    // The link carries what the counters say: chunks of the two columns on one side, a few partial groups on the other.
    expect(pulled.stats.linkBytes).toBeGreaterThan(3_000_000);
    expect(pushed.stats.linkBytes * 5).toBeLessThan(pulled.stats.linkBytes);
    expect(after).toMatchObject({ scansOpen: 0, claimsOpen: 0 });
  });

  it('a limit stops the scan early', async () => {
    for (const pushdown of modes) {
      const result = await clients.get(transport)!.dataset('flights').filter(col('delay').gt(0)).select('delay', 'origin').limit(10, 5).collect({ pushdown });
      expect(result.rows).toBe(10);
      expect(result.toCanonicalRows()).toEqual((await clients.get(transport)!.dataset('flights').filter(col('delay').gt(0)).select('delay', 'origin').limit(15).collect({ pushdown: 'never' })).toCanonicalRows().slice(5));
    }
    expect(await device()).toMatchObject({ scansOpen: 0, claimsOpen: 0 });
  });
});
