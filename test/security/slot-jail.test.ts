// One negative test per promise of a slot: real device, real rings, real processes.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { packageRoot } from '../../native/index.js';
import { GuestFault, Status } from '../../pushdown/runtime/wire.gen.js';
import { type MorselOutcome, SlotDevice, slotScript } from '../device/slot-device.js';
import { echoParts, foreverParts, kernel, type KernelParts, sumParts } from '../kernels/wat.js';

const groups = 12;
const rows = 20_000;
let device: SlotDevice;
let handle: number;
const columns = Array.from({ length: groups }, (_, g) => Int32Array.from({ length: rows }, (_, i) => g * 1000 + (i % 997)));
const sums = columns.map((c) => c.reduce((s, v) => s + BigInt(v), 0n));

beforeAll(async () => {
  expect(existsSync(slotScript), 'build first: npm run build').toBe(true);
  device = new SlotDevice();
  handle = await device.putColumn(columns);
  await device.ready();
});
afterAll(() => device.close());

const sumsOf = (outcomes: MorselOutcome[]) => outcomes.map((o) => o.fault ?? new DataView(o.frames[0].buffers[1].slice().buffer).getBigInt64(0, true));
const run = async (parts: KernelParts, count = groups, options: Parameters<SlotDevice['run']>[3] = {}) => device.run(await kernel(parts), handle, count, options);
/** The kernel does its worst in place of the sum. */
const worst = (process: string, parts: Partial<KernelParts> = {}): KernelParts => ({ ...sumParts, ...parts, process: `${process} ${sumParts.process}` });
const expectWellAgain = async () => expect(sumsOf(await run(sumParts))).toEqual(sums);

it('sums are right, in slots', async () => {
  const outcomes = await run(sumParts);
  expect(sumsOf(outcomes)).toEqual(sums);
  expect(outcomes.every((o) => o.place >= 1 && o.frames.length === 1 && o.frames[0].last)).toBe(true);
});

it('every thread of every slot is filtered, without new privileges, holding no file', () => {
  for (const { pid } of device.slots()) {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const status = readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8');
      expect(/^Seccomp:\t(\d)/m.exec(status)?.[1]).toBe('2');
      expect(/^NoNewPrivs:\t(\d)/m.exec(status)?.[1]).toBe('1');
      if (process.getuid?.() === 0) expect(/^Uid:\t65534\t65534\t65534\t65534$/m.test(status)).toBe(true);
    }
    const limits = readFileSync(`/proc/${pid}/limits`, 'utf8');
    expect(limits).toMatch(/Max core file size +0 +0/);
    expect(limits).toMatch(/Max file size +0 +0/);
    if (process.getuid?.() !== 0) {
      // Not even its own user may look.
      expect(() => readdirSync(`/proc/${pid}/fd`)).toThrow(/EACCES/);
      continue;
    }
    const links = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    expect(links.filter((l) => !/^(anon_inode:.*|pipe:.*|\/dev\/null)$/.test(l))).toEqual([]);
    expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).not.toMatch(/HOME|PATH=/);
  }
});

it('says per slot what is in force, and the kernel of the machine agrees', () => {
  for (const { pid, jail, jailMissing } of device.slots()) {
    expect(jail).toEqual(expect.arrayContaining(['seccomp', 'no_new_privs', 'session']));
    expect([...jail, ...jailMissing].sort()).toEqual(['ipc', 'landlock', 'mnt', 'net', 'no_new_privs', 'not_dumpable', 'pid', 'seccomp', 'session', 'uid', 'user', 'uts']);
    // Its files in /proc belong to root, so nobody of its user can look into it.
    expect(jail).toContain('not_dumpable');
    if (process.getuid?.() === 0) expect(statSync(`/proc/${pid}/environ`).uid).toBe(0);
    for (const space of ['net', 'ipc', 'uts', 'pid', 'mnt', 'user']) {
      const apart = readlinkSync(`/proc/${pid}/ns/${space}`) !== readlinkSync(`/proc/self/ns/${space}`);
      expect([space, apart]).toEqual([space, jail.includes(space)]);
    }
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    expect(/^NSpid:\t\d+\t1$/m.test(status)).toBe(jail.includes('pid'));
    if (!jail.includes('mnt')) continue;
    const mounts = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').trim().split('\n');
    expect(mounts.filter((line) => !/^\S+ \S+ \S+ \S+ \S+ ro[, ]/.test(line))).toEqual([]);
  }
});

it('a kernel that never returns ends as Timeout while another scan runs through', async () => {
  const [stuck, busy] = await Promise.all([run(foreverParts, 1, { deadlineMs: 300 }), run(sumParts, groups, { index: 1 })]);
  expect(sumsOf(stuck)).toEqual([GuestFault.Timeout]);
  expect(sumsOf(busy)).toEqual(sums);
  await expectWellAgain();
});

it('one that does not even stop when asked is killed, and its slot replaced', async () => {
  // memory.fill is native code that never looks for a request to stop; over 256 MiB it takes longer than the grace, mostly.
  const wide = new SlotDevice({ slots: 1, slmBytes: 16 << 20, slotHeapBytesMax: 640 << 20 });
  try {
    const column = await wide.putColumn([columns[0]!]);
    await wide.ready();
    const deaf = await kernel({ ...foreverParts, memory: '(import "millrace" "memory" (memory 4112 65536))', process: '(loop $on (memory.fill (i32.const 524288) (i32.const 7) (i32.const 268435456)) (br $on)) (i32.const 2)' });
    const killed = () => wide.events.some((e) => e.includes('did not stop'));
    for (let i = 0; i < 60 && !killed(); i++) {
      expect(sumsOf(await wide.run(deaf, column, 1, { deadlineMs: 50 }))).toEqual([GuestFault.Timeout]);
      await wide.ready();
      // Events reach this thread when they may.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(killed()).toBe(true);
    expect(sumsOf(await wide.run(await kernel(sumParts), column, 1))).toEqual([sums[0]]);
  } finally {
    await wide.close();
  }
}, 60_000);

it('slots that somebody stops under their kernels are replaced, and the morsels run elsewhere, long before their deadline', async () => {
  const { length } = device.events;
  const halt = () => setTimeout(() => { for (const { pid } of device.slots()) if (pid > 0) process.kill(pid, 'SIGSTOP'); }, 100);
  const slow = worst('(local.set $i (i32.const 800000000)) (loop $on (local.set $i (i32.sub (local.get $i) (i32.const 1))) (br_if $on (local.get $i)))');
  expect(sumsOf(await run(slow, 2, { deadlineMs: 600_000, started: halt }))).toEqual(sums.slice(0, 2));
  await device.ready();
  // Events reach this thread when they may; the replacement was announced before the slots were ready again.
  await expect.poll(() => device.events.slice(length).some((e) => e.includes('it fell silent')), { timeout: 10_000 }).toBe(true);
  await expectWellAgain();
}, 60_000);

it('a store into an input page is a fault, and the data stays', async () => {
  expect(sumsOf(await run(worst('(i32.store (call $column_data (local.get $in) (i32.const 0)) (i32.const 7))'), 2))).toEqual([GuestFault.TrapOutOfBounds, GuestFault.TrapOutOfBounds]);
  await expectWellAgain();
});

it('a bulk store into an input page costs the slot, not the device', async () => {
  const pids = device.slots().map((s) => s.pid);
  expect(sumsOf(await run(worst('(memory.fill (call $column_data (local.get $in) (i32.const 0)) (i32.const 7) (i32.const 64))'), 1))).toEqual([GuestFault.SlotKilled]);
  await device.ready();
  await expectWellAgain();
  expect(device.slots().map((s) => s.pid)).not.toEqual(pids);
  expect(device.events.some((e) => e.startsWith('slotReplaced'))).toBe(true);
});

it('no address outside the kernel memory can be read', async () => {
  expect(sumsOf(await run(worst('(drop (i32.load (i32.const -16)))'), 1))).toEqual([GuestFault.TrapOutOfBounds]);
  expect(sumsOf(await run(worst('(drop (i32.load offset=4294967280 (i32.const -16)))'), 1))).toEqual([GuestFault.TrapOutOfBounds]);
});

it('recursion, refused modules, wild output and codes are faults of their own', async () => {
  expect(sumsOf(await run({ ...sumParts, extra: '(func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (i32.const 1)))', process: '(call $deep (i32.const 1))' }, 1))).toEqual([GuestFault.StackOverflow]);
  expect(sumsOf(await run({ ...sumParts, imports: '(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))' }, 1))).toEqual([GuestFault.ModuleRejected]);
  expect(sumsOf(await run({ ...sumParts, memory: '(import "millrace" "memory" (memory 600 65536))' }, 1))).toEqual([GuestFault.MemoryLimit]);
  expect(sumsOf(await run({ ...sumParts, process: '(i32.const 1)' }, 1))).toEqual([GuestFault.AbiViolation]);
  expect(sumsOf(await run({ ...sumParts, process: '(i32.const -1)' }, 1))).toEqual([GuestFault.ArithmeticOverflow]);
  await expectWellAgain();
});

it('what one kernel leaves in memory the next does not see', async () => {
  const everywhere = (body: string) => `(local.set $p (i32.const 70000)) (loop $next (if (i32.lt_u (local.get $p) (i32.const 200000)) (then ${body} (local.set $p (i32.add (local.get $p) (i32.const 4))) (br $next))))`;
  await run(worst(everywhere('(i32.store (local.get $p) (i32.const 0x5ec2e7))')));
  const looking = await run({ ...sumParts, process: `${everywhere('(local.set $s (i64.or (local.get $s) (i64.extend_i32_u (i32.load (local.get $p)))))')} (if (i64.ne (local.get $s) (i64.const 0)) (then unreachable)) ${sumParts.process}` });
  expect(sumsOf(looking)).toEqual(sums);
});

it('a slot killed in the middle of a morsel: the morsel runs once more, each row once', async () => {
  // About 100 ms of counting before each sum.
  const slow = worst('(local.set $i (i32.const 300000000)) (loop $on (local.set $i (i32.sub (local.get $i) (i32.const 1))) (br_if $on (local.get $i)))');
  let killed = 0;
  const outcomes = await run(slow, groups, {
    started: () => setTimeout(() => { const { pid } = device.slots()[0]; process.kill(pid, 'SIGKILL'); killed = pid; }, 150),
  });
  expect(killed).toBeGreaterThan(0);
  expect(sumsOf(outcomes)).toEqual(sums);
  expect(outcomes.every((o) => o.frames.length === 1)).toBe(true);
  await device.ready();
  expect(device.slots().every((s) => s.pid !== killed)).toBe(true);
});

it('output larger than the output area comes whole', async () => {
  const large = Int32Array.from({ length: 5_000_000 }, (_, i) => (i * 7919) | 0);
  const [outcome] = await device.run(await kernel(echoParts(['i'])), await device.putColumn([large]), 1, { outputBytesMax: 8 << 20 });
  expect(outcome.frames.length).toBeGreaterThan(2);
  expect(outcome.frames.map((f) => f.last)).toEqual(outcome.frames.map((_, i) => i === outcome.frames.length - 1));
  expect(Buffer.compare(Buffer.concat(outcome.frames.map((f) => f.buffers[1])), Buffer.from(large.buffer))).toBe(0);
});

it('a kernel that puts out rows without end is bounded by its wall time too', async () => {
  // 0 from process: call me again; each call gives one batch.
  const endless: KernelParts = { ...sumParts, process: `${sumParts.process.replace('(i32.const 3)', '(i32.const 1)')}`.replace('(local.set $n (call $rows (local.get $in)))', '(local.set $n (i32.const 0))') };
  expect(await run(endless, 1, { deadlineMs: 300, outputBytesMax: 64 << 10 })).toMatchObject([{ fault: GuestFault.Timeout }]);
  await expectWellAgain();
});

it('slots die with the process that started them', async () => {
  const code = `
    const { SlotDevice } = await import(${JSON.stringify(pathToFileURL(join(packageRoot, 'dist/test/device/slot-device.js')).href)});
    const device = new SlotDevice();
    await device.ready();
    console.log(JSON.stringify({ pids: device.slots().map((s) => s.pid), dir: device.dir }));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  const { pids, dir } = await new Promise<{ pids: number[]; dir: string }>((resolve) => child.stdout.once('data', (line) => resolve(JSON.parse(String(line)))));
  expect(pids.every((pid) => existsSync(`/proc/${pid}`))).toBe(true);
  child.kill('SIGKILL');
  // Adopted by whoever collects orphans: gone, or waiting to be collected.
  const dead = (pid: number) => !existsSync(`/proc/${pid}/status`) || /^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  while (!pids.every(dead)) await new Promise((resolve) => setTimeout(resolve, 5));
  rmSync(dir, { recursive: true });
});

it('a fault says what the engine of the kernel said, and nothing a terminal would obey', async () => {
  const [trap] = await run(worst('unreachable'), 1);
  expect(trap).toMatchObject({ fault: GuestFault.TrapUnreachable, text: 'TrapUnreachable: unreachable' });
  const nasty = { ...sumParts, imports: '(import "wasi\\1b[2J\\c2\\9bx" "\\f0\\9f\\90\\9b" (func (param i32)))' };
  const [refused] = await run(nasty, 1);
  expect(refused).toMatchObject({ fault: GuestFault.ModuleRejected, text: expect.stringMatching(/^ModuleRejected: the import 'wasi\?\[2J\?x' '🐛' is not allowed/) });
});

it('a kernel that keeps crashing slots is refused, the same query with another is not', async () => {
  const crash = worst('(memory.fill (call $column_data (local.get $in) (i32.const 0)) (i32.const 9) (i32.const 64))');
  const [first] = await run(crash, 1);
  expect(first).toMatchObject({ fault: GuestFault.SlotKilled, text: expect.stringMatching(/^slot \d ended under the kernel \(signal 11\), a second time$/) });
  const [third] = await run(crash, 1);
  expect(third.fault).toBe(Status.KernelQuarantined);
  await expect(run(crash, 1)).rejects.toMatchObject({ code: 'MR_KERNEL_QUARANTINED' });
  const digest = createHash('sha256').update(await kernel(crash)).digest('hex');
  expect(device.device.stats().quarantinedKernels).toContain(digest);
  expect(device.events.some((e) => e.includes(digest))).toBe(true);
  await device.ready();
  await expectWellAgain();
});

it('a chaos of faults leaves a working device', async () => {
  // After some rounds the one that kills slots is not even begun.
  const quarantined = (error: unknown): MorselOutcome[] => {
    expect(error).toMatchObject({ code: 'MR_KERNEL_QUARANTINED' });
    return [];
  };
  const evils = [foreverParts, worst('unreachable'), worst('(i32.store (call $column_data (local.get $in) (i32.const 0)) (i32.const 7))'), worst('(memory.fill (call $column_data (local.get $in) (i32.const 0)) (i32.const 7) (i32.const 64))'), { ...sumParts, process: '(i32.const 9)' }];
  for (let round = 0; round < 3; round++) {
    const [good, ...bad] = await Promise.all([run(sumParts, groups, { index: 9 }), ...evils.map((parts, i) => run(parts, 2, { index: i, deadlineMs: 100 }).catch(quarantined))]);
    // A slot killed by one scan's kernel may have held the good one's morsel: it runs again, at most once.
    expect(sumsOf(good).every((s, i) => s === sums[i] || s === GuestFault.SlotKilled)).toBe(true);
    expect(bad.flat().every((o) => o.fault !== undefined)).toBe(true);
  }
  await device.ready();
  await expectWellAgain();
});
