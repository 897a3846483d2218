// Execute Program over media that is memory: whole blocks of a dataset are used where they lie, everything else is copied, and a kernel sees its ranges only.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { expectSuccess } from '../../native/command-status.js';
import { native } from '../../native/index.js';
import { CommandQueue } from '../../native/queue.js';
import { loadProgram, unloadProgram } from '../../native/scan-commands.js';
import { GuestFault, Nsid, Opcode, Status } from '../../pushdown/runtime/wire.gen.js';
import { execute, makeRangeSet, type Range, readMemory } from '../device/execute-device.js';
import { SlotDevice } from '../device/slot-device.js';
import { kernel, type KernelParts, sumParts } from '../kernels/wat.js';

const block = 4096;
/** Five blocks of i32 each: whole ones, so that nothing of the last is left over. */
const columns = [1, 2].map((k) => Int32Array.from({ length: (5 * block) / 4 }, (_, i) => (i * 7919 * k) % 10_007 - 5000));
const sums = columns.map((values) => values.reduce((s, v) => s + BigInt(v), 0n));
const rows = columns[0]!.length;
const out: Range = { start: 1 << 20, length: 64 };
/** Where the columns lie on the media: the device's first blocks. */
const at = (column: number, from = 0, length = 5 * block): Range => ({ nsid: Nsid.Pmem, start: column * 5 * block + from, length });
const scratch = mkdtempSync(join(tmpdir(), 'millrace-in-place-'));
let device: SlotDevice;
let handles: number[];

beforeAll(async () => {
  device = new SlotDevice({
    slots: 1, morselDeadlineMs: 5000, socketPath: join(scratch, 'socket'),
    model: { media: { kind: 'memory', lineBytes: 256, modules: 1, loadNs: 1, loadBufferedNs: 1, storeNtNs: 1, storeFlushedNs: 1, lineReadNs: 0.001, lineWriteNs: 0.001 } },
  });
  await device.ready();
  handles = [await device.putColumn([columns[0]!], 'mine'), await device.putColumn([columns[1]!], 'other')];
});
afterAll(async () => {
  await device.close();
  rmSync(scratch, { recursive: true });
});

async function run(ranges: number | readonly Range[], parts: KernelParts = sumParts, count = rows, queue = device.queue) {
  await loadProgram(queue, 0, await kernel(parts));
  const answer = await execute(queue, 0, ranges, count);
  await unloadProgram(queue, 0);
  return answer;
}
const word = async (start = out.start, queue = device.queue) => new DataView((await readMemory(queue, start, 8)).buffer).getBigInt64(0, true);
/** Bytes used in place and bytes copied from the media by what runs. */
async function moved<T>(what: () => Promise<T>): Promise<{ inPlace: number; read: number; answer: T }> {
  const before = device.device.stats();
  const answer = await what();
  const after = device.device.stats();
  return { inPlace: after.inPlaceBytes - before.inPlaceBytes, read: after.mediaReadBytes - before.mediaReadBytes, answer };
}
const columnAt = '(call $column_data (local.get $in) (i32.const 0))';
const peek = (bytes: number): KernelParts => ({ ...sumParts, process: `(drop (i32.load (i32.add ${columnAt} (i32.const ${bytes})))) ${sumParts.process}` });
const outOfBounds = { status: Status.GuestFault, dw0: GuestFault.TrapOutOfBounds };
const success = { status: Status.Success, dw0: 8 };

it('whole blocks of a dataset are used where they lie, by ranges and by a set', async () => {
  expect(await moved(() => run([at(0), out]))).toMatchObject({ answer: success, inPlace: 5 * block, read: 0 });
  expect(await word()).toBe(sums[0]);
  const set = await makeRangeSet(device.queue, [at(1), out]);
  expect(await moved(() => run(set))).toMatchObject({ answer: success, inPlace: 5 * block, read: 0 });
  expect(await word()).toBe(sums[1]);
  // The last block of one dataset and the first of the next: the slot sees both.
  expect(await moved(() => run([at(0, 4 * block, 2 * block), out], sumParts, block / 2))).toMatchObject({ answer: success, inPlace: 2 * block, read: 0 });
  expect(await moved(() => run([at(0, 2 * block, block), out], sumParts, block / 4))).toMatchObject({ answer: success, inPlace: block, read: 0 });
  expect(await word()).toBe(columns[0]!.subarray(2 * block / 4, 3 * block / 4).reduce((s, v) => s + BigInt(v), 0n));
});

it('other bytes of the media are copied: no whole blocks, no dataset', async () => {
  expect(await moved(() => run([at(0, 4, block), out], sumParts, block / 4))).toMatchObject({ answer: success, inPlace: 0, read: block });
  expect(await word()).toBe(columns[0]!.subarray(1, 1 + block / 4).reduce((s, v) => s + BigInt(v), 0n));
  expect(await moved(() => run([at(100), out]))).toMatchObject({ answer: success, inPlace: 0, read: 5 * block });
  expect(await word()).toBe(0n);
});

it('a kernel sees the blocks of its range and no other of the media or the memory', async () => {
  expect(await run([at(0, block, 2 * block), out], peek(2 * block - 4), block / 2)).toMatchObject(success);
  // Both datasets, and further blocks of its own, are in the slot's view.
  for (const bytes of [-4, -block, 2 * block, 3 * block, 5 * block, -(1 << 20), -(32 << 20)]) expect(await run([at(0, block, 2 * block), out], peek(bytes), block / 2)).toMatchObject(outOfBounds);
  // Copied bytes are no more than those: the rest of their page is zero, and the next is none of it.
  const rest = { ...sumParts, process: `(if (i32.load (i32.add ${columnAt} (i32.const 64))) (then unreachable)) ${sumParts.process}` };
  expect(await run([at(0, 64, 64), out], rest, 16)).toMatchObject(success);
  expect(await run([at(0, 64, 64), out], peek(block), 16)).toMatchObject(outOfBounds);
  // A store into an input changes nothing.
  expect(await run([at(0), out], { ...sumParts, process: `(i32.store ${columnAt} (i32.const 7)) ${sumParts.process}` })).toMatchObject(outOfBounds);
  expect(await run([at(0), out])).toMatchObject(success);
  expect(await word()).toBe(sums[0]);
});

it('output goes to the media of whoever may write there', async () => {
  const there = at(200, 128, 64);
  expect(await run([at(1), there])).toMatchObject(success);
  const region = await device.queue.acquire(block);
  expectSuccess(await device.queue.send(1, { opc: Opcode.Read, nsid: Nsid.Nvm, cdw10: there.start / block | 0 }, region), 'Read');
  expect(new DataView(region.view.buffer, region.view.byteOffset).getBigInt64(there.start % block, true)).toBe(sums[1]);
  device.queue.release(region);
});

it('a ticket for some datasets opens their blocks and no other, and writes none', async () => {
  const ticket = device.device.grantAttach({ tenant: 0, actor: 0, datasets: ['mine'] });
  const host = new CommandQueue(native().attachDevice(join(scratch, 'socket'), { ticket, dataBytes: 4 << 20, entries: 16 }), { entries: 16 });
  expect(await moved(() => run([at(0), out], sumParts, rows, host))).toMatchObject({ answer: success, inPlace: 5 * block });
  expect(await word(out.start, host)).toBe(sums[0]);
  for (const other of [at(1), at(100), at(0, 4 * block, 2 * block), at(1, 4, 64)]) expect((await run([other, out], sumParts, other.length / 4, host)).status).toBe(Status.AccessDenied);
  const set = await makeRangeSet(host, [at(1), out]);
  expect((await run(set, sumParts, rows, host)).status).toBe(Status.AccessDenied);
  expect((await run([at(0), at(200)], sumParts, rows, host)).status).toBe(Status.NamespaceWriteProtected);
  host.close();
});

it('a dataset that goes is let go by the slots that ran on it', async () => {
  expect(await moved(() => run([at(0), out]))).toMatchObject({ inPlace: 5 * block });
  await device.device.retireDataset(handles[0]!);
  expect(await moved(() => run([at(0), out]))).toMatchObject({ answer: success, inPlace: 0, read: 5 * block });
  expect(await moved(() => run([at(1), out]))).toMatchObject({ answer: success, inPlace: 5 * block, read: 0 });
});
