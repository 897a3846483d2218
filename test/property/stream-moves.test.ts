// A stream that is moved at any morsel boundary, through real slots, any number of times, in any way there is, puts out what the same
// kernel puts out undisturbed in this process, byte by byte. Replay with MILLRACE_SEED=n.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { checkpointStream, loadProgram, restoreStream, resumeStream, unloadProgram } from '../../native/scan-commands.js';
import { readCheckpoint } from '../../pushdown/runtime/checkpoint.js';
import { KernelInstance } from '../../pushdown/runtime/kernel.js';
import type { KernelOutput } from '../../pushdown/runtime/kernel-output.js';
import { compileKernel } from '../../pushdown/runtime/kernel-module.js';
import { resumeKernel } from '../../pushdown/runtime/kernel-resume.js';
import { GuestFault, Nsid, Opcode, Status } from '../../pushdown/runtime/wire.gen.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { DeviceStream } from '../device/device-stream.js';
import { SlotDevice } from '../device/slot-device.js';
import { Random } from '../differential/random.js';
import { statefulKernel } from '../kernels/stateful.js';
import { kernel, sumParts } from '../kernels/wat.js';

const long = process.env.MILLRACE_TEST === 'long';
const seed = Number(process.env.MILLRACE_SEED ?? (long ? Date.now() % 2 ** 32 : 20240601));
const kernels = long ? 400 : 12;
const groups = 48;

const data = new Random(7);
const columns = Array.from({ length: groups }, () => Int32Array.from({ length: 3000 }, () => data.u32() | 0));
const rowGroups = columns.map((_, i) => i);
let device: SlotDevice;
let handle: number;

beforeAll(async () => {
  device = new SlotDevice({ slots: 2, slmBytes: 16 << 20, slotHeapBytesMax: 8 << 20 });
  handle = await device.putColumn(columns);
  await device.ready();
});
afterAll(() => device.close());

function taken(outputs: Iterable<KernelOutput>): string[] {
  const all: string[] = [];
  for (const output of outputs) all.push(Buffer.from(output.data[0]?.data ?? []).toString('hex'));
  return all;
}
const feed = (instance: KernelInstance, morsel: number): string[] => {
  const values = columns[morsel] as Int32Array;
  return taken(instance.processBatch(values.length, [{ validity: null, offsets: null, data: new Uint8Array(values.buffer) }]));
};
function undisturbed(module: Uint8Array<ArrayBuffer>): string[] {
  // These kernels keep their state where no window may lie: it is put behind, as in a slot.
  const shared = { memory: new WebAssembly.Memory({ initial: 64, maximum: 64 }), windowAddress: 1 << 20 };
  const instance = new KernelInstance(compileKernel(module), { windowBytes: 65536, inputColumns: 1, shared });
  return [...rowGroups.flatMap((morsel) => feed(instance, morsel)), ...taken(instance.finish())];
}

const pidOf = (slot: number): number => device.slots().find((s) => s.id === slot)?.pid ?? 0;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
/** The state at a boundary, or nothing when the stream was quicker. */
async function hold(stream: DeviceStream): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    return await checkpointStream(device.queue, stream.scan);
  } catch (thrown) {
    if (thrown instanceof MillraceError && thrown.code === 'MR_STREAM_STATE') return undefined;
    throw thrown;
  }
}
const kill = (pid: number): void => {
  if (pid > 0) process.kill(pid, 'SIGKILL');
};

it(`${kernels} random stateful kernels, moved between slots and scans at random boundaries, slots killed with -9 right after a capture (seed ${seed})`, async () => {
  let moves = 0;
  // Each costs a start of a process: on a busy machine some of them are enough.
  let killsLeft = long ? 100 : 4;
  const places = new Set<number>();
  for (let n = 0; n < kernels; n++) {
    const r = new Random(seed + n);
    const module = await statefulKernel(r);
    const expected = undisturbed(module);
    await loadProgram(device.queue, 0, module);
    // Held from the start, so that each is moved at least once, however quick the slots are.
    let stream = await DeviceStream.open(device, handle, { rowGroups, held: true });
    const before: string[] = [];
    const wanted = r.int(1, 6);
    for (let move = 0; move < wanted; move++) {
      await pause(r.int(0, 2));
      const checkpoint = await hold(stream);
      if (!checkpoint) break;
      moves++;
      const { batches, digest } = readCheckpoint(checkpoint);
      expect(digest).toBe(compileKernel(module).digest);
      const how = r.pick(['resume', 'restore', 'kill', 'other scan'] as const);
      if (how === 'kill' && killsLeft-- > 0) kill(pidOf(stream.places.at(-1) ?? 1));
      if (how === 'resume' || how === 'kill') await resumeStream(device.queue, stream.scan);
      else if (how === 'restore') await restoreStream(device.queue, stream.scan, checkpoint, batches);
      else {
        // What was put out before the boundary has all been passed on: it is fetched, then the rest comes from another scan.
        while (stream.whole < batches) await pause(1);
        expect(stream.strange).toBe(0);
        before.push(...stream.hex());
        await stream.close();
        stream = await DeviceStream.open(device, handle, { rowGroups, held: true });
        stream.whole = batches;
        await restoreStream(device.queue, stream.scan, checkpoint, batches);
      }
    }
    await stream.over;
    for (const place of stream.places) places.add(place);
    expect([stream.fault, stream.strange], `seed ${seed + n}`).toEqual([undefined, 0]);
    expect([...before, ...stream.hex()], `MILLRACE_SEED=${seed + n} node scripts/test.mjs test/property/stream-moves.test.ts`).toEqual(expected);
    await stream.close();
    await unloadProgram(device.queue, 0);
  }
  expect(moves).toBeGreaterThanOrEqual(kernels);
  expect(places.size).toBe(2);
  console.log(`${moves} moves of ${kernels} kernels`);
}, long ? 3_600_000 : 180_000);

it('a slot that is killed in the middle costs the stream nothing that was put out, and repeats none', async () => {
  for (let n = 0; n < 4; n++) {
    const r = new Random(seed + 1000 + n);
    const module = await statefulKernel(r);
    const expected = undisturbed(module);
    await loadProgram(device.queue, 0, module);
    const stream = await DeviceStream.open(device, handle, { rowGroups });
    if (n % 2 === 1) {
      // From a checkpoint that lies behind, not from the beginning.
      if (await hold(stream)) await resumeStream(device.queue, stream.scan);
    }
    while (stream.places.length === 0) await pause(1);
    kill(pidOf(stream.places.at(-1) as number));
    await stream.over;
    expect([stream.fault, stream.strange]).toEqual([undefined, 0]);
    expect(stream.hex()).toEqual(expected);
    await stream.close();
    await unloadProgram(device.queue, 0);
  }
});

it('goes from a slot to the host and back, the same bytes of kernel in both', async () => {
  for (let n = 0; n < 3; n++) {
    const r = new Random(seed + 2000 + n);
    const module = await statefulKernel(r);
    const expected = undisturbed(module);
    const compiled = compileKernel(module);
    await loadProgram(device.queue, 0, module);
    // The host begins, in a place as the slot has it: a stream nobody began has a checkpoint too.
    const stream = await DeviceStream.open(device, handle, { rowGroups, held: true });
    const begin = await checkpointStream(device.queue, stream.scan);
    expect(readCheckpoint(begin).batches).toBe(0);
    const first = resumeKernel(compiled, begin);
    const some = r.int(1, 10);
    const outputs = rowGroups.slice(0, some).flatMap((morsel) => feed(first, morsel));
    // The device goes on for a while.
    stream.whole = some;
    await restoreStream(device.queue, stream.scan, Buffer.concat([...first.checkpoint()].map((p) => p.slice())), some);
    await pause(n);
    const checkpoint = await hold(stream);
    if (checkpoint) {
      const { batches } = readCheckpoint(checkpoint);
      while (stream.whole < batches) await pause(1);
      outputs.push(...stream.hex());
      await stream.close();
      const last = resumeKernel(compiled, checkpoint);
      outputs.push(...rowGroups.slice(batches).flatMap((morsel) => feed(last, morsel)), ...taken(last.finish()));
    } else {
      await stream.over;
      outputs.push(...stream.hex());
      await stream.close();
    }
    expect(stream.strange).toBe(0);
    expect(outputs).toEqual(expected);
    await unloadProgram(device.queue, 0);
  }
});

it('a slot that is taken away by another tenant\'s turn puts its stream by, and goes on with it later', async () => {
  const caps = { memoryBytes: 8 << 20, deadlineMs: 20_000, compileMs: 10_000, cpuPercent: 100, outputBytes: 64 << 20, stackBytes: 0, moduleBytes: 4 << 20 };
  const shared = new SlotDevice({ slots: 1, slmBytes: 16 << 20, slotHeapBytesMax: 8 << 20, tenantSlmBytes: 16 << 20 });
  try {
    for (const id of [1, 2]) shared.device.setTenant({ id, name: `tenant ${id}`, caps });
    const mine = await shared.putColumn(columns);
    await shared.ready();
    const module = await statefulKernel(new Random(seed + 3000));
    // About 20 ms of counting before each morsel: longer than a turn, all in all.
    const slow = await kernel({ ...sumParts, process: `(local.set $i (i32.const 20000000)) (loop $on (local.set $i (i32.sub (local.get $i) (i32.const 1))) (br_if $on (local.get $i))) (global.set $kept (i64.add (global.get $kept) (i64.const 1))) ${sumParts.process.replace('(local.get $s))', '(i64.add (local.get $s) (global.get $kept)))')}`, extra: '(global $kept (mut i64) (i64.const 0))' });
    await loadProgram(shared.queue, 0, slow);
    const stream = await DeviceStream.open(shared, mine, { rowGroups, tenant: 1 });
    while (stream.places.length === 0) await pause(1);
    // The other tenant has work all the time that the stream runs.
    for (let over = false; !over; ) {
      const [, ended] = await Promise.all([shared.run(module, mine, 4, { index: 1, tenant: 2 }), Promise.race([stream.over.then(() => true), pause(100).then(() => false)])]);
      over = ended;
    }
    expect([stream.fault, stream.strange]).toEqual([undefined, 0]);
    expect(stream.hex()).toEqual(undisturbed(slow));
    await stream.close();
    const { commands } = shared.device.stats();
    expect(commands['slot/ScanCheckpoint']).toBeGreaterThan(0);
    expect(commands['slot/ScanRestore']).toBeGreaterThan(1);
    // Nothing of it stays behind in the daemon.
    expect(shared.device.stats().checkpointBytes).toBe(0);
  } finally {
    await shared.close();
  }
});

it('a slot that is killed while it gives its state up costs one more try elsewhere, then the stream ends with the slot and the kernel named', async () => {
  const large = new SlotDevice({ slots: 2, slmBytes: 16 << 20, slotHeapBytesMax: 128 << 20 });
  try {
    const mine = await large.putColumn(columns);
    await large.ready();
    // So much state that it is on its way for far longer than a signal takes.
    const module = await kernel({ ...sumParts, memory: '(import "millrace" "memory" (memory 800 65536))', process: `(memory.fill (i32.const 524288) (i32.const 7) (i32.const 50000000)) ${sumParts.process}` });
    await loadProgram(large.queue, 0, module);
    const captures = () => large.device.stats().commands['slot/ScanCheckpoint'] ?? 0;
    const killed = () => large.events.filter((e) => e.startsWith('slotReplaced')).length;
    const stream = await DeviceStream.open(large, mine, { rowGroups });
    while (stream.places.length === 0) await pause(1);
    const region = await large.queue.acquire(4096);
    const asked = large.queue.send(1, { opc: Opcode.ScanCheckpoint, nsid: Nsid.Compute, cdw10: stream.scan }, region);
    let answered = false;
    asked.then(() => { answered = true; });
    for (let seen = 0; !answered; ) {
      if (captures() > seen) {
        seen = captures();
        for (const { pid } of large.slots()) kill(pid);
      }
      await new Promise((resolve) => { setImmediate(resolve); });
    }
    expect(await asked).toMatchObject({ status: Status.GuestFault, dw0: GuestFault.SlotKilled });
    expect(captures()).toBe(2);
    await stream.over;
    expect(stream.fault).toBe(GuestFault.SlotKilled);
    expect(stream.faultText).toMatch(/^slot [12] ended while the kernel's state moved \(signal 9\), a second time$/);
    expect(killed()).toBeGreaterThanOrEqual(2);
    large.queue.release(region);
    await stream.close();
    // Both places are served again, and the kernel is not quarantined for what others did to its slots.
    const outcomes = await large.run(module, mine, 2, { index: 1 });
    expect(outcomes.map((o) => o.fault)).toEqual([undefined, undefined]);
    expect(large.device.stats().checkpointBytes).toBe(0);
  } finally {
    await large.close();
  }
});
