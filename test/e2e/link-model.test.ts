import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, connect } from '../../clients/node/index.js';
import type { DeviceStats } from '../../native/index.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';
import { flightsPath } from './flights.js';

interface Status { readonly device: DeviceStats; readonly model: { readonly profile: string; readonly coreFactor: number; readonly link?: { readonly bytesPerSecond: number; readonly latencyNs: number } } }

/** Fast enough for a test, slow enough that 20 MB take a time nobody mistakes. */
const bytesPerSecond = 12_500_000;
const latencyMs = 0.2;
const sql = 'SELECT sum(delay) AS s, count(*) AS n, max(distance) AS d FROM flights WHERE origin <> destination';

let daemon: DaemonProcess;
let plain: DaemonProcess;
beforeAll(async () => {
  [daemon, plain] = await Promise.all([startDaemonProcess({ args: ['--link', '100Mbit,0.2ms', '--core-factor', '3'] }), startDaemonProcess()]);
  for (const { url } of [daemon, plain]) {
    const client = await connect({ url, transport: 'http' });
    await client.put('flights', flightsPath);
    await client.close();
  }
});
afterAll(async () => {
  await daemon.dispose();
  await plain.dispose();
});

const statusOf = async (client: Client): Promise<Status> => (await client.status()) as unknown as Status;
const linkOf = async (client: Client) => (await statusOf(client)).device.model?.link ?? expect.fail('a link is modelled');

describe.each(['shm', 'http'] as const)('a pull of 20 MB over --link 100Mbit,0.2ms by %s', (transport) => {
  it('takes at least the modelled time, counted apart, and gives the same answer', async () => {
    const client = await connect({ url: daemon.url, transport });
    const free = await connect({ url: plain.url, transport });
    try {
      const before = await linkOf(client);
      const from = performance.now();
      const never = await client.sql(sql, { pushdown: 'never' });
      const wallMs = performance.now() - from;
      const after = await linkOf(client);
      const bytes = after.bytes - before.bytes;
      expect(bytes).toBeGreaterThan(20e6);
      expect(bytes).toBeGreaterThanOrEqual(never.stats.linkBytes);
      expect(after).toMatchObject({ bytesPerSecond, latencyMs });
      expect(after.linkModelMs - before.linkModelMs).toBeCloseTo((bytes * 1e3) / bytesPerSecond, 3);
      // The model's own clock: the pull cannot have been faster than its bytes.
      expect(wallMs).toBeGreaterThanOrEqual((never.stats.linkBytes * 1e3) / bytesPerSecond);
      expect(never.stats.linkModelMs).toBeCloseTo((never.stats.linkBytes * 1e3) / bytesPerSecond + latencyMs, 6);
      const always = await client.sql(sql, { pushdown: 'always' });
      expect((await linkOf(client)).bytes - after.bytes).toBeLessThan(2e6);
      const truth = await free.sql(sql, { pushdown: 'always' });
      expect(truth.stats.linkModelMs).toBeUndefined();
      for (const result of [never, always]) expect(result.toCanonicalRows()).toEqual(truth.toCanonicalRows());
    } finally {
      await client.close();
      await free.close();
    }
  });
});

describe('modelled device cores', () => {
  it('take their factor of the CPU time that was measured', async () => {
    const client = await connect({ url: daemon.url, transport: 'shm' });
    try {
      const from = performance.now();
      const before = (await statusOf(client)).device.model?.core;
      await client.sql(sql, { pushdown: 'always' });
      const wallMs = performance.now() - from;
      const status = await statusOf(client);
      const after = status.device.model?.core;
      if (!before || !after) expect.fail('cores are modelled');
      const cpuMs = after.cpuMs - before.cpuMs;
      expect(cpuMs).toBeGreaterThan(0);
      expect(after.coreModelMs - before.coreModelMs).toBeCloseTo(cpuMs * 3, 3);
      expect(wallMs * status.device.slots.length).toBeGreaterThanOrEqual(after.coreModelMs - before.coreModelMs);
      expect(status.model).toEqual({ profile: 'local', coreFactor: 3, link: { bytesPerSecond, latencyNs: 200_000 } });
    } finally {
      await client.close();
    }
  });

  it('and links are nowhere with profile local', async () => {
    const client = await connect({ url: plain.url, transport: 'shm' });
    try {
      const status = await statusOf(client);
      expect(status.device.model).toBeUndefined();
      expect(status.model).toEqual({ profile: 'local', coreFactor: 1 });
    } finally {
      await client.close();
    }
  });
});

it('a query worker is beside the device: only its answer crosses the link', async () => {
  const client = await connect({ url: daemon.url, transport: 'http' });
  try {
    const before = await linkOf(client);
    const response = await fetch(new URL('/v1/sql', daemon.url), { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ sql, pushdown: 'never' }) });
    expect(response.status).toBe(200);
    await response.text();
    expect((await linkOf(client)).bytes - before.bytes).toBeLessThan(2e6);
  } finally {
    await client.close();
  }
});
