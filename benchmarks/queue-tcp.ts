import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '../native/index.js';
import { Nsid } from '../pushdown/runtime/wire.gen.js';
import { invariant } from '../pushdown/types/error.js';
import type { Benchmark } from './harness/benchmark.js';
import { startDaemon } from './harness/daemon.js';
import { interleave, quantile, ratios, type Side } from './harness/pairs.js';
import { type BenchResult, pairResult } from './harness/report.js';

const blockBytes = 4096;
const mediaBytes = 256 << 20;
const peerName = 'nbdkit memory under fio\'s nbd engine (Unix socket)';

/** What one run of one side cost its target. */
interface Cost {
  cpuMs: number;
  commands: number;
}

/**
 * NVMe/TCP over loopback with the native initiator, beside Debian's nbdkit with its memory plugin under fio. Both targets keep
 * the data in memory (ours in the page cache), both are asked for zeros of a fresh namespace. The initiators are not the same
 * program: what fio costs is in its rate, what it costs the target is not.
 */
export const queueTcp: Benchmark = {
  name: 'queue-tcp',
  question: 'How many reads per second does the device serve over NVMe/TCP, at which CPU time each, beside an NBD server?',
  async run({ quick, log }) {
    for (const [tool, args] of [['fio', ['--enghelp']], ['nbdkit', ['memory', '--dump-plugin']]] as const) {
      const { status, stdout } = spawnSync(tool, args, { encoding: 'utf8' });
      if (status !== 0 || (tool === 'fio' && !/\bnbd\b/.test(stdout))) throw new Error(`the peer is missing: apt-get install --no-install-recommends fio nbdkit (${tool} with its nbd engine, nbdkit with its memory plugin)`);
    }
    const dir = mkdtempSync(join(tmpdir(), 'millrace-queue-tcp-'));
    const daemon = await startDaemon(['--slots', '1', '--nvme-tcp', '127.0.0.1:0', '--raw-bytes', String(mediaBytes)]);
    const peer = await startPeer(join(dir, 'nbd.sock'));
    const results: BenchResult[] = [];
    try {
      const { nvmeTcp } = daemon as typeof daemon & { readonly nvmeTcp?: { readonly address: string; readonly port: number; readonly nqn: string } };
      invariant(nvmeTcp !== undefined, 'the daemon says where NVMe/TCP hosts come in');
      for (const [depth, bytes] of [[1, blockBytes], [32, blockBytes], [16, 128 << 10]] as const) {
        const commands = Math.max(256, Math.floor((quick ? 4000 : 200_000) / (bytes / blockBytes) / (depth === 1 ? 4 : 1)));
        const name = `${bytes >> 10} KiB random read, depth ${depth}`;
        log(`${name}: ${commands} commands a run`);
        const oursCost: Cost[] = [];
        const peerCost: Cost[] = [];
        const ours = measured(daemon.process.pid, oursCost, async (seed) => {
          const { elapsedNs, ...ran } = await native().nvmeTcpLoad({ ...nvmeTcp, nsid: Nsid.Raw, depth, blocksPerRead: bytes / blockBytes, blocks: mediaBytes / blockBytes, commands, seed, digests: false });
          return { commands: ran.commands, ms: elapsedNs / 1e6, hash: String(ran.hash) };
        });
        const theirs = measured(peer.process.pid, peerCost, (seed) => fio(peer.socket, depth, bytes, commands, seed));
        const times = await interleave(ours, theirs, quick ? 3 : 9);
        const pair = pairResult(name, peerName, times);
        const perSecond = (ms: number): number => (bytes === blockBytes ? (commands / ms) * 1000 : (commands * bytes) / ms / 1000);
        results.push({
          ...pair, metric: bytes === blockBytes ? 'reads per second' : 'bandwidth', unit: bytes === blockBytes ? '1/s' : 'MB/s', ours: perSecond(pair.ours), ...(pair.peer === undefined ? {} : { peer: perSecond(pair.peer) }),
          ...(depth === 32 ? { target: 1, met: pair.ratio !== undefined && pair.ratio >= 1 } : {}),
        });
        results.push(cpuResult(pair, name, oursCost, peerCost, depth === 32));
      }
      return results;
    } finally {
      peer.process.kill('SIGTERM');
      await daemon.stop();
      rmSync(dir, { recursive: true, force: true });
    }
  },
};

/** One side, with what its target's process used meanwhile. */
function measured(pid: number | undefined, costs: Cost[], run: (seed: number) => Promise<{ commands: number; ms: number; hash: string }>): Side {
  invariant(pid !== undefined, 'the target runs');
  let seed = 0;
  return async () => {
    const before = cpuMs(pid);
    const { commands, ms, hash } = await run(++seed);
    costs.push({ cpuMs: cpuMs(pid) - before, commands });
    return { ms, hash: () => hash };
  };
}

/** CPU time of a process since it began; the kernel counts in hundredths of a second. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function cpuResult(pair: BenchResult, name: string, ours: readonly Cost[], peer: readonly Cost[], aimed: boolean): BenchResult {
  const each = (costs: readonly Cost[]): number[] => costs.map(({ cpuMs: ms, commands }) => (Math.max(ms, 1) * 1000) / commands); // a short run may stay below the clock's step
  const mean = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;
  const [a, b] = [mean(each(ours)), mean(each(peer))];
  const spread = ratios(each(ours), each(peer));
  const ratio = b / a;
  return { ...pair, case: `${name}, in the target`, metric: 'CPU time per read', unit: 'µs', ours: a, peer: b, ratio, spread: [quantile(spread, 0.25), quantile(spread, 0.75)], ...(aimed ? { target: 1, met: ratio >= 1 } : {}) };
}

async function startPeer(socket: string): Promise<{ readonly socket: string; readonly process: ChildProcess }> {
  const child = spawn('nbdkit', ['--foreground', '--unix', socket, 'memory', String(mediaBytes)], { stdio: 'ignore' });
  for (let i = 0; i < 1000 && !existsSync(socket); i++) await new Promise((resolve) => { setTimeout(resolve, 10); });
  invariant(existsSync(socket), 'nbdkit listens');
  return { socket, process: child };
}

async function fio(socket: string, depth: number, bytes: number, commands: number, seed: number): Promise<{ commands: number; ms: number; hash: string }> {
  const child = spawn('fio', [
    '--name=peer', '--ioengine=nbd', `--uri=nbd+unix:///?socket=${socket}`, '--rw=randread', '--norandommap', `--bs=${bytes}`, `--iodepth=${depth}`, `--size=${mediaBytes}`,
    `--io_size=${commands * bytes}`, `--randseed=${seed}`, '--output-format=json',
  ], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => { text += part; });
  const code = await new Promise((resolve) => child.once('close', resolve));
  invariant(code === 0, 'fio ends well');
  const { jobs: [job] } = JSON.parse(text.slice(text.indexOf('{'))) as { jobs: { read: { total_ios: number; iops: number } }[] };
  invariant(job !== undefined && job.read.total_ios === commands, 'fio read what it was asked to');
  // iops is of the time it read, without its start; what is read of a fresh memory plugin are zeros.
  return { commands, ms: (commands / job.read.iops) * 1000, hash: '0' };
}
