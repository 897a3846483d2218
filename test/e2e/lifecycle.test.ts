import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, col, connect, count } from '../../clients/node/index.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';
import { flightsPath } from './flights.js';

const transports = ['http', 'shm'] as const;

interface Counters { readonly executes: number; readonly scansOpen: number; readonly claimsOpen: number; readonly resultBytes: number }

let daemon: DaemonProcess;
const clients = new Map<string, Client>();
beforeAll(async () => {
  daemon = await startDaemonProcess();
  for (const transport of transports) clients.set(transport, await connect({ url: daemon.url, transport }));
  await clients.get('http')!.put('flights', flightsPath);
});
afterAll(async () => {
  for (const client of clients.values()) await client.close();
  await daemon.dispose();
});

const device = async (): Promise<Counters> => ((await clients.get('http')!.status()) as { device: Counters }).device;

/** The daemon hears of a client that left a moment later. */
async function settled(): Promise<Counters> {
  for (let i = 0; i < 2000; i++) {
    const now = await device();
    if (now.scansOpen === 0 && now.claimsOpen === 0) return now;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return device();
}

describe.each(transports)('over %s', (transport) => {
  const wide = () => clients.get(transport)!.dataset('flights').filter(col('distance').ge(0));

  it.each(['never', 'always', 'auto'] as const)('an abort ends a %s query at both ends', async (pushdown) => {
    const controller = new AbortController();
    const seen: number[] = [];
    const run = (async () => {
      for await (const batch of wide().stream({ pushdown, signal: controller.signal })) {
        seen.push(batch.rows);
        controller.abort(new Error('enough'));
      }
    })();
    await expect(run).rejects.toMatchObject({ code: 'MR_CANCELLED' });
    expect(seen.length).toBeLessThan(20);
    expect(await settled()).toMatchObject({ scansOpen: 0, claimsOpen: 0 });
    await expect(wide().collect({ pushdown, signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'MR_CANCELLED' });
  });

  it('leaving a stream ends its scan', async () => {
    for (const pushdown of ['never', 'always', 'auto'] as const) for await (const batch of wide().stream({ pushdown })) {
      expect(batch.rows).toBeGreaterThan(0);
      break;
    }
    expect(await settled()).toMatchObject({ scansOpen: 0, claimsOpen: 0 });
    expect((await clients.get(transport)!.dataset('flights').agg({ n: count() }).collect()).toRows()).toEqual([{ n: 3_000_000n }]);
  });

  it('a stream gives all rows once, in the order of the dataset, however slow its reader', async () => {
    let rows = 0;
    for await (const batch of wide().select('delay').stream({ pushdown: 'auto' })) {
      rows += batch.rows;
      if (rows < 500_000) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(rows).toBe(3_000_000);
  });

  it('a replaced dataset is seen by clients that knew the old one, a removed one is gone', async () => {
    const client = clients.get(transport)!;
    const other = await connect({ url: daemon.url, transport: 'http' });
    const name = `small-${transport}`;
    const arrow = async (limit: number): Promise<Uint8Array> => {
      const { tableToIPC } = await import('apache-arrow');
      return tableToIPC(await (await client.dataset('flights').select('delay', 'origin').limit(limit).collect()).toArrow(), 'file');
    };
    await other.put(name, await arrow(10), { format: 'arrow' });
    expect((await client.dataset(name).collect()).rows).toBe(10);
    await expect(other.put(name, await arrow(7), { format: 'arrow' })).rejects.toMatchObject({ code: 'MR_DATASET_EXISTS' });
    await other.put(name, await arrow(20), { format: 'arrow', replace: true });
    expect((await client.dataset(name).collect()).rows).toBe(20);
    await other.remove(name);
    await expect(client.dataset(name).collect()).rejects.toMatchObject({ code: 'MR_DATASET_NOT_FOUND' });
    await other.close();
  });

  it('wrong queries name what is wrong', async () => {
    await expect(wide().select('nope').collect()).rejects.toMatchObject({ code: expect.stringMatching(/^MR_/), message: expect.stringContaining('nope') });
    await expect(wide().filter(col('origin').add(1)).collect()).rejects.toMatchObject({ code: expect.stringMatching(/^MR_/) });
  });
});

describe('a daemon that is started anew', () => {
  it('has its datasets, and clients go on', async () => {
    const first = await startDaemonProcess();
    const port = new URL(first.url).port;
    const http = await connect({ url: first.url, transport: 'http' });
    const shm = await connect({ url: first.url, transport: 'shm' });
    await http.put('flights', flightsPath);
    const query = (client: Client) => client.dataset('flights').filter(col('delay').gt(1000)).agg({ n: count() }).collect();
    const before = (await query(http)).toRows();
    expect((await query(shm)).toRows()).toEqual(before);
    await first.kill();
    await expect(query(http)).rejects.toMatchObject({ code: expect.stringMatching(/^MR_(CONNECT|LINK_BROKEN)$/) });
    await expect(query(shm)).rejects.toMatchObject({ code: expect.stringMatching(/^MR_/) });
    const second = await startDaemonProcess({ dir: first.dir, args: ['--port', port] });
    try {
      expect((await query(http)).toRows()).toEqual(before);
      expect((await query(shm)).toRows()).toEqual(before);
      expect((await query(shm)).stats.transport).toBe('shm');
    } finally {
      await http.close();
      await shm.close();
      await second.dispose();
    }
  });
});
