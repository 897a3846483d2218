// Kernels from strangers who mean harm, in real slots: each ends as one of the closed list of faults (or runs), the device's
// memory stays bounded, and an honest query beside them gets right answers all the time. Replay with MILLRACE_SEED=n.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { GuestFault, Status } from '../../pushdown/runtime/wire.gen.js';
import { SlotDevice } from '../device/slot-device.js';
import { Random } from '../differential/random.js';
import { kernel, sumParts } from '../kernels/wat.js';
import { hostileModule } from './hostile-modules.js';

const long = process.env.MILLRACE_TEST === 'long';
const seed = Number(process.env.MILLRACE_SEED ?? (long ? Date.now() % 2 ** 32 : 20240601));
// 10 to 15 ms each: the fast suite has room for the first few hundred.
const modules = long ? 100_000 : 300;
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

const residentBytes = () => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;
const faults = new Set<number>(Object.values(GuestFault));

it(`${modules} hostile modules (seed ${seed})`, async () => {
  const honest = await kernel(sumParts);
  const started = residentBytes();
  let residentMost = started;
  const tally = new Map<string, number>();
  let next = 0;
  let over = 0;
  const attack = async (index: number) => {
    while (next < modules) {
      const number = next++;
      const { kind, bytes } = await hostileModule(new Random(seed + number));
      const replay = `module ${number} of seed ${seed} (${kind})`;
      let how: string;
      try {
        const [outcome] = await device.run(bytes, handle, 1, { index, deadlineMs: 50, outputBytesMax: 1 << 20, discard: true });
        if (outcome?.fault !== undefined) expect(faults.has(outcome.fault) || outcome.fault === Status.KernelQuarantined, replay).toBe(true);
        how = outcome?.fault === undefined ? 'ran' : 'fault';
        expect([...(outcome?.text ?? '')].filter((c) => c < ' ' || c === '\x7f'), replay).toEqual([]);
      } catch (error) {
        expect(error, replay).toMatchObject({ code: expect.stringMatching(/^MR_(KERNEL_QUARANTINED|FRAME_INVALID)$/) });
        how = 'refused';
      }
      tally.set(`${kind}: ${how}`, (tally.get(`${kind}: ${how}`) ?? 0) + 1);
      if (number % 64 === 0) residentMost = Math.max(residentMost, residentBytes());
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
    }
  };
  await Promise.all([...Array.from({ length: hosts }, (_, i) => attack(i)), live()]);

  latencies.sort((a, b) => a - b);
  const at = (q: number) => latencies[Math.floor((latencies.length - 1) * q)]?.toFixed(1);
  console.log([...tally].sort().map(([what, n]) => `${n} ${what}`).join('\n'));
  console.log(`${answers} honest answers beside them, ${at(0.5)} ms p50, ${at(0.99)} ms p99; ${((residentMost - started) / 2 ** 20).toFixed(0)} MiB more at most`);
  expect(answers).toBeGreaterThan(10);
  // What waits for its host is bounded by 160 MiB; the hosts' own regions and the assembler's garbage come on top.
  expect(residentMost - started).toBeLessThan(700 << 20);
  await device.ready();
  expect(device.device.stats().scansOpen).toBe(0);
}, long ? 3_600_000 : 240_000);
