import { native } from '../native/index.js';
import { CommandQueue } from '../native/queue.js';
import { Nsid, Opcode, Status } from '../pushdown/runtime/wire.gen.js';
import { invariant } from '../pushdown/types/error.js';
import type { Benchmark } from './harness/benchmark.js';
import { startDaemon } from './harness/daemon.js';
import { interleave, quantile } from './harness/pairs.js';
import { type BenchResult, limitResult, pairResult } from './harness/report.js';

/** 256 MiB of namespace 4, written once so that reads come from the page cache and not from holes. */
const blocks = 65_536;
const depths = [1, 32, 128] as const;
/** What the targets ask for: 4 KiB reads a second at depth 32; microseconds of one awaited command in JavaScript. */
const readsPerSecondWanted = 1_000_000;
const promiseUsWanted = 5;

/**
 * A daemon in another process, reached over rings in shared memory. The bare ring beside it waits by the same code (spin as
 * long as it pays, then sleep on a descriptor); nothing is pinned on either side.
 */
export const queue: Benchmark = {
  name: 'queue',
  question: 'What does a command over the shared-memory queue cost beside the bare ring, from C++ and from JavaScript?',
  async run({ quick, log }) {
    const daemon = await startDaemon(['--slots', '1', '--raw-bytes', String(blocks * 4096)]);
    const results: BenchResult[] = [];
    const runs = quick ? 3 : 15;
    const commands = quick ? 20_000 : 400_000;
    try {
      await fill(daemon.socketPath);
      log('no-data command beside the bare ring');
      const side = (ns: () => number) => async () => ({ ms: ns() / 1e6, hash: () => `${commands}` });
      const load = (depth: number, nsid: number, seed = 1) => native().queueLoadSync(daemon.socketPath, { depth, commands, nsid, blocks, seed });
      const pair = await interleave(side(() => load(1, 0)), side(() => native().ringPingPongSync(commands)), runs);
      results.push(perCommand(pairResult('command without data, depth 1', 'ring ping-pong between two threads', pair, 0.5), commands));

      for (const depth of depths) {
        log(`4 KiB reads from C++, depth ${depth}`);
        const rates = Array.from({ length: runs }, (_, i) => commands / (load(depth, Nsid.Raw, i) / 1e9));
        results.push(rate(`4 KiB random read from C++, depth ${depth}`, rates, depth === 32 ? readsPerSecondWanted : undefined));
      }
      for (const depth of depths) {
        log(`4 KiB reads from JavaScript, depth ${depth}`);
        const runsJs: { rate: number; us: number }[] = [];
        for (let i = 0; i < runs; i++) runsJs.push(await promises(daemon.socketPath, depth, quick ? 10_000 : 100_000));
        results.push(rate(`4 KiB random read from JavaScript, a promise each, depth ${depth}`, runsJs.map((r) => r.rate)));
        if (depth === 1) results.push(limitResult('4 KiB random read from JavaScript, a promise each, depth 1', 'p50 of one await', 'us', runsJs.map((r) => r.us), promiseUsWanted));
      }
      return results;
    } finally {
      await daemon.stop();
    }
  },
};

function perCommand(result: BenchResult, commands: number): BenchResult {
  const ns = (ms: number) => (ms * 1e6) / commands;
  return { ...result, metric: 'round trip', unit: 'ns', ours: ns(result.ours), ...(result.peer === undefined ? {} : { peer: ns(result.peer) }) };
}

/** A figure that should be large. */
function rate(name: string, samples: readonly number[], wanted?: number): BenchResult {
  const ours = quantile(samples, 0.5);
  return {
    case: name, metric: 'commands per second', unit: '1/s', ours, spread: [quantile(samples, 0.25), quantile(samples, 0.75)], runs: samples.length,
    ...(wanted === undefined ? {} : { target: wanted, met: ours >= wanted }),
  };
}

async function fill(socketPath: string): Promise<void> {
  const step = 512;
  const queue = new CommandQueue(native().attachDevice(socketPath, { dataBytes: 4 << 20, entries: 64 }), { entries: 64 });
  const region = await queue.acquire(step * 4096);
  region.view.fill(7);
  for (let at = 0; at < blocks; at += step) {
    const { status } = await queue.send(1, { opc: Opcode.Write, nsid: Nsid.Raw, cdw10: at, cdw12: step - 1 }, region);
    invariant(status === Status.Success, 'the blocks are written');
  }
  queue.release(region);
  queue.close();
}

/** `depth` lanes, each awaiting one command at a time: commands a second, and the median await in microseconds. */
async function promises(socketPath: string, depth: number, commands: number): Promise<{ rate: number; us: number }> {
  const queue = new CommandQueue(native().attachDevice(socketPath, { dataBytes: 4 << 20, entries: 256 }), { entries: 256 });
  const times = new Float64Array(commands);
  let next = 0;
  let state = 12_345;
  const start = performance.now();
  await Promise.all(
    Array.from({ length: depth }, async () => {
      const region = await queue.acquire(4096);
      for (let i = next++; i < commands; i = next++) {
        state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
        const from = performance.now();
        const { status } = await queue.send(1, { opc: Opcode.Read, nsid: Nsid.Raw, cdw10: state % blocks }, region);
        times[i] = performance.now() - from;
        invariant(status === Status.Success, 'every read succeeds');
      }
      queue.release(region);
    }),
  );
  const seconds = (performance.now() - start) / 1000;
  queue.close();
  return { rate: commands / seconds, us: (times.sort()[commands >> 1] ?? 0) * 1000 };
}
