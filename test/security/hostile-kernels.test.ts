// What an attacker tried and what came of it: each a kernel made for the purpose, in a real slot.
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TenantCaps } from '../../native/index.js';
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
  device = new SlotDevice({ slots: 2, slmBytes: 16 << 20, slotHeapBytesMax: 16 << 20, tenantSlmBytes: 16 << 20 });
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

/** All bounds out of reach but those given, so that a test can meet only these, however fast the machine. */
const long = 600_000;
const free: TenantCaps = { memoryBytes: 16 << 20, deadlineMs: long, compileMs: long, cpuPercent: 100, outputBytes: 1 << 30, stackBytes: 0, moduleBytes: 4 << 20 };
let tenants = 0;
async function endUnder(caps: Partial<TenantCaps>, module: Uint8Array) {
  const id = ++tenants;
  device.device.setTenant({ id, name: `tenant${id}`, caps: { ...free, ...caps } });
  const [outcome] = await device.run(module, handle, 1, { tenant: id, discard: true });
  return outcome;
}

it('a module that takes the compiler half a minute is stopped', async () => {
  const deep = await nested(50_000, [0x03, 0x40], [0x0b]);
  // In so little time no compiler fills a slot's memory.
  expect(await endUnder({ compileMs: 20 }, deep)).toMatchObject({ fault: GuestFault.Timeout, text: expect.stringContaining('compiling the kernel took longer than the 20 ms it has') });
  expect(await end({})).toBe(sum);
}, 60_000);

it('a module that takes the compiler more memory than a slot has is told so, once, and other slots serve on', async () => {
  const before = device.events.length;
  // An optimising compiler keeps many times the code of each load and store.
  const large = await kernel({ ...sumParts, extra: `(func (export "large") (param i32) ${'(i32.store (local.get 0) (i32.load (i32.load (local.get 0)))) '.repeat(250_000)})` });
  expect(await endUnder({}, large)).toMatchObject({ fault: GuestFault.MemoryLimit, text: expect.stringMatching(/^slot \d ended: compiling the kernel took more memory than a slot has$/) });
  await device.ready();
  expect(device.events.slice(before).filter((e) => e.includes('its memory ran out'))).toHaveLength(1);
  expect(await end({})).toBe(sum);
}, 120_000);

const littleForEver = `${emptyBatch} (i32.const 1)`;
const muchForEver = `(call $batch (local.get $out) (i32.const ${values.length}) (i32.const 1)) (call $put (i32.const 0) (i32.const ${values.length}) (i32.const 2) (i32.const 0) (i32.const 65536) (i32.const 0)) (i32.const 1)`;

it('a kernel that puts out batches for ever has one deadline, not one per output area', async () => {
  // 1 GiB of output would take 36 ns a batch and less.
  expect(await endUnder({ deadlineMs: 300 }, await kernel({ ...sumParts, process: littleForEver }))).toMatchObject({ fault: GuestFault.Timeout });
  expect(await endUnder({ deadlineMs: 20 }, await kernel({ ...sumParts, process: muchForEver }))).toMatchObject({ fault: GuestFault.Timeout });
  expect(await end({})).toBe(sum);
}, 60_000);

it('and one bound of output, not one per output area', async () => {
  for (const process of [littleForEver, muchForEver]) expect(await endUnder({ outputBytes: 8 << 20 }, await kernel({ ...sumParts, process }))).toMatchObject({ fault: GuestFault.OutputLimit });
  expect(await end({})).toBe(sum);
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
