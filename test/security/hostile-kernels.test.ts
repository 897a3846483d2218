// What an attacker tried and what came of it: each a kernel made for the purpose, in a real slot.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { GuestFault } from '../../pushdown/runtime/wire.gen.js';
import { SlotDevice } from '../device/slot-device.js';
import { kernel, type KernelParts, sumParts } from '../kernels/wat.js';
import { nested } from './hostile-modules.js';

let device: SlotDevice;
let handle: number;
const values = Int32Array.from({ length: 5000 }, (_, i) => i * 3);
const sum = values.reduce((s, v) => s + BigInt(v), 0n);
const emptyBatch = '(call $batch (local.get $out) (i32.const 0) (i32.const 1)) (call $put (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 0))';

beforeAll(async () => {
  device = new SlotDevice({ slots: 2, slmBytes: 16 << 20, slotHeapBytesMax: 16 << 20 });
  handle = await device.putColumn([values, values]);
  await device.ready();
});
afterAll(() => device.close());

/** Slots that ended by a signal of their own. */
const crashesSince = (event: number) => device.events.slice(event).filter((e) => /signal (4|6|7|8|11|31)/.test(e));

async function endOf(bytes: Uint8Array, options: { readonly deadlineMs?: number } = {}): Promise<unknown> {
  const [outcome] = await device.run(bytes, handle, 1, options);
  return outcome.fault ?? new DataView(outcome.frames[0].buffers[1].slice().buffer).getBigInt64(0, true);
}
const end = async (parts: Partial<KernelParts>, options?: { readonly deadlineMs?: number }) => endOf(await kernel({ ...sumParts, ...parts }), options);

it('a module that takes the compiler half a minute is stopped', async () => {
  // Which bound it meets first depends on the machine: the time a compile has, or, where that is enough for it, the memory a slot has.
  expect([GuestFault.Timeout, GuestFault.SlotKilled]).toContain(await endOf(await nested(50_000, [0x03, 0x40], [0x0b]), { deadlineMs: 300 }));
  expect(await end({})).toBe(sum);
}, 60_000);

it('a kernel that puts out little batches for ever has one deadline, not one per output area', async () => {
  // A fast machine reaches the bound of a morsel's output before that of its running time.
  const bounds: readonly unknown[] = [GuestFault.Timeout, GuestFault.OutputLimit];
  expect(bounds).toContain(await end({ process: `${emptyBatch} (i32.const 1)` }, { deadlineMs: 300 }));
  const { length } = values;
  const whole = `(call $batch (local.get $out) (i32.const ${length}) (i32.const 1)) (call $put (i32.const 0) (i32.const ${length}) (i32.const 2) (i32.const 0) (i32.const 65536) (i32.const 0))`;
  const [outcome] = await device.run(await kernel({ ...sumParts, process: `${whole} (i32.const 1)` }), handle, 1, { deadlineMs: 300, discard: true });
  expect(bounds).toContain(outcome.fault);
}, 60_000);

it('segments that reach beyond table or memory are refused or trap; the engine writes nothing over the window', async () => {
  const before = device.events.length;
  expect(await end({ extra: '(elem (i32.const 5) $nothing)' })).toBe(GuestFault.TrapOutOfBounds);
  // The window begins 8 MiB + 64 KiB into the slot's memory.
  for (const at of [(8 << 20) + 65536, (8 << 20) + 65536 + 4096, 24 << 20, -4]) expect(await end({ extra: `(data (i32.const ${at}) "over")` })).toBe(GuestFault.ModuleRejected);
  expect(await end({ extra: '(global $at i32 (i32.const 8454144)) (data (global.get $at) "over")' })).toBe(GuestFault.ModuleRejected);
  expect(crashesSince(before)).toEqual([]);
});

it('exports of other types, which JavaScript would refuse to call, are refused before', async () => {
  const before = device.events.length;
  expect(await end({ extra: '(func (export "x") (param i64))' })).toBe(sum);
  for (const type of ['i64', 'v128', 'f32']) expect(await end({ reset: `(param ${type})` })).toBe(GuestFault.ModuleRejected);
  expect(crashesSince(before)).toEqual([]);
});

it('memory.grow gives -1, grows nothing by nothing, and leaves the window read-only', async () => {
  const grow = (pages: number, body: string) => end({ process: `(if (i32.ne (memory.grow (i32.const ${pages})) (i32.const ${pages === 0 ? 'WHOLE' : '-1'})) (then unreachable)) ${body}`.replace('(i32.const WHOLE)', '(memory.size)') });
  for (const pages of [1, 65536, -1]) expect(await grow(pages, sumParts.process)).toBe(sum);
  expect(await grow(0, sumParts.process)).toBe(sum);
  expect(await grow(0, '(i32.store (call $column_data (local.get $in) (i32.const 0)) (i32.const 1)) (i32.const 2)')).toBe(GuestFault.TrapOutOfBounds);
});

it('an alloc that gives away the window, its own data, or the same bytes twice', async () => {
  for (const [alloc, fault] of [
    ['(i32.const 8454144)', GuestFault.MemoryLimit],
    ['(i32.const 4096)', GuestFault.AbiViolation],
    ['(if (result i32) (i32.eq (local.get $bytes) (i32.const 64)) (then (i32.const 8454144)) (else (global.set $brk (i32.add (i32.and (i32.add (global.get $brk) (i32.const 4095)) (i32.const -4096)) (local.get $bytes))) (i32.sub (global.get $brk) (local.get $bytes))))', GuestFault.AbiViolation],
  ] as const) expect(await end({ alloc })).toBe(fault);
  expect(await end({})).toBe(sum);
});

it('recursion, however wide its frames, ends at the stack and not in it', async () => {
  for (const locals of [0, 1000, 20_000])
    expect(await end({ extra: `(func $deep (param i32) ${'(local v128)'.repeat(locals)} ${locals ? '(local.set 1 (i32x4.splat (local.get 0)))' : ''} (call $deep (i32.add (local.get 0) (i32.const 1))) ${locals ? '(local.set 2 (local.get 1))' : ''})`, process: '(call $deep (i32.const 1)) (i32.const 2)' })).toBe(GuestFault.StackOverflow);
  expect(await end({})).toBe(sum);
});
