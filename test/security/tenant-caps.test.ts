// Every cap of a tenant, exceeded from inside a slot: its own guest fault, that command only, and the slot serves on.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TenantCaps } from '../../native/index.js';
import { GuestFault, Status } from '../../pushdown/runtime/wire.gen.js';
import { SlotDevice } from '../device/slot-device.js';
import { assemble, echoParts, foreverParts, kernel, type KernelParts, kernelText, sumParts } from '../kernels/wat.js';

const mib = 1 << 20;
const free: TenantCaps = { memoryBytes: 16 * mib, deadlineMs: 60_000, compileMs: 60_000, cpuPercent: 100, outputBytes: 256 * mib, stackBytes: 0, moduleBytes: 4 * mib };
const rows = 1_000_000;
let device: SlotDevice;
let handle: number;
let sum: bigint;
let next = 1;

beforeAll(async () => {
  device = new SlotDevice({ slots: 1, slmBytes: 32 * mib, slotHeapBytesMax: 16 * mib, tenantSlmBytes: 32 * mib });
  const column = Int32Array.from({ length: rows }, (_, i) => i);
  sum = column.reduce((s, v) => s + BigInt(v), 0n);
  handle = await device.putColumn([column]);
  await device.ready();
});
afterAll(() => device.close());

/** A tenant of its own, with these caps; what the kernel comes to under them. */
function tenantWith(caps: Partial<TenantCaps>, kernels?: readonly string[]) {
  const id = next++;
  device.device.setTenant({ id, name: `tenant${id}`, caps: { ...free, ...caps }, ...(kernels ? { kernels } : {}) });
  const run = async (module: Uint8Array, options: Parameters<SlotDevice['run']>[3] = {}) => (await device.run(module, handle, 1, { ...options, tenant: id }))[0]!;
  const expectServes = async () => {
    const outcome = await run(await kernel(sumParts));
    expect(outcome.fault, outcome.text).toBeUndefined();
    expect(new DataView(outcome.frames[0]!.buffers[1]!.slice().buffer).getBigInt64(0, true)).toBe(sum);
  };
  return { id, run, expectServes };
}
const slotPid = () => device.slots()[0]!.pid;

it('linear memory', async () => {
  const tenant = tenantWith({ memoryBytes: 4 * mib });
  await tenant.expectServes();
  const pid = slotPid();
  // 4 MiB: half of it may be declared.
  expect(await tenant.run(await kernel({ ...sumParts, memory: '(import "millrace" "memory" (memory 40 65536))' }))).toMatchObject({ fault: GuestFault.MemoryLimit, place: 1 });
  // The end of what there is beside the window.
  expect(await tenant.run(await kernel({ ...sumParts, process: `(drop (i32.load (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 2)))) ${sumParts.process}` }))).toMatchObject({ fault: GuestFault.TrapOutOfBounds });
  await tenant.expectServes();
  expect(slotPid()).toBe(pid);
});

it('wall deadline, whatever the scan asks for', async () => {
  const tenant = tenantWith({ deadlineMs: 200 });
  expect(await tenant.run(await kernel(foreverParts), { deadlineMs: 600_000 })).toMatchObject({ fault: GuestFault.Timeout, place: 1 });
  await tenant.expectServes();
});

it('output', async () => {
  const tenant = tenantWith({ outputBytes: mib });
  await tenant.expectServes();
  const pid = slotPid();
  // 4 MB in one area, and in many.
  for (const outputBytesMax of [8 * mib, 64 << 10])
    expect(await tenant.run(await kernel(echoParts(['i'])), { outputBytesMax })).toMatchObject({ fault: GuestFault.OutputLimit, text: "a morsel's output passed the 1048576 bytes its tenant has" });
  await tenant.expectServes();
  expect(slotPid()).toBe(pid);
});

it('stack', async () => {
  const deep: KernelParts = { ...sumParts, extra: '(func $deep (param i32) (result i32) (if (result i32) (local.get 0) (then (i32.add (call $deep (i32.sub (local.get 0) (i32.const 1))) (i32.const 1))) (else (i32.const 0))))', process: `(drop (call $deep (i32.const 16000))) ${sumParts.process}` };
  expect((await tenantWith({}).run(await kernel(deep))).fault).toBeUndefined();
  const tenant = tenantWith({ stackBytes: 64 << 10 });
  expect(await tenant.run(await kernel(deep))).toMatchObject({ fault: GuestFault.StackOverflow });
  await tenant.expectServes();
});

it('module size', async () => {
  const module = await kernel(sumParts);
  const tenant = tenantWith({ moduleBytes: module.length });
  await tenant.expectServes();
  const larger = await kernel(echoParts(['i', 'i', 'i']));
  expect(larger.length).toBeGreaterThan(module.length);
  expect(await tenant.run(larger)).toMatchObject({ fault: GuestFault.ModuleRejected, text: `the module has ${larger.length} bytes, its tenant's may have ${module.length}` });
  await tenant.expectServes();
});

it('compile time', async () => {
  const tenant = tenantWith({ compileMs: 400 });
  await tenant.expectServes();
  // One function of 600,000 dependent operations: an optimising compiler takes its time over it.
  const slow = await assemble(kernelText({ ...sumParts, extra: `(func (export "slow") (param i32) (result i32) ${'(local.set 0 (i32.mul (i32.add (local.get 0) (i32.const 3)) (i32.xor (local.get 0) (i32.const 5)))) '.repeat(120_000)} (local.get 0))` }));
  expect(await tenant.run(slow)).toMatchObject({ fault: GuestFault.Timeout, text: expect.stringMatching(/compiling the kernel took longer than the 400 ms/) });
  await device.ready();
  await tenant.expectServes();
});

/** CPU time of a process, all threads, in ns. */
function cpuNs(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((ns, tid) => ns + Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ')[0]), 0);
}

it('CPU share', async () => {
  const used = async (caps: Partial<TenantCaps>) => {
    const tenant = tenantWith({ deadlineMs: 2500, ...caps });
    await tenant.expectServes();
    const running = tenant.run(await kernel(foreverParts));
    await new Promise((resolve) => setTimeout(resolve, 300));
    const pid = slotPid();
    const [from, at] = [cpuNs(pid), performance.now()];
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const share = (cpuNs(pid) - from) / ((performance.now() - at) * 1e6);
    expect((await running).fault).toBe(GuestFault.Timeout);
    await tenant.expectServes();
    return share;
  };
  const capped = await used({ cpuPercent: 4 });
  const uncapped = await used({});
  console.log(`CPU share by ${device.device.stats().cpuShare}: capped at 4 % ${(capped * 100).toFixed(1)} %, not capped ${(uncapped * 100).toFixed(1)} %`);
  // The kernel's own count of CPU time; whoever else is on the machine can only make both less.
  expect(capped).toBeGreaterThan(0);
  expect(capped).toBeLessThan(0.08);
  expect(uncapped).toBeGreaterThan(1.5 * capped);
});

it('kernels that are not on the list', async () => {
  const module = await kernel(sumParts);
  const tenant = tenantWith({}, [createHash('sha256').update(module).digest('hex')]);
  await tenant.expectServes();
  await expect(tenant.run(await kernel(echoParts(['i'])))).rejects.toMatchObject({ code: 'MR_KERNEL_NOT_ALLOWED' });
  const { records } = device.device.drainAudit();
  const mine = records.filter((r) => r.tenant === tenant.id);
  expect(mine).toMatchObject([{ kernel: createHash('sha256').update(module).digest('hex'), fault: 0, refused: false, morsels: 1, morselsDevice: 1 }, { fault: Status.KernelNotAllowed, refused: true }]);
});

it('caps out of bounds, and tenants nobody knows, are refused', async () => {
  const caps = (change: Partial<TenantCaps>) => () => device.device.setTenant({ id: 999, name: 'x', caps: { ...free, ...change } });
  for (const change of [{ cpuPercent: 0 }, { cpuPercent: 101 }, { memoryBytes: 1 << 30 }, { stackBytes: 1000 }, { outputBytes: 0 }, { moduleBytes: 0 }, { deadlineMs: 0 }, { compileMs: 0 }]) expect(caps(change)).toThrow(Object.keys(change)[0]);
  await expect(device.run(await kernel(sumParts), handle, 1, { tenant: 12_345 })).rejects.toMatchObject({ code: 'MR_DEVICE_STATUS' });
});
