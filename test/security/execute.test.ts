// Execute Program by a host on real slots: its memory in, its last range out, and its ranges are all its kernel sees.
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadProgram, unloadProgram } from '../../native/scan-commands.js';
import { GuestFault, Nsid, Opcode, Status } from '../../pushdown/runtime/wire.gen.js';
import { execute, makeRangeSet, type Range, readMemory, writeMemory } from '../device/execute-device.js';
import { SlotDevice } from '../device/slot-device.js';
import { echoParts, foreverParts, kernel, type KernelParts, sumParts } from '../kernels/wat.js';

const input = Int32Array.from({ length: 5000 }, (_, i) => (i * 7919) % 10_007 - 5000);
const inputBytes = new Uint8Array(input.buffer);
const sum = input.reduce((s, v) => s + BigInt(v), 0n);
const at: Range = { start: 4096, length: inputBytes.length };
const out: Range = { start: 1 << 20, length: 64 };
let device: SlotDevice;

beforeAll(async () => {
  device = new SlotDevice({ morselDeadlineMs: 5000 });
  await device.ready();
  await writeMemory(device.queue, at.start, inputBytes);
});
afterAll(() => device.close());

async function run(parts: KernelParts, ranges: number | readonly Range[] = [at, out], rows = input.length) {
  await writeMemory(device.queue, out.start, new Uint8Array(64));
  await loadProgram(device.queue, 0, await kernel(parts));
  const answer = await execute(device.queue, 0, ranges, rows);
  await unloadProgram(device.queue, 0);
  return answer;
}
const word = async (start = out.start) => new DataView((await readMemory(device.queue, start, 8)).buffer).getBigInt64(0, true);
const fault = (code: number) => ({ status: Status.GuestFault, dw0: code });
/** The kernel does its worst in place of the sum. */
const worst = (body: string): KernelParts => ({ ...sumParts, process: `${body} ${sumParts.process}` });
const columnAt = '(call $column_data (local.get $in) (i32.const 0))';

it('computes on the ranges of a set, and on ranges it brings along', async () => {
  const set = await makeRangeSet(device.queue, [at, out]);
  expect(await run(sumParts, set)).toMatchObject({ status: Status.Success, dw0: 8 });
  expect(await word()).toBe(sum);
  expect(await run(sumParts)).toMatchObject({ status: Status.Success, dw0: 8 });
  expect(await word()).toBe(sum);
  expect((await device.queue.send(0, { opc: Opcode.AdminMemoryRangeSet, nsid: Nsid.Compute, cdw10: 1 | (set << 16) })).status).toBe(Status.Success);
});

it('lays columns one behind the other, over all frames of a large output', async () => {
  const large = Int32Array.from({ length: 2_000_000 }, (_, i) => (i * 48271) | 0);
  const bytes = new Uint8Array(large.buffer);
  const half = 1 << 20;
  for (let from = 0; from < bytes.length; from += half) await writeMemory(device.queue, (2 << 20) + from, bytes.subarray(from, from + half));
  const answer = await run(echoParts(['i', 'i']), [{ start: 2 << 20, length: 8_000_000 - 4 * 8 }, { start: (2 << 20) + 8_000_000 - 32, length: 32 }, out], 8);
  expect(answer.status).toBe(Status.InvalidField); // 8 rows of the first are a million bytes each
  const two = await run(echoParts(['i', 'i']), [{ start: 2 << 20, length: 4_000_004 }, { start: (2 << 20) + 4_000_004 - 8 + 8, length: 3_999_996 }, { start: 32 << 20, length: 8 << 20 }], 1_000_001);
  expect(two.status).toBe(Status.InvalidField); // one row less in the second
  const whole = await run(echoParts(['i', 'i']), [{ start: 2 << 20, length: 3_999_996 }, { start: (2 << 20) + 3_999_996, length: 3_999_996 }, { start: 32 << 20, length: 8 << 20 }], 999_999);
  expect(whole).toMatchObject({ status: Status.Success, dw0: 4_000_000 + 3_999_996 });
  const back = new Uint8Array(8_000_000);
  for (let from = 0; from < back.length; from += half) back.set(await readMemory(device.queue, (32 << 20) + from, Math.min(half, back.length - from)), from);
  expect(Buffer.compare(back.subarray(0, 3_999_996), bytes.subarray(0, 3_999_996))).toBe(0);
  expect(Buffer.compare(back.subarray(4_000_000, 7_999_996), bytes.subarray(3_999_996, 7_999_992))).toBe(0);
});

it('a kernel sees the pages of its ranges and nothing else of the device memory', async () => {
  // Datasets of the same tenant lie there, and other slots' windows: a scan reads beside its column, an Execute does not.
  const handle = await device.putColumn([input]);
  const peek = (bytes: number) => worst(`(drop (i32.load (i32.add ${columnAt} (i32.const ${bytes}))))`);
  const [scanned] = await device.run(await kernel(peek(32 * 4096)), handle, 1);
  expect(scanned.fault).toBeUndefined();
  for (const bytes of [-4096, -4, 20_480, 32 * 4096, 1 << 20]) expect(await run(peek(bytes))).toMatchObject(fault(GuestFault.TrapOutOfBounds));
  expect(await run(peek(20_476))).toMatchObject({ status: Status.Success }); // the rest of its last page
  const [after] = await device.run(await kernel(peek(32 * 4096)), handle, 1);
  expect(after.fault).toBeUndefined();
});

it('a scan sees nothing of what a host gave an Execute that runs beside it', async () => {
  const mark = 0x5ec2e7a1;
  const mib = 1 << 20;
  const heapBytes = 64 * mib;
  const windowAt = (heapBytes / 2 / 65536 + 1) * 65536; // daemon/slots/slot-programs.ts
  const slmBytes = 64 * mib;
  const own: Range = { start: 4 * mib, length: 64 * 1024 };
  await writeMemory(device.queue, own.start, new Uint8Array(new Uint32Array(own.length / 4).fill(mark).buffer));
  const handle = await device.putColumn([new Int32Array(1000).fill(mark)]);
  await loadProgram(device.queue, 0, await kernel(foreverParts));
  const running = execute(device.queue, 0, [own, out], own.length / 4);
  await word(); // answered behind the Execute, which so has begun; its slot is busy until its deadline
  const seen = async (from: number, to: number) => {
    const [outcome] = await device.run(await kernel({
      formats: ['l'],
      process: `(local.set $p (i32.const ${windowAt + from}))
        (loop $next (if (i32.lt_u (local.get $p) (i32.const ${windowAt + to})) (then
          (if (i32.eq (i32.load (local.get $p)) (i32.const ${mark})) (then (local.set $s (i64.add (local.get $s) (i64.const 1)))))
          (local.set $p (i32.add (local.get $p) (i32.const 4))) (br $next))))
        (i64.store (i32.const 16384) (local.get $s))
        (call $batch (local.get $out) (i32.const 1) (i32.const 1)) (call $put (i32.const 0) (i32.const 1) (i32.const 2) (i32.const 0) (i32.const 16384) (i32.const 0)) (i32.const 3)`,
    }), handle, 1, { index: 1 });
    return outcome!.fault ?? new DataView(outcome!.frames[0]!.buffers[1]!.slice().buffer).getBigInt64(0, true);
  };
  expect(await seen(0, slmBytes)).toBe(1000n); // its own column
  for (const beyond of [slmBytes, slmBytes + 8 * mib]) expect(await seen(beyond, beyond + 4)).toBe(GuestFault.TrapOutOfBounds);
  expect(await running).toMatchObject(fault(GuestFault.Timeout));
  expect(await seen(0, slmBytes)).toBe(1000n);
  await unloadProgram(device.queue, 0);
});

it('a store into an input, and a bulk read beside it, end the command only', async () => {
  expect(await run(worst(`(i32.store ${columnAt} (i32.const 7))`))).toMatchObject(fault(GuestFault.TrapOutOfBounds));
  expect(await run(worst(`(memory.copy (i32.const 70000) (i32.add ${columnAt} (i32.const 40960)) (i32.const 64))`))).toMatchObject(fault(GuestFault.SlotKilled));
  expect(await word()).toBe(0n);
  await device.ready();
  expect(await run(sumParts)).toMatchObject({ status: Status.Success });
});

it('keeps nothing from one Execute to the next', async () => {
  const counting: KernelParts = {
    formats: ['l'],
    process: `(i64.store (i32.const 20000) (i64.add (i64.load (i32.const 20000)) (i64.const 1))) (call $batch (local.get $out) (i32.const 1) (i32.const 1))
      (call $put (i32.const 0) (i32.const 1) (i32.const 2) (i32.const 0) (i32.const 20000) (i32.const 0)) (i32.const 3)`,
  };
  for (let i = 0; i < 3; i++) {
    expect(await run(counting)).toMatchObject({ status: Status.Success });
    expect(await word()).toBe(1n);
  }
});

it('traps, time, refused modules and output that is too much or of no fixed width are faults', async () => {
  expect(await run(worst('unreachable'))).toMatchObject(fault(GuestFault.TrapUnreachable));
  expect(await run(foreverParts)).toMatchObject(fault(GuestFault.Timeout));
  expect(await run({ ...sumParts, imports: '(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))' })).toMatchObject(fault(GuestFault.ModuleRejected));
  expect(await run(echoParts(['i']))).toMatchObject(fault(GuestFault.OutputLimit));
  expect(await run(echoParts(['b']), [at, { start: 32 << 20, length: 1 << 20 }])).toMatchObject(fault(GuestFault.AbiViolation));
  expect(await word()).toBe(0n);
  expect(await run(sumParts)).toMatchObject({ status: Status.Success });
  expect(await word()).toBe(sum);
});

/** CPU time of a process, all its threads. */
const cpuMs = (pid: number) => readdirSync(`/proc/${pid}/task`).reduce((ms, tid) => ms + Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ')[0]) / 1e6, 0);

it('runs once more when its slot is killed, and keeps program and set in use meanwhile', async () => {
  const slow = worst('(local.set $i (i32.const 200000000)) (loop $on (local.set $i (i32.sub (local.get $i) (i32.const 1))) (br_if $on (local.get $i)))');
  const set = await makeRangeSet(device.queue, [at, out]);
  await loadProgram(device.queue, 0, await kernel(slow));
  const answer = execute(device.queue, 0, set, input.length);
  await word(); // the admin queue goes first: what stands behind the Execute in its own queue was answered, so it has begun
  expect((await device.queue.send(0, { opc: Opcode.AdminActivateProgram, nsid: Nsid.Compute })).status).toBe(Status.ProgramInUse);
  expect((await device.queue.send(0, { opc: Opcode.AdminMemoryRangeSet, nsid: Nsid.Compute, cdw10: 1 | (set << 16) })).status).toBe(Status.MemoryRangeSetInUse);
  // The one that computes, and no other: it may have been given the work already, and a second loss is an answer too.
  const before = device.slots().map(({ pid }) => cpuMs(pid));
  await new Promise((resolve) => { setTimeout(resolve, 60); });
  const used = device.slots().map(({ pid }, i) => ({ pid, ms: cpuMs(pid) - (before[i] as number) }));
  process.kill(used.reduce((a, b) => (b.ms > a.ms ? b : a)).pid, 'SIGKILL');
  expect(await answer).toMatchObject({ status: Status.Success, dw0: 8 });
  expect(await word()).toBe(sum);
  await device.ready();
  expect((await device.queue.send(0, { opc: Opcode.AdminMemoryRangeSet, nsid: Nsid.Compute, cdw10: 1 | (set << 16) })).status).toBe(Status.Success);
  await unloadProgram(device.queue, 0);
});
