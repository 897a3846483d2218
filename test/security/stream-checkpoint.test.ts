// Checkpoints that a host gives to the device are hostile: whatever is in them is looked at in a slot only, refused with a code that
// stays, and costs nobody but its own stream anything.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { checkpointStream, closeScan, loadProgram, openScan, restoreStream, resumeStream } from '../../native/scan-commands.js';
import { checkpointPageBytes, readCheckpoint } from '../../pushdown/runtime/checkpoint.js';
import { Crc32c } from '../../pushdown/runtime/crc32c.js';
import { CheckpointGlobal, CheckpointHeader, GuestFault, Nsid, Opcode, ScanFlag, Status } from '../../pushdown/runtime/wire.gen.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { DeviceStream } from '../device/device-stream.js';
import { SlotDevice } from '../device/slot-device.js';
import { Random } from '../differential/random.js';
import { foreverParts, kernel, sumParts } from '../kernels/wat.js';
import { statefulKernel } from '../kernels/stateful.js';

const groups = 6;
const columns = Array.from({ length: groups }, (_, g) => Int32Array.from({ length: 500 }, (_, i) => g * 1000 + i));
const sums = columns.map((c) => c.reduce((s, v) => s + BigInt(v), 0n));
const rowGroups = columns.map((_, i) => i);
let device: SlotDevice;
let handle: number;
let module: Uint8Array<ArrayBuffer>;
let pids: number[];

beforeAll(async () => {
  device = new SlotDevice({ slots: 2, slmBytes: 16 << 20, slotHeapBytesMax: 8 << 20 });
  handle = await device.putColumn(columns);
  module = await statefulKernel(new Random(7));
  await loadProgram(device.queue, 0, module);
  await loadProgram(device.queue, 1, await statefulKernel(new Random(8)));
  await device.ready();
  pids = device.slots().map((s) => s.pid);
});
afterAll(() => device.close());

const codeOf = async (act: Promise<unknown>): Promise<string> => {
  try {
    await act;
  } catch (thrown) {
    if (thrown instanceof MillraceError) return thrown.code;
    throw thrown;
  }
  return 'accepted';
};
const held = (program = 0) => DeviceStream.open(device, handle, { rowGroups, held: true, program });
/** The checkpoint of a stream nobody began. */
async function begin(): Promise<Uint8Array<ArrayBuffer>> {
  const stream = await held();
  const bytes = await checkpointStream(device.queue, stream.scan);
  await stream.close();
  return bytes;
}
async function expectWellAgain(): Promise<void> {
  const outcomes = await device.run(await kernel(sumParts), handle, groups, { index: 2 });
  expect(outcomes.map((o) => o.fault ?? new DataView(o.frames[0]!.buffers[1]!.slice().buffer).getBigInt64(0, true))).toEqual(sums);
}

it('what is cut, changed, longer, of another kernel or another place is refused, and the stream is held as before', async () => {
  const good = await begin();
  const stream = await held();
  const refused = async (bytes: Uint8Array, code: string | RegExp, why: string, morsel = 0) => expect(await codeOf(restoreStream(device.queue, stream.scan, bytes, morsel)), why).toMatch(code);
  for (const cut of [1, 100, CheckpointHeader.bytes, good.length >> 1, good.length - 1]) await refused(good.slice(0, cut), 'MR_CHECKPOINT_INVALID', `cut at ${cut}`);
  await refused(Uint8Array.from([...good, 0]), 'MR_CHECKPOINT_INVALID', 'one byte more');
  for (let at = 0; at < good.length; at += at < 256 ? 5 : 1511) {
    const changed = good.slice();
    changed[at] = (changed[at] as number) ^ 0x41;
    await refused(changed, /^MR_CHECKPOINT_(INVALID|MISMATCH)$/, `byte ${at}`);
  }
  await refused(good, 'MR_CHECKPOINT_MISMATCH', 'another place in the stream', 3);
  const other = await held(1);
  expect(await codeOf(restoreStream(device.queue, other.scan, good, 0))).toBe('MR_CHECKPOINT_MISMATCH');
  await other.close();
  expect(await codeOf(restoreStream(device.queue, stream.scan, new Uint8Array(0), 0))).toBe('MR_CHECKPOINT_INVALID');
  // Nothing of all that is left: the good one is taken, and the stream runs through.
  await restoreStream(device.queue, stream.scan, good, 0);
  await stream.over;
  expect([stream.fault, stream.whole]).toEqual([undefined, groups]);
  await stream.close();
  // No slot was lost over it.
  expect(device.slots().map((s) => s.pid)).toEqual(pids);
  await expectWellAgain();
});

it('a forged one with a right checksum reaches nothing but its own kernel', async () => {
  const good = await begin();
  const { pageCount, globalCount } = readCheckpoint(good);
  const pagesAt = CheckpointHeader.bytes + globalCount * CheckpointGlobal.bytes;
  const forge = (change: (view: DataView) => void): Uint8Array => {
    const forged = good.slice();
    const view = new DataView(forged.buffer);
    change(view);
    view.setUint32(CheckpointHeader.crc32c, 0, true);
    view.setUint32(CheckpointHeader.crc32c, new Crc32c().update(forged).value, true);
    return forged;
  };
  const { windowAddress } = readCheckpoint(good);
  const stream = await held();
  for (const address of [windowAddress, windowAddress + 4096, 0xfffff000, 1]) expect(await codeOf(restoreStream(device.queue, stream.scan, forge((v) => v.setUint32(pagesAt + 4 * (pageCount - 1), address, true)), 0)), `a page at ${address}`).toMatch(/^MR_CHECKPOINT_/);
  for (const field of ['inputAddress', 'outputAddress', 'schemaAddress', 'releaseFn', 'windowAddress', 'memoryPages', 'globalCount', 'pageCount', 'phase'] as const)
    for (const value of [1, 0x7fffffff, 0xffffffff]) expect(await codeOf(restoreStream(device.queue, stream.scan, forge((v) => { if (v.getUint32(CheckpointHeader[field], true) === value) v.setUint32(CheckpointHeader[field], 2, true); else v.setUint32(CheckpointHeader[field], value, true); }), 0)), `${field} ${value}`).toMatch(/^MR_CHECKPOINT_/);
  await stream.close();
  // A state no run of it would have come to: traps and nonsense are the kernel's own, and its output is checked like any other.
  const r = new Random(9);
  for (let i = 0; i < 12; i++) {
    const forged = forge((view) => { for (let k = 0; k < 40; k++) view.setUint32(good.length - checkpointPageBytes * pageCount + 4 * r.int(0, (checkpointPageBytes * pageCount) / 4 - 1), r.u32(), true); });
    const victim = await held();
    await restoreStream(device.queue, victim.scan, forged, 0);
    await victim.over;
    expect(victim.fault === undefined || Object.values(GuestFault).includes(victim.fault as never)).toBe(true);
    await victim.close();
  }
  await expectWellAgain();
});

it('commands in the wrong state are refused, and no more bytes are taken than the device moves', async () => {
  const { queue } = device;
  const plain = await openScan(queue, { datasetHandle: handle, program: 0, flags: ScanFlag.DeviceRuns, columns: [0], rowGroups });
  const region = await queue.acquire(65536);
  const send = async (opc: number, fields: Record<string, number>) => (await queue.send(1, { opc, nsid: Nsid.Compute, ...fields }, region)).status;
  expect(await send(Opcode.ScanCheckpoint, { cdw10: plain })).toBe(Status.InvalidField);
  expect(await send(Opcode.ScanRestore, { cdw10: plain })).toBe(Status.InvalidField);
  expect(await send(Opcode.ScanCheckpoint, { cdw10: 0x7fffffff })).toBe(Status.NoSuchScan);
  expect(await send(Opcode.ScanRestore, { cdw10: 0x7fffffff })).toBe(Status.NoSuchScan);
  await closeScan(queue, plain);
  for (const flags of [ScanFlag.Stream, ScanFlag.DeviceRuns | ScanFlag.Held]) await expect(openScan(queue, { datasetHandle: handle, ...(flags & ScanFlag.DeviceRuns ? { program: 0 } : {}), flags, columns: [0], rowGroups })).rejects.toMatchObject({ code: 'MR_DEVICE_STATUS' });

  const stream = await held();
  expect(await send(Opcode.ScanRestore, { cdw10: stream.scan, cdw12: (64 << 20) + 1 })).toBe(Status.CheckpointTooBig);
  expect(await send(Opcode.ScanRestore, { cdw10: stream.scan, cdw11: 4096, cdw12: 1 << 20 })).toBe(Status.CommandSequenceError);
  expect(await send(Opcode.ScanRestore, { cdw10: stream.scan, cdw12: 1 << 20, cdw13: groups })).toBe(Status.InvalidField);
  expect(await send(Opcode.ScanRestore, { cdw10: stream.scan, cdw12: 1 << 20 })).toBe(Status.Success);
  expect(await send(Opcode.ScanRestore, { cdw10: stream.scan, cdw11: 65536, cdw12: 2 << 20 })).toBe(Status.InvalidField);
  expect(await send(Opcode.ScanClaim, { cdw10: stream.scan, cdw11: 2 })).toBe(Status.Success);
  await resumeStream(queue, stream.scan);
  expect(await codeOf(resumeStream(queue, stream.scan))).toBe('MR_STREAM_STATE');
  await stream.over;
  expect(await codeOf(checkpointStream(queue, stream.scan))).toBe('MR_STREAM_STATE');
  await stream.close();
  queue.release(region);
  await expectWellAgain();
});

it('a kernel that never returns holds no checkpoint up for ever: its deadline ends both', async () => {
  await loadProgram(device.queue, 3, await kernel(foreverParts));
  const executes = () => device.device.stats().commands['slot/Execute'] ?? 0;
  const before = executes();
  const stream = await DeviceStream.open(device, handle, { rowGroups, program: 3, deadlineMs: 200 });
  while (executes() === before) await new Promise((resolve) => setImmediate(resolve));
  const region = await device.queue.acquire(4096);
  const completion = await device.queue.send(1, { opc: Opcode.ScanCheckpoint, nsid: Nsid.Compute, cdw10: stream.scan }, region);
  expect(completion).toMatchObject({ status: Status.GuestFault, dw0: GuestFault.Timeout });
  await stream.over;
  expect(stream.fault).toBe(GuestFault.Timeout);
  device.queue.release(region);
  await stream.close();
  await expectWellAgain();
});

it('a host that leaves in the middle of a move takes nothing along', async () => {
  const stream = await held();
  const asked = checkpointStream(device.queue, stream.scan);
  await closeScan(device.queue, stream.scan);
  expect(['accepted', 'MR_ABORTED', 'MR_SCAN_NOT_FOUND']).toContain(await codeOf(asked));
  await stream.over.catch(() => undefined);
  await expectWellAgain();
});
