// The installed filter is its list: read back from a running slot and interpreted. And, in the long form, the list holds no
// unneeded rule: a slot built without any one of the allowed calls breaks under the work below.
// MILLRACE_RULES=a,b tries these only.
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { packageRoot } from '../../native/index.js';
import { GuestFault } from '../../pushdown/runtime/wire.gen.js';
import { SlotDevice } from '../device/slot-device.js';
import { echoParts, foreverParts, kernel, sumParts } from '../kernels/wat.js';
import { buildProgram, SlotVariants } from './slot-variant.js';

const long = process.env.MILLRACE_TEST === 'long';
const only = process.env.MILLRACE_RULES?.split(',');
const dir = mkdtempSync(join(tmpdir(), 'millrace-filter-'));
// Slots run as nobody.
chmodSync(dir, 0o755);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

it('the filter of a running slot says what the list says, for every call', async () => {
  const program = join(dir, 'read-filter');
  buildProgram(join(packageRoot, 'test/security/read-filter.cc'), program);
  const device = new SlotDevice({ slots: 1, slmBytes: 16 << 20, slotHeapBytesMax: 16 << 20 });
  try {
    await device.ready();
    const { status, stdout, stderr } = spawnSync(program, [String(device.slots()[0]?.pid)], { encoding: 'utf8', timeout: 60_000 });
    if (status === 2) {
      console.log(`not run: reading a filter back needs CAP_SYS_ADMIN and no filter of one's own (${stderr.trim()})`);
      return;
    }
    expect([status, stderr]).toEqual([0, '']);
    const report = JSON.parse(stdout) as { rules: number; checked: number; wrong: unknown[] };
    expect(report.wrong).toEqual([]);
    expect(report.rules).toBe([...rules()].length);
    expect(report.checked).toBeGreaterThan(100_000);
    // It serves on.
    const handle = await device.putColumn([new Int32Array(10).fill(4)]);
    expect((await device.run(await kernel(sumParts), handle, 1))[0]?.fault).toBeUndefined();
  } finally {
    await device.close();
  }
}, 120_000);

/** Rules as they stand in the list. */
function* rules(): Generator<{ name: string; allow: boolean }> {
  const text = readFileSync(join(packageRoot, 'native/jail/slot/seccomp_rules.h'), 'utf8');
  for (const [, name, verdict] of text.matchAll(/^ {4}\{SYS_(\w+), Verdict::k(\w+)/gm)) yield { name: name as string, allow: verdict !== 'Errno' };
}

/** Calls only some machines make: where one cannot be brought about, its rule is argued for here alone. */
const elsewhere: Readonly<Record<string, { readonly here: boolean; readonly why: string }>> = {
  pkey_mprotect: { here: /\bospke\b/.test(readFileSync('/proc/cpuinfo', 'utf8')), why: 'V8 protects JIT pages with it, and ends when that is denied, where the CPU has protection keys' },
};

const manyFunctions = (count: number, salt: number): string =>
  Array.from({ length: count }, (_, i) => `(func (export "f${i}_${salt}") (param i32) (result i32) ${`(local.set 0 (i32.mul (i32.add (local.get 0) (i32.const ${i})) (local.get 0)))`.repeat(20)} (local.get 0))`).join('');

/**
 * Killed by the filter is certain. Late or silent may be a busy machine: that counts when it happens three times in a row. So may be a slot
 * that did not stop within its grace, and that takes so little time that it is tried more often.
 */
async function breaks(launcher: string): Promise<boolean> {
  for (let slow = 0, late = 0; slow < 3 && late < 20; ) {
    const end = await live(launcher);
    if (end === 'whole' || end === 'broke') return end === 'broke';
    if (end === 'slow') slow++;
    else late++;
  }
  return true;
}

/** Everything a slot does in its life, and how that ended. */
async function live(launcher: string): Promise<'whole' | 'broke' | 'slow' | 'late'> {
  const device = new SlotDevice({ slots: 1, slmBytes: 16 << 20, slotHeapBytesMax: 16 << 20, tenantSlmBytes: 16 << 20, slotLauncher: launcher });
  const broken = () => device.events.some((e) => /signal (6|11|31)|exit code|slotFault/.test(e));
  try {
    for (let i = 0; i < 1000 && !broken() && device.slots()[0]?.state !== 'ready'; i++) await new Promise((resolve) => setTimeout(resolve, 10));
    if (device.slots()[0]?.state !== 'ready') return broken() ? 'broke' : 'slow';
    const { pid } = device.slots()[0]!;
    const handle = await device.putColumn(Array.from({ length: 4 }, (_, g) => new Int32Array(200_000).fill(g)));
    const evil = (process: string) => kernel({ ...sumParts, process: `${process} ${sumParts.process}` });
    const work = async () => {
      for (let round = 0; round < 3; round++) {
        await device.run(await kernel(sumParts), handle, 4);
        await device.run(await kernel(echoParts(['i'])), handle, 4, { outputBytesMax: 64 << 10 });
        await device.run(await kernel(foreverParts), handle, 1, { deadlineMs: 50 });
        await device.run(await evil('unreachable'), handle, 1);
        await device.run(await evil('(i32.store (call $column_data (local.get $in) (i32.const 0)) (i32.const 7))'), handle, 1);
        await device.run(await kernel({ ...sumParts, extra: '(func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (i32.const 1)))', process: '(call $deep (i32.const 1))' }), handle, 1);
        // Compiled by two threads that meet in locks all the time.
        await device.run(await kernel({ ...sumParts, extra: manyFunctions(3000, round) }), handle, 1);
        for (let i = 0; i < 12; i++) await device.run(await evil(`(drop (i32.const ${round * 100 + i}))`), handle, 4);
        // Asleep, and stopped and continued there: the wait begins anew.
        await new Promise((resolve) => setTimeout(resolve, 30));
        process.kill(pid, 'SIGSTOP');
        process.kill(pid, 'SIGCONT');
      }
    };
    // A slot that hangs instead of dying is broken as well.
    const end = await Promise.race([work().then(() => 'done', () => 'failed'), new Promise<string>((resolve) => setTimeout(resolve, 40_000, 'hung'))]);
    if (broken()) return 'broke';
    if (end !== 'hung' && device.events.some((e) => e.includes('did not stop'))) return 'late';
    if (end !== 'done' || device.slots()[0]?.pid !== pid) return 'slow';
    // Last, for it ends the slot: a compile whose memory runs out, on whichever thread, says so by the exit code.
    device.device.setTenant({ id: 1, name: 'large', caps: { memoryBytes: 16 << 20, deadlineMs: 60_000, compileMs: 600_000, cpuPercent: 100, outputBytes: 1 << 20, stackBytes: 0, moduleBytes: 4 << 20 } });
    const large = await kernel({ ...sumParts, extra: `(func (export "large") (param i32) ${'(i32.store (local.get 0) (i32.load (i32.load (local.get 0)))) '.repeat(250_000)})` });
    const [outcome] = await device.run(large, handle, 1, { tenant: 1 });
    if (outcome?.fault === GuestFault.MemoryLimit) return 'whole';
    return broken() ? 'broke' : 'slow';
  } catch {
    return broken() ? 'broke' : 'slow';
  } finally {
    // What the slot without a rule met, for whoever reads why it counts as broken.
    if (broken()) console.log(device.events.filter((e) => /slot(Fault|Replaced)/.test(e)).join('\n'));
    await device.close();
  }
}

/** With it in a slot's addon, clocks are read by system calls. Undefined: not on this machine. */
function noVdso(): string | undefined {
  const source = join(packageRoot, 'test/security/no-vdso.cc');
  const program = join(dir, 'no-vdso');
  buildProgram(source, program, ['MILLRACE_TEST_PROGRAM']);
  return spawnSync(program).status === 0 ? source : undefined;
}

it.runIf(long)('a slot without any one of the allowed calls breaks, and with all of them it does not', async () => {
  const variants = new SlotVariants(dir);
  const clockless = noVdso();
  expect(await breaks(variants.build('whole', []))).toBe(false);
  if (clockless) expect(await breaks(variants.build('whole-no-vdso', [], clockless))).toBe(false);
  const evidence: Record<string, string> = {};
  const unneeded: string[] = [];
  for (const { name, allow } of rules()) {
    if (!allow || (only && !only.includes(name))) continue;
    const machine = elsewhere[name] ?? (name === 'clock_gettime' ? { here: clockless !== undefined, why: 'V8 ends without a clock where the vDSO cannot read it' } : { here: true, why: '' });
    if (!machine.here) {
      evidence[name] = `not on this machine: ${machine.why}`;
      continue;
    }
    const broke = await breaks(variants.build(name, [`MILLRACE_TEST_DROP_RULE=SYS_${name}`], name === 'clock_gettime' ? clockless : undefined));
    evidence[name] = broke ? 'a slot breaks without it' : 'NOT NEEDED';
    if (!broke) unneeded.push(name);
  }
  console.log(Object.entries(evidence).map(([name, what]) => `${name}: ${what}`).join('\n'));
  expect(unneeded).toEqual([]);
  if (only) return;
  expect(Object.keys(elsewhere).filter((name) => ![...rules()].some((rule) => rule.name === name))).toEqual([]);
}, 1_800_000);

// What a thread calls when it begins and ends is in no rule.
it('no thread of a slot begins or ends once it is sealed', async () => {
  const device = new SlotDevice({ slots: 1, slmBytes: 16 << 20, slotHeapBytesMax: 16 << 20 });
  const threads = () => readdirSync(`/proc/${device.slots()[0]?.pid}/task`).sort();
  try {
    await device.ready();
    const sealed = threads();
    const handle = await device.putColumn([new Int32Array(1000).fill(4)]);
    for (let i = 0; i < 20; i++) await device.run(await kernel({ ...sumParts, process: `(drop (i32.const ${i})) ${sumParts.process}`, extra: manyFunctions(100, i) }), handle, 1);
    expect(device.events.filter((e) => e.startsWith('slot'))).toEqual([]);
    expect(threads()).toEqual(sealed);
    // JavaScript's, V8's worker, Node's for delayed tasks, and the one that stops commands. Whoever starts one of these waits until it runs.
    expect(sealed.length).toBe(4);
  } finally {
    await device.close();
  }
});

it('slots that start on a busy machine are sealed whole: no thread of theirs begins under the filter', async () => {
  const spinners = Array.from({ length: 6 }, () => spawn(process.execPath, ['-e', 'for (;;) ;'], { stdio: 'ignore' }));
  const device = new SlotDevice({ slots: long ? 60 : 8, slmBytes: 16 << 20, slotHeapBytesMax: 16 << 20 });
  try {
    await device.ready();
    expect(device.events.filter((e) => e.startsWith('slot'))).toEqual([]);
  } finally {
    for (const spinner of spinners) spinner.kill('SIGKILL');
    await device.close();
  }
}, 120_000);
