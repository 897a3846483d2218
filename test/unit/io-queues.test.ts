import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type NativeDevice, native } from '../../native/index.js';
import { CommandQueue, type IoQueue } from '../../native/queue.js';
import { Nsid, Opcode, Status } from '../../pushdown/runtime/wire.gen.js';

const entries = 16;
const dataBytes = 4 << 20;
let dir: string;
let device: NativeDevice;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-io-queues-'));
  device = native().openDevice({
    backingFile: join(dir, 'nvm'), capacityBytes: 64 << 20, rawFile: join(dir, 'raw'), rawBytes: 16 << 20, slmBytes: 16 << 20, ioThreads: 1, slots: 0, socketPath: join(dir, 'socket'),
    slotNode: '', slotScript: '', slotLauncher: '', slotHeapBytesMax: 0, morselDeadlineMs: 1000,
  });
});
afterEach(async () => {
  await device.close();
  rmSync(dir, { recursive: true });
});

const statusOf = (queue: IoQueue, opc: number, block: number, region: Awaited<ReturnType<CommandQueue['acquire']>>) => queue.send({ opc, nsid: Nsid.Raw, cdw10: block }, region).then(({ status }) => status);
/** Nothing is held any more: the whole data region can be had at once. */
const nothingHeld = async (host: CommandQueue) => host.release(await host.acquire(dataBytes));

describe.each([
  ['in process', () => new CommandQueue(device.attach({ dataBytes, entries }), { entries })],
  ['through the socket', () => new CommandQueue(native().attachDevice(join(dir, 'socket'), { dataBytes, entries }), { entries })],
])('queues made beside the first, %s', (_, attach) => {
  let host: CommandQueue;
  beforeEach(() => {
    host = attach();
  });
  afterEach(() => host.close());

  it('carry commands beside one another, more of them than they have entries', async () => {
    const queues = await Promise.all([host.createQueue({ entries: 4 }), host.createQueue({ entries: 64, priority: 'high' })]);
    expect(queues.map(({ id }) => id)).toEqual([2, 3]);
    const blocks = 300;
    await Promise.all(queues.map(async (queue, q) => {
      const regions = await Promise.all(Array.from({ length: blocks }, () => host.acquire(4096)));
      for (const [i, region] of regions.entries()) region.view.fill(1 + ((i + q * 101) % 251));
      expect(new Set(await Promise.all(regions.map((region, i) => statusOf(queue, Opcode.Write, q * blocks + i, region))))).toEqual(new Set([Status.Success]));
      for (const region of regions) region.view.fill(0);
      expect(new Set(await Promise.all(regions.map((region, i) => statusOf(queue, Opcode.Read, q * blocks + i, region))))).toEqual(new Set([Status.Success]));
      for (const [i, region] of regions.entries()) expect(region.view.every((b) => b === 1 + ((i + q * 101) % 251))).toBe(true);
      for (const region of regions) host.release(region);
    }));
    const region = await host.acquire(4096);
    expect((await host.send(1, { opc: Opcode.Read, nsid: Nsid.Raw }, region)).status).toBe(Status.Success);
    host.release(region);
    for (const queue of queues) await queue.delete();
    await nothingHeld(host);
  });

  it('are deleted under commands: each ends once, the rest of the association goes on', async () => {
    const [queue, other] = [await host.createQueue({ entries: 2 }), await host.createQueue({ entries: 16 })];
    const region = await host.acquire(4096);
    const under = Array.from({ length: 2000 }, (_each, i) => statusOf(queue, Opcode.Read, i, region));
    const beside = Array.from({ length: 200 }, (_each, i) => statusOf(other, Opcode.Read, i, region));
    let ended = 0;
    for (const one of under) void one.then(() => ended++);
    await queue.delete();
    expect(ended).toBe(under.length);
    const statuses = await Promise.all(under);
    expect(statuses.filter((status) => status !== Status.Success && status !== Status.AbortedQueueDeletion)).toEqual([]);
    expect(statuses).toContain(Status.AbortedQueueDeletion);
    expect(new Set(await Promise.all(beside))).toEqual(new Set([Status.Success]));
    expect(await statusOf(queue, Opcode.Read, 0, region)).toBe(Status.AbortedQueueDeletion);
    await queue.delete();
    // Its number and memory serve the next one.
    const again = await host.createQueue({ entries: 2 });
    expect(again.id).toBe(queue.id);
    expect(await statusOf(again, Opcode.Read, 0, region)).toBe(Status.Success);
    host.release(region);
    await Promise.all([again.delete(), other.delete()]);
    await nothingHeld(host);
  });

  it('are refused with the status of what is wrong, and nothing is held', async () => {
    for (const wrong of [1, 3, 100, 8192]) await expect(host.createQueue({ entries: wrong })).rejects.toMatchObject({ code: 'MR_DEVICE_STATUS', message: expect.stringContaining('InvalidQueueSize') });
    for (const wrong of [0, -16, 1.5, Number.NaN, 65537, 65536 + 16]) await expect(host.createQueue({ entries: wrong })).rejects.toMatchObject({ code: 'MR_QUEUE_ARGUMENT' });
    const queues = await Promise.all(Array.from({ length: 63 }, () => host.createQueue({ entries: 2 })));
    expect(new Set(queues.map(({ id }) => id)).size).toBe(63);
    await expect(host.createQueue({ entries: 2 })).rejects.toMatchObject({ code: 'MR_DEVICE_LIMIT' });
    await Promise.all(queues.map((queue) => queue.delete()));
    await nothingHeld(host);
    // What does not fit the data region is refused by it, beside the half that fitted.
    await expect(host.createQueue({ entries: 65536 })).rejects.toMatchObject({ code: 'MR_REGION_TOO_LARGE' });
    await nothingHeld(host);
  });

  it('end with the association', async () => {
    const queue = await host.createQueue({ entries: 2 });
    const region = await host.acquire(4096);
    const lost = Array.from({ length: 50 }, (_each, i) => statusOf(queue, Opcode.Read, i, region));
    host.close();
    for (const one of lost) await expect(one).rejects.toMatchObject({ code: 'MR_ASSOCIATION_LOST' });
    await expect(queue.delete()).rejects.toMatchObject({ code: 'MR_ASSOCIATION_LOST' });
    await expect(host.createQueue({ entries: 2 })).rejects.toMatchObject({ code: 'MR_ASSOCIATION_LOST' });
  });
});
