// Modules from strangers who mean harm, in real slots: each ends as one of the closed list of faults (or runs), the device's
// memory stays bounded, and an honest query beside them gets right answers all the time. Every module of a seed is made by
// its number alone; a failure prints the command that runs only that one again.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { GuestFault, Status } from '../../pushdown/runtime/wire.gen.js';
import { type MorselOutcome, SlotDevice } from '../device/slot-device.js';
import { Random } from '../differential/random.js';
import { kernel, sumParts } from '../kernels/wat.js';
import { hostileModule, nanKind } from './hostile-modules.js';
import { graftAbi, specModules } from './spec-modules.js';

const long = process.env.MILLRACE_TEST === 'long';
const seed = Number(process.env.MILLRACE_SEED ?? (long ? Date.now() % 2 ** 32 : 20240601));
const only = process.env.MILLRACE_MODULE;
const modules = Number(process.env.MILLRACE_MODULES ?? (long ? 100_000 : 2000));
const hosts = 3;

let device: SlotDevice;
let handle: number;
const values = Int32Array.from({ length: 20_000 }, (_, i) => i % 997);
const sum = values.reduce((s, v) => s + BigInt(v), 0n);

beforeAll(async () => {
  device = new SlotDevice({ slots: 2, slmBytes: 16 << 20, slotHeapBytesMax: 16 << 20 });
  handle = await device.putColumn([values, values]);
  await device.ready();
});
afterAll(() => device.close());

/** Proportional set size of this process, which is the device: its slots' pages are not in it, shared ones by their share. */
const pssBytes = () => Number(/^Pss:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/smaps_rollup', 'utf8'))?.[1]) * 1024;
const faults = new Set<number>(Object.values(GuestFault));

/** What the module came to, as a word; anything but a known end fails the test. */
async function attack(bytes: Uint8Array, index: number, replay: string, look?: (outcome: MorselOutcome) => void): Promise<string> {
  let outcome: MorselOutcome | undefined;
  try {
    [outcome] = await device.run(bytes, handle, 1, { index, deadlineMs: 50, outputBytesMax: 1 << 20, discard: !look });
  } catch (error) {
    expect(error, replay).toMatchObject({ code: expect.stringMatching(/^MR_(KERNEL_QUARANTINED|FRAME_INVALID)$/) });
    return 'refused';
  }
  expect([...(outcome?.text ?? '')].filter((c) => c < ' ' || c === '\x7f'), replay).toEqual([]);
  if (outcome?.fault === undefined) {
    if (outcome) look?.(outcome);
    return 'ran';
  }
  expect(faults.has(outcome.fault) || outcome.fault === Status.KernelQuarantined, `${replay} ended as ${outcome.fault}`).toBe(true);
  return Object.entries(GuestFault).find(([, code]) => code === outcome?.fault)?.[0] ?? 'quarantined';
}

function expectCanonical(outcome: MorselOutcome): void {
  for (const data of outcome.frames.map((f) => (f.buffers[1] as Uint8Array).slice())) {
    if (data.length === 32) for (const bits of new Uint32Array(data.buffer)) expect((bits & 0x7fffffff) > 0x7f800000 ? bits : 0x7fc00000).toBe(0x7fc00000);
    else for (const bits of new BigUint64Array(data.buffer)) expect((bits & 0x7fffffffffffffffn) > 0x7ff0000000000000n ? bits : 0x7ff8000000000000n).toBe(0x7ff8000000000000n);
  }
}

it(`${only ? `module ${only}` : `${modules} hostile modules`} (seed ${seed})`, async () => {
  const honest = await kernel(sumParts);
  await attack(honest, 0, 'the honest one');
  const started = pssBytes();
  let most = started;
  const tally = new Map<string, number>();
  let next = only ? Number(only) : 0;
  const end = only ? next + 1 : modules;
  let over = 0;
  const attacker = async (index: number) => {
    while (next < end && over === 0) {
      const number = next++;
      const { kind, bytes } = await hostileModule(new Random(seed + number));
      const replay = `${kind}: MILLRACE_SEED=${seed} MILLRACE_MODULE=${number} node scripts/test.mjs test/security/hostile-modules.test.ts`;
      const how = `${kind}: ${await attack(bytes, index, replay, kind === nanKind ? expectCanonical : undefined)}`;
      tally.set(how, (tally.get(how) ?? 0) + 1);
      if (number % 64 === 0) most = Math.max(most, pssBytes());
    }
    over++;
  };
  let answers = 0;
  const latencies: number[] = [];
  const live = async () => {
    while (over < hosts) {
      const from = performance.now();
      const outcomes = await device.run(honest, handle, 2, { index: hosts });
      latencies.push(performance.now() - from);
      expect(outcomes.map((o) => o.fault ?? new DataView(o.frames[0].buffers[1].slice().buffer).getBigInt64(0, true))).toEqual([sum, sum]);
      answers++;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  await Promise.all([...Array.from({ length: hosts }, (_, i) => attacker(i)), live()]);

  latencies.sort((a, b) => a - b);
  const at = (q: number) => latencies[Math.floor((latencies.length - 1) * q)]?.toFixed(1);
  console.log([...tally].sort().map(([what, n]) => `${n} ${what}`).join('\n'));
  const outcomes = new Map<string, number>();
  for (const [what, n] of tally) outcomes.set(what.slice(what.lastIndexOf(': ') + 2), (outcomes.get(what.slice(what.lastIndexOf(': ') + 2)) ?? 0) + n);
  console.log(`seed ${seed}, outcomes: ${[...outcomes].sort((a, b) => b[1] - a[1]).map(([end, n]) => `${n} ${end}`).join(', ')}`);
  console.log(`seed ${seed}: ${answers} honest answers beside ${end - (only ? Number(only) : 0)} modules, ${at(0.5)} ms p50, ${at(0.99)} ms p99; PSS ${(started / 2 ** 20).toFixed(0)} MiB, at most ${((most - started) / 2 ** 20).toFixed(0)} MiB more`);
  expect(answers).toBeGreaterThan(only ? 0 : 10);
  // Frames nobody fetched are bounded by 160 MiB, the four hosts' region is 64 MiB; the assembler's garbage comes on top.
  expect(most - started).toBeLessThan(300 << 20);
  await device.ready();
  expect(device.device.stats().scansOpen).toBe(0);
}, long ? 3_600_000 : 600_000);

it('the modules the WebAssembly specification calls invalid or malformed', async () => {
  const { length } = device.events;
  const tally = new Map<string, number>();
  for (const module of specModules()) {
    if (module.bytes.length === 0) continue; // there is nothing to load
    expect(await attack(module.bytes, 0, module.from), module.from).toBe('ModuleRejected');
    // Some are mended by the memory they get: then the first call traps. None is anything else.
    const grafted = graftAbi(module);
    const how = await attack(grafted.bytes, 0, grafted.from);
    expect(['ModuleRejected', 'TrapUnreachable', 'TrapOutOfBounds'], grafted.from).toContain(how);
    tally.set(how, (tally.get(how) ?? 0) + 1);
  }
  console.log([...tally].map(([how, n]) => `${n} with the ABI put in: ${how}`).join('\n'));
  expect(tally.get('ModuleRejected')).toBeGreaterThan(1000);
  // None of them ends a slot by a signal of its own.
  expect(device.events.slice(length).filter((e) => /signal (4|6|7|8|11|31)/.test(e))).toEqual([]);
}, long ? 3_600_000 : 600_000);
