// Media that is memory: kernels compute where the data lies, and the jail is as tight as without. Real slots, looked at from
// outside (/proc) and from inside, by kernels that read and write all they can reach.
import { readdirSync, readFileSync, readlinkSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TenantCaps } from '../../native/index.js';
import { GuestFault } from '../../pushdown/runtime/wire.gen.js';
import { loadProgram, unloadProgram } from '../../native/scan-commands.js';
import { DeviceStream } from '../device/device-stream.js';
import { type MorselOutcome, SlotDevice } from '../device/slot-device.js';
import { Random } from '../differential/random.js';
import { statefulKernel } from '../kernels/stateful.js';
import { kernel, type KernelParts, sumParts } from '../kernels/wat.js';

const mib = 1 << 20;
const heapBytes = 16 * mib;
const caps: TenantCaps = { memoryBytes: heapBytes, deadlineMs: 20_000, compileMs: 10_000, cpuPercent: 100, outputBytes: 64 * mib, stackBytes: 0, moduleBytes: 4 * mib };
const [alice, bob] = [1, 2];
const secret = { own: 0x51ee7a11, alice: 0x5ec2e700, bob: 0x0b0b0b0b };
type Name = keyof typeof secret;
const tenantOf = { own: 0, alice, bob };
const rows = 50_000;
const bytesOf = (rowGroups: number) => rowGroups * Math.ceil((rows * 4) / 4096) * 4096;
let device: SlotDevice;
let handles: Record<Name, number>;
const put = (name: Name) => device.putColumn([0, 1].map(() => new Int32Array(rows).fill(secret[name])));

/** Times as short as a model may have them. */
const memory = { kind: 'memory', lineBytes: 256, modules: 1, loadNs: 1, loadBufferedNs: 1, storeNtNs: 1, storeFlushedNs: 1, lineReadNs: 0.001, lineWriteNs: 0.001 } as const;

beforeAll(async () => {
  device = new SlotDevice({ slots: 2, slmBytes: 16 * mib, slotHeapBytesMax: heapBytes, tenantSlmBytes: 16 * mib, tenantsResidentMax: 2, model: { media: memory } });
  device.device.setTenant({ id: alice, name: 'alice', caps });
  device.device.setTenant({ id: bob, name: 'bob', caps });
  handles = { own: await put('own'), alice: await put('alice'), bob: await put('bob') };
  await device.ready();
});
afterAll(() => device.close());

const number = (o: MorselOutcome, column: number) => new DataView(o.frames[0]!.buffers[2 * column + 1]!.slice().buffer).getBigInt64(0, true);
const run = async (parts: KernelParts, name: Name) => device.run(await kernel(parts), handles[name], 2, { tenant: tenantOf[name] });
const expectWell = async (name: Name) => expect((await run(sumParts, name)).map((o) => o.fault ?? number(o, 0))).toEqual([0, 1].map(() => BigInt(rows) * BigInt(secret[name] | 0)));

/** How often each secret stands in the window: the SLM, and behind it two row groups. Between them lies what hosts give an Execute (a quarter of the SLM). */
const windowAt = (heapBytes / 2 / 65536 + 1) * 65536;
const privateAt = windowAt + 16 * mib;
const viewAt = privateAt + 4 * mib;
const windowEnd = viewAt + bytesOf(2);
const searchParts: KernelParts = {
  formats: ['l'],
  process: `(local.set $p (i32.const ${windowAt})) (local.set $n (i32.const ${windowEnd}))
    (loop $next (if (i32.lt_u (local.get $p) (local.get $n)) (then
      ${Object.values(secret).map((value, i) => `(if (i32.eq (i32.load (local.get $p)) (i32.const ${value})) (then (local.set $s (i64.add (local.get $s) (i64.const ${1n << BigInt(20 * i)})))))`).join('\n')}
      (local.set $p (i32.add (local.get $p) (i32.const 4)))
      (if (i32.eq (local.get $p) (i32.const ${privateAt})) (then (local.set $p (i32.const ${viewAt})))) (br $next))))
    (i64.store (i32.const 16384) (local.get $s))
    (call $batch (local.get $out) (i32.const 1) (i32.const 1)) (call $put (i32.const 0) (i32.const 1) (i32.const 2) (i32.const 0) (i32.const 16384) (i32.const 0))
    (i32.const 3)`,
};
const seen = (o: MorselOutcome) => {
  expect(o.fault, o.text).toBeUndefined();
  const counts = number(o, 0);
  return Object.fromEntries(Object.keys(secret).map((name, i) => [name, Number((counts >> BigInt(20 * i)) & 0xfffffn)]));
};

/** Lines of /proc/PID/maps that are the media. */
const media = (pid: number) => readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n').filter((line) => line.endsWith(join(device.dir, 'nvm')));
const ready = () => device.slots().filter((slot) => slot.state === 'ready');
const settled = async (holds: () => boolean) => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
};

it('copies nothing: not into windows, not into what stays resident', async () => {
  const before = device.device.stats();
  for (const name of ['own', 'alice', 'bob', 'own'] as const) await expectWell(name);
  const after = device.device.stats();
  expect(after.mediaReadBytes).toBe(before.mediaReadBytes);
  expect(after.inPlaceBytes - before.inPlaceBytes).toBe(4 * bytesOf(2));
  expect(after.slmByTenant.map(({ windowLoads, misses, residentBytes }) => [windowLoads, misses, residentBytes])).toEqual(after.slmByTenant.map(() => [0, 0, 0]));
});

it('a slot sees the chunks its tenant scanned and nothing else of the media', async () => {
  for (const name of ['alice', 'bob', 'own', 'alice'] as const)
    for (const o of await run(searchParts, name)) expect(seen(o)).toEqual({ own: 0, alice: 0, bob: 0, [name]: 2 * rows });
  // Behind its view there is nothing, not even memory of its own; nor does a scan see what hosts give an Execute.
  for (const at of [windowEnd, privateAt, viewAt - 4]) {
    const beyond = await run({ ...sumParts, process: `(drop (i32.load (i32.const ${at}))) ${sumParts.process}` }, 'alice');
    expect(beyond[0]!.fault).toBe(GuestFault.TrapOutOfBounds);
  }
});

it('a slot holds no descriptor of the media, and its pages cannot be written', async () => {
  await expectWell('alice');
  const mapped = ready().map(({ pid, tenant }) => ({ pid, tenant, lines: media(pid) }));
  expect(mapped.some(({ tenant, lines }) => tenant === 'alice' && lines.length > 0)).toBe(true);
  for (const { pid, lines } of mapped) {
    expect(lines.every((line) => / r--s /.test(line))).toBe(true);
    const links = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    expect(links.filter((l) => !/^(anon_inode:.*|pipe:.*|\/dev\/null)$/.test(l))).toEqual([]);
  }
  const before = readFileSync(join(device.dir, 'nvm')).subarray(0, 3 * bytesOf(2));
  const outcomes = await run({ ...sumParts, process: `(i32.store (call $column_data (local.get $in) (i32.const 0)) (i32.const 7)) ${sumParts.process}` }, 'alice');
  expect(outcomes[0]!.fault).toBe(GuestFault.TrapOutOfBounds);
  expect(readFileSync(join(device.dir, 'nvm')).subarray(0, before.length).equals(before)).toBe(true);
  await expectWell('alice');
});

it('a dataset that is removed leaves the slots, so that its blocks can be used again', async () => {
  await expectWell('bob');
  await expectWell('own');
  expect(ready().some(({ pid }) => media(pid).length > 0)).toBe(true);
  for (const name of ['own', 'alice', 'bob'] as const) await device.device.retireDataset(handles[name]);
  // Idle ones too; whatever process there is now maps nothing of it.
  await settled(() => ready().length === 2);
  expect(ready().flatMap(({ pid }) => media(pid))).toEqual([]);
  handles = { own: await put('own'), alice: await put('alice'), bob: await put('bob') };
  await expectWell('alice');
});

it('a stream goes on in the processes of other views, with the same output', async () => {
  const groups = 64;
  const handle = await device.putColumn(Array.from({ length: groups }, (_, g) => Int32Array.from({ length: 3000 }, (_, i) => g * 1000 + i)));
  await loadProgram(device.queue, 0, await statefulKernel(new Random(5)));
  const rowGroups = Array.from({ length: groups }, (_, g) => g);
  const outputs: string[][] = [];
  const pids = new Set<number>();
  const read = device.device.stats().mediaReadBytes;
  for (let round = 0; round < 4; round++) {
    const stream = await DeviceStream.open(device, handle, { rowGroups });
    // Another dataset joins the view: every slot is another process afterwards.
    if (round > 0) await device.run(await kernel(sumParts), await put('own'), 2, { index: 1 });
    await stream.over;
    expect([stream.fault, stream.strange]).toEqual([undefined, 0]);
    outputs.push(stream.hex());
    await stream.close();
    await settled(() => ready().length === 2);
    for (const { pid } of ready()) pids.add(pid);
  }
  await unloadProgram(device.queue, 0);
  for (const output of outputs) expect(output).toEqual(outputs[0]);
  expect(outputs[0]!.length).toBeGreaterThan(0);
  expect(pids.size).toBeGreaterThan(4);
  expect(device.device.stats().mediaReadBytes).toBe(read);
});

it('media that fails under a kernel is not the kernel\'s fault', async () => {
  await expectWell('own');
  // The device has verified these chunks; now they are gone.
  truncateSync(join(device.dir, 'nvm'), 0);
  expect((await run(sumParts, 'own')).some((o) => o.fault === GuestFault.SlotKilled)).toBe(true);
  expect(device.device.stats().quarantinedKernels).toEqual([]);
  expect(device.events.filter((e) => e.includes('signal 7')).length).toBeGreaterThan(0);
  truncateSync(join(device.dir, 'nvm'), 256 * mib);
});
