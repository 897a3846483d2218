import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { avg, type Client, col, connect, count, sum } from '../../clients/node/index.js';
import { DatasetViews } from '../../clients/node/scan/dataset-view.js';
import { PlanExecution } from '../../clients/node/scan/execute.js';
import { HostEngines } from '../../clients/node/sql/host-engines.js';
import { HttpTransport } from '../../clients/node/transport/http-transport.js';
import { moduleDigest } from '../../clients/node/transport/module-digest.js';
import { RestClient } from '../../clients/node/transport/rest-client.js';
import { ShmTransport } from '../../clients/node/transport/shm-transport.js';
import type { Claim, Scan, Transport } from '../../clients/node/transport/transport.js';
import { native } from '../../native/index.js';
import { CommandQueue } from '../../native/queue.js';
import { compilePlan } from '../../pushdown/wasm/compile-plan.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';
import { flightsPath } from './flights.js';

let daemon: DaemonProcess;
let client: Client;
let rest: RestClient;
const engines = new HostEngines(() => native().openDuckDB({ memoryLimitBytes: 1 << 28, threads: 1, locked: true }));
beforeAll(async () => {
  daemon = await startDaemonProcess();
  client = await connect({ url: daemon.url, transport: 'http' });
  rest = new RestClient(new URL(daemon.url), undefined);
  await client.put('flights', flightsPath);
});
afterAll(async () => {
  engines.close();
  rest.close();
  await client.close();
  await daemon.dispose();
});

const query = () => client.dataset('flights').filter(col('distance').gt(500)).groupBy('origin').agg({ n: count(), late: avg('delay'), miles: sum('distance') });

/** Every claim is given back after its first morsel, sometimes without waiting for another. */
class HalfHearted implements Transport {
  readonly kind;
  claims = 0;
  constructor(readonly under: Transport, readonly early: boolean) {
    this.kind = under.kind;
  }
  async openScan(request: Parameters<Transport['openScan']>[0]): Promise<Scan> {
    const scan = await this.under.openScan(request);
    const claim = async (morsels: number): Promise<Claim | undefined> => {
      const claimed = await scan.claim(morsels);
      if (!claimed) return undefined;
      this.claims++;
      return { ...claimed, frames: this.#first(claimed) };
    };
    return { ownsFrames: scan.ownsFrames, linkBytes: () => scan.linkBytes(), results: () => scan.results(), claim, done: (morsels) => scan.done(morsels), checkpoint: () => scan.checkpoint(), restore: (state, morsel) => scan.restore(state, morsel), close: () => scan.close() };
  }
  async *#first(claimed: Claim) {
    for await (const frame of claimed.frames) {
      yield frame;
      if (this.early) return;
      // Its reader is told to end while it waits.
      setImmediate(() => claimed.giveBack());
      await delay(1);
    }
  }
  close(): Promise<void> {
    return this.under.close();
  }
}

const queue = async () => new CommandQueue(native().attachDevice(((await client.status()) as { socketPath: string }).socketPath, { dataBytes: 64 << 20, entries: 64 }), { entries: 64 });
it.each([
  ['http', 'left', true], ['http', 'given back', false], ['shm', 'left', true], ['shm', 'given back', false],
] as const)('over %s, claims that are %s early are run by the device, each morsel once', async (kind, _, early) => {
  const expected = (await query().collect({ pushdown: 'always' })).toRows();
  const transport = new HalfHearted(kind === 'http' ? new HttpTransport(rest, moduleDigest) : new ShmTransport(await queue()), early);
  const plan = query().plan;
  // A quiet device may be through with 23 morsels before a claim has crossed HTTP: more rounds, until some did.
  for (let round = 0; round < 5 || (transport.claims === 0 && round < 300); round++) {
    const execution = new PlanExecution({ views: new DatasetViews(rest), compile: compilePlan, engines, transport: async () => transport, claims: (_pushdown, { total, deviceDone, hostDone }) => Math.min(8, total - deviceDone - hostDone) }, plan, { pushdown: 'auto' });
    const rows = [];
    for await (const batch of execution) rows.push(batch.rows);
    const { morselsDevice, morselsHost, rowsScanned } = execution.stats();
    expect({ morsels: morselsDevice + morselsHost, rowsScanned, rows: rows.reduce((a, b) => a + b, 0) }).toEqual({ morsels: 23, rowsScanned: 3_000_000, rows: expected.length });
  }
  expect(transport.claims).toBeGreaterThan(0);
  await transport.close();
  let open: { scansOpen: number; claimsOpen: number } | undefined;
  for (let i = 0; i < 500; i++) {
    open = ((await client.status()) as { device: { scansOpen: number; claimsOpen: number } }).device;
    if (open.scansOpen === 0) break;
    await delay(10);
  }
  expect(open).toMatchObject({ scansOpen: 0, claimsOpen: 0 });
});
