// A tenant's list of kernels and kernels the daemon's side generates: it vouches for what they are made of, and nobody else can.
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { native } from '../../native/index.js';
import { CommandQueue } from '../../native/queue.js';
import { closeScan, loadProgram, openScan, type ScanRequest } from '../../native/scan-commands.js';
import { ScanFlag, Status } from '../../pushdown/runtime/wire.gen.js';
import { SlotDevice } from '../device/slot-device.js';
import { echoParts, kernel, sumParts } from '../kernels/wat.js';

const tenant = 7;
const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
/** Modules of users: what they say does not matter here. */
const [listed, other] = ['listed', 'other'].map((text) => digestOf(Buffer.from(text))) as [string, string];
const dir = mkdtempSync(join(tmpdir(), 'millrace-vouched-'));
const socketPath = join(dir, 'device.sock');
let device: SlotDevice;
let handle: number;
let module: Uint8Array;

beforeAll(async () => {
  device = new SlotDevice({ slots: 1, slmBytes: 32 << 20, slotHeapBytesMax: 16 << 20, tenantSlmBytes: 16 << 20, socketPath });
  handle = await device.putColumn([Int32Array.from({ length: 1000 }, (_, i) => i)]);
  await device.ready();
  module = await kernel(sumParts);
  const caps = { memoryBytes: 16 << 20, deadlineMs: 60_000, compileMs: 60_000, cpuPercent: 100, outputBytes: 1 << 24, stackBytes: 0, moduleBytes: 4 << 20 };
  device.device.setTenant({ id: tenant, name: 'acme', caps, kernels: [listed] });
});
afterAll(async () => {
  await device?.close();
  rmSync(dir, { recursive: true, force: true });
});

const audited = () => device.device.drainAudit().records.filter((r) => r.tenant === tenant);

it('the daemon\'s side runs what it generated, and of users only what is on the list', async () => {
  audited();
  const run = (madeOf?: readonly string[]) => device.run(module, handle, 1, { tenant, ...(madeOf ? { madeOf } : {}) });
  for (const madeOf of [[], [listed], [listed, listed]]) expect((await run(madeOf))[0]).toMatchObject({ place: 1 });
  await expect(run()).rejects.toMatchObject({ code: 'MR_KERNEL_NOT_ALLOWED' });
  for (const madeOf of [[other], [listed, other], [other, listed], [digestOf(module)]]) await expect(run(madeOf)).rejects.toMatchObject({ code: 'MR_KERNEL_NOT_ALLOWED' });
  // The log names the kernel that ran, and what vouching said of it.
  const kernelName = digestOf(module);
  const ran = { kernel: kernelName, refused: false, fault: 0, morselsDevice: 1 };
  const refused = { kernel: kernelName, refused: true, fault: Status.KernelNotAllowed, morselsDevice: 0 };
  const records = audited();
  expect(records).toMatchObject([
    { ...ran, madeOf: [] }, { ...ran, madeOf: [listed] }, { ...ran, madeOf: [listed, listed] }, refused,
    ...[[other], [listed, other], [other, listed], [kernelName]].map((madeOf) => ({ ...refused, madeOf })),
  ]);
  expect(records[3]).not.toHaveProperty('madeOf');
});

it('a client of the tenant cannot say so: Invalid Field, whatever it loads', async () => {
  audited();
  const ticket = device.device.grantAttach({ tenant, actor: 3 });
  const queue = new CommandQueue(native().attachDevice(socketPath, { ticket, dataBytes: 8 << 20, entries: 16 }), { entries: 16 });
  try {
    await loadProgram(queue, 0, module);
    const open = (more: Partial<ScanRequest>) => openScan(queue, { datasetHandle: handle, program: 0, flags: ScanFlag.DeviceRuns, columns: [0], rowGroups: [0], ...more });
    await expect(open({})).rejects.toMatchObject({ code: 'MR_KERNEL_NOT_ALLOWED' });
    for (const more of [{ madeOf: [] }, { madeOf: [listed] }, { madeOf: [digestOf(module)] }, { flags: ScanFlag.DeviceRuns | ScanFlag.Vouched }, { madeOf: [], tenant }])
      await expect(open(more)).rejects.toMatchObject({ code: 'MR_DEVICE_STATUS' });
    // Nothing of it ran; the one that was refused for its kernel is on record.
    expect(audited()).toMatchObject([{ kernel: digestOf(module), refused: true, actor: 3 }]);
    // With its digest on the list the client runs it, as before.
    const caps = { memoryBytes: 16 << 20, deadlineMs: 60_000, compileMs: 60_000, cpuPercent: 100, outputBytes: 1 << 24, stackBytes: 0, moduleBytes: 4 << 20 };
    device.device.setTenant({ id: tenant, name: 'acme', caps, kernels: [digestOf(module)] });
    await closeScan(queue, await open({}));
    await loadProgram(queue, 1, await kernel(echoParts(['i'])));
    await expect(open({ program: 1 })).rejects.toMatchObject({ code: 'MR_KERNEL_NOT_ALLOWED' });
  } finally {
    queue.close();
  }
});
