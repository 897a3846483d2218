// The audit log over a device's own records: bounded by rotation, in order over all its files, and going on after a restart.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AuditLog } from '../../daemon/tenants/audit-log.js';
import { SlotDevice } from '../device/slot-device.js';
import { kernel, sumParts } from '../kernels/wat.js';

const scansMax = 48;
const fileBytesMax = 900;
let device: SlotDevice;
let handle: number;
let module: Uint8Array;
const errors: unknown[] = [];

beforeAll(async () => {
  device = new SlotDevice({ slots: 1, slmBytes: 16 << 20, slotHeapBytesMax: 16 << 20 });
  handle = await device.putColumn(Array.from({ length: scansMax }, () => new Int32Array(1)));
  await device.ready();
  module = await kernel(sumParts);
});
afterAll(() => device.close());

const open = () => new AuditLog({ dir: device.dir, device: device.device, datasets: { list: () => [] }, actorOf: () => ({ tenant: 'acme', token: 'älice' }), onError: (error) => errors.push(error), fileBytesMax });
const path = (name: string) => join(device.dir, 'audit', name);
const linesOf = (name: string) => readFileSync(path(name), 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as { morsels: number });

it('keeps the newest entries in five files of bounded size, oldest first when read', async () => {
  let log = open();
  for (let scan = 1; scan <= scansMax; scan++) {
    // Which scan an entry is of, its count of morsels says.
    await device.run(module, handle, scan);
    // One at a time and several; and a daemon that starts anew in between.
    if (scan % 5 !== 0) log.collect();
    if (scan === 20) log = open();
  }
  const entries = log.tail(1000);
  expect(errors).toEqual([]);
  expect(entries.at(-1)).toMatchObject({ tenant: 'acme', token: 'älice', dataset: `#${handle}`, outcome: 'ok', morsels: scansMax });
  expect(entries.map((e) => e.morsels)).toEqual(entries.map((_, i) => scansMax - entries.length + 1 + i));
  expect(log.tail(3)).toEqual(entries.slice(-3));

  const files = readdirSync(path('')).sort();
  expect(files).toEqual(['audit.ndjson', 'audit.ndjson.1', 'audit.ndjson.2', 'audit.ndjson.3', 'audit.ndjson.4']);
  for (const file of files) expect(statSync(path(file)).size).toBeLessThanOrEqual(fileBytesMax);
  expect([...files].reverse().flatMap(linesOf).map((e) => e.morsels)).toEqual(entries.map((e) => e.morsels));
  // What was dropped is the oldest, and most of a file's room is used.
  expect(entries.length).toBeLessThan(scansMax);
  expect(existsSync(path('audit.ndjson.5'))).toBe(false);
}, 120_000);
