// One tenant per process lifetime, nothing of another in reach, scrubbed before reuse: looked at from inside a slot, by a kernel
// that reads every byte of device memory its process maps.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TenantCaps } from '../../native/index.js';
import { GuestFault } from '../../pushdown/runtime/wire.gen.js';
import { SlotDevice } from '../device/slot-device.js';
import { foreverParts, kernel, type KernelParts, sumParts } from '../kernels/wat.js';

const mib = 1 << 20;
const slmBytes = 16 * mib;
const heapBytes = 16 * mib;
const caps: TenantCaps = { memoryBytes: heapBytes, deadlineMs: 20_000, compileMs: 10_000, cpuPercent: 100, outputBytes: 64 * mib, stackBytes: 0, moduleBytes: 4 * mib };
const [alice, bob] = [1, 2];
const secret = { own: 0x51ee7a11, alice: 0x5ec2e700, bob: 0x0b0b0b0b };
const rows = 50_000;
let device: SlotDevice;
let handles: Record<keyof typeof secret, number>;

beforeAll(async () => {
  // One bank for tenants: the second can only come when the first one's memory was given back.
  device = new SlotDevice({ slots: 2, slmBytes, slotHeapBytesMax: heapBytes, tenantSlmBytes: slmBytes, tenantsResidentMax: 1 });
  device.device.setTenant({ id: alice, name: 'alice', caps });
  device.device.setTenant({ id: bob, name: 'bob', caps });
  const put = (value: number) => device.putColumn([0, 1].map(() => new Int32Array(rows).fill(value)));
  handles = { own: await put(secret.own), alice: await put(secret.alice), bob: await put(secret.bob) };
  await device.ready();
});
afterAll(() => device.close());

/** How often each secret stands in the SLM window: where it lies follows from the sizes (daemon/slots/slot-programs.ts). */
const windowAt = (heapBytes / 2 / 65536 + 1) * 65536;
const searchParts: KernelParts = {
  formats: ['l'],
  process: `(local.set $p (i32.const ${windowAt}))
    (loop $next (if (i32.lt_u (local.get $p) (i32.const ${windowAt + slmBytes})) (then
      ${Object.values(secret).map((value, i) => `(if (i32.eq (i32.load (local.get $p)) (i32.const ${value})) (then (local.set $s (i64.add (local.get $s) (i64.const ${1n << BigInt(20 * i)})))))`).join('\n')}
      (if (i32.eq (i32.load (local.get $p)) (i32.const 0)) (then (nop)) (else (local.set $n (i32.add (local.get $n) (i32.const 1)))))
      (local.set $p (i32.add (local.get $p) (i32.const 4))) (br $next))))
    (i64.store (i32.const 16384) (local.get $s)) (i64.store (i32.const 16392) (i64.extend_i32_u (local.get $n)))
    (call $batch (local.get $out) (i32.const 2) (i32.const 1)) (call $put (i32.const 0) (i32.const 2) (i32.const 2) (i32.const 0) (i32.const 16384) (i32.const 0))
    (i32.const 3)`,
};

async function lookAs(tenant: number, dataset: number): Promise<{ own: number; alice: number; bob: number; notZero: number }[]> {
  const outcomes = await device.run(await kernel(searchParts), dataset, 2, { tenant });
  return outcomes.map((o) => {
    expect(o.fault, o.text).toBeUndefined();
    const view = new DataView(o.frames[0]!.buffers[1]!.slice().buffer);
    const counts = view.getBigInt64(0, true);
    const count = (i: number) => Number((counts >> BigInt(20 * i)) & 0xfffffn);
    return { own: count(0), alice: count(1), bob: count(2), notZero: Number(view.getBigInt64(8, true)) };
  });
}

it('a slot sees its tenant\'s chunks and nobody else\'s, and serves one tenant as long as it lives', async () => {
  const served = new Map<number, Set<string>>();
  const note = () => {
    for (const { pid, tenant, state } of device.slots()) if (state === 'ready') served.set(pid, (served.get(pid) ?? new Set()).add(tenant));
  };
  for (let round = 0; round < 2; round++) {
    for (const [tenant, name] of [[0, 'own'], [alice, 'alice'], [0, 'own'], [bob, 'bob']] as const) {
      for (const seen of await lookAs(tenant, handles[name])) {
        expect(seen[name]).toBeGreaterThanOrEqual(rows);
        expect({ ...seen, [name]: 0, notZero: 0 }).toEqual({ own: 0, alice: 0, bob: 0, notZero: 0 });
        // Where a bank came from another tenant, all but this one's chunks reads as zero.
        if (tenant !== 0) expect(seen.notZero).toBe(seen[name]);
      }
      note();
    }
  }
  expect([...served.values()].every((names) => names.size === 1)).toBe(true);
});

it('no process maps memory of a tenant it does not serve', async () => {
  await lookAs(alice, handles.alice);
  const inodes = new Map<string, Set<string>>();
  for (const { pid, tenant, state } of device.slots()) {
    if (state !== 'ready') continue;
    const maps = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n').filter((line) => line.includes('memfd:millrace-slm'));
    expect(maps.length).toBeGreaterThan(0);
    // Read-only, whatever the kernel does; what hosts give an Execute not even that.
    expect(maps.every((line) => / (r--|---)s /.test(line))).toBe(true);
    for (const line of maps) {
      const inode = line.split(/ +/)[4]!;
      inodes.set(inode, (inodes.get(inode) ?? new Set()).add(tenant));
    }
  }
  expect([...inodes.values()].every((tenants) => tenants.size === 1)).toBe(true);
});

it('a tenant that keeps every slot busy keeps another out no longer than its deadline', async () => {
  const stuck = device.run(await kernel(foreverParts), handles.alice, 2, { tenant: alice, deadlineMs: 1500, index: 5 });
  const sums = await device.run(await kernel(sumParts), handles.own, 2, { index: 6 });
  expect(sums.map((o) => o.fault)).toEqual([undefined, undefined]);
  // In one slot or in both.
  expect(new Set((await stuck).map((o) => o.fault))).toEqual(new Set([GuestFault.Timeout]));
});

it('a tenant whose memory waits for another gets it when that one has nothing to do', async () => {
  const both = await Promise.all([device.run(await kernel(sumParts), handles.alice, 2, { tenant: alice, index: 7 }), device.run(await kernel(sumParts), handles.bob, 2, { tenant: bob, index: 8 })]);
  expect(both.flat().map((o) => o.fault)).toEqual([undefined, undefined, undefined, undefined]);
  expect(device.device.stats().slmByTenant.length).toBeLessThanOrEqual(2);
});

it('a dataset that goes leaves no bank with anything of it', async () => {
  await lookAs(alice, handles.alice);
  const residentBytes = () => device.device.stats().slmByTenant.find((bank) => bank.tenant === 'alice')?.residentBytes;
  const before = residentBytes();
  await device.device.retireDataset(handles.alice);
  handles.alice = await device.putColumn([0, 1].map(() => new Int32Array(rows).fill(secret.alice)));
  await lookAs(alice, handles.alice);
  expect(before).toBeGreaterThan(0);
  expect(residentBytes()).toBe(before);
});
