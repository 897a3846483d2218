import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Point } from '../device-sim/point.js';
import { type DeviceProfile, loadProfile } from '../device-sim/profile.js';
import { modelOf, runPoint } from '../device-sim/simulate.js';
import { native, packageRoot } from '../native/index.js';
import { BLOCK_BYTES, CommandQueue } from '../native/queue.js';
import type { Benchmark } from './harness/benchmark.js';
import { type BenchResult, limitResult } from './harness/report.js';

const errorMax = 0.1;
const units: Readonly<Record<Point['metric'], string>> = {
  readLatencyUs: 'us', writeLatencyUs: 'us', writeP99999Us: 'us', kIops: 'k/s', readGBs: 'GB/s', writeGBs: 'GB/s', totalGBs: 'GB/s', amplification: 'x', ewr: '', powerW: 'W',
};

/**
 * Every published point of every profile beside the model, in virtual time: the figures depend on no machine. Then the live
 * device: how late completions really are after the time the model gave them, which needs a quiet machine.
 */
export const model: Benchmark = {
  name: 'model',
  question: 'How far are the modelled devices from published figures, and how late are completions of the live device after their modelled time?',
  ratioMeans: 'model over published figure (line: the same; dashed: 10 % more)',
  groups: [
    { name: 'calibrated the model', colour: '#8fb8c4', has: (row) => roleOf(row) === 'calibrates' },
    { name: 'held out', colour: '#2c6a7d', has: (row) => roleOf(row) === 'heldOut' },
    { name: 'printed, not asserted', colour: '#b9b4a8', has: (row) => roleOf(row) === 'printed' },
  ],
  async run({ quick, log }) {
    const dir = join(packageRoot, 'device-sim/profiles');
    const profiles = readdirSync(dir).sort().map((file) => loadProfile(file.replace(/\.json$/, ''), dir));
    const results: BenchResult[] = [];
    const heldOut: number[] = [];
    for (const profile of profiles)
      for (const point of profile.points) {
        // The steady state of a drive takes seconds to reach.
        if (quick && (point.workload.precondition ?? 0) > 0) continue;
        const { model: ours, error } = await runPoint(profile, point);
        log(`${profile.name}: ${point.what}: ${ours.toPrecision(4)} against ${point.value}${point.to ? ` to ${point.to}` : ''} (${(error * 100).toFixed(1)} %)`);
        if (point.role === 'heldOut') heldOut.push(Math.abs(error));
        const asserted = point.role !== 'printed' && point.how !== 'S';
        results.push({
          case: `${profile.name}: ${point.what}`, metric: point.metric, unit: units[point.metric], ours, peer: point.value, peerName: `${point.atMost ? 'at most, ' : ''}${point.source} (${point.how})`,
          ratio: 1 + error, spread: [1 + error, 1 + error], runs: 1, resultHash: 'virtual time',
          ...(asserted ? { target: 1 + errorMax, met: Math.abs(error) <= errorMax } : {}),
          note: [point.role, point.to === undefined ? '' : `published ${point.value} to ${point.to}`, point.note ?? ''].filter((text) => text !== '').join('; '),
        });
      }
    const points = profiles.flatMap((profile) => profile.points).filter((point) => point.role !== 'printed');
    results.push(limitResult('largest error on a held-out point', 'error', '%', [Math.max(...heldOut) * 100], errorMax * 100, `${points.filter((point) => point.role === 'heldOut').length} of ${points.length} points that are asserted are held out`));
    for (const name of ['ssd-plain', 'ssd-lowlat', 'csd-pcie5']) results.push(...(await lateness(profiles.find((profile) => profile.name === name)!, quick)));
    return results;
  },
};

/** Of a published point, as its note begins. */
const roleOf = (row: BenchResult): string | undefined => row.note?.split(';', 1)[0];

/** 4 KiB random reads at depth 1 and 32 on a live device, its completions held by the model. */
async function lateness(profile: DeviceProfile, quick: boolean): Promise<BenchResult[]> {
  const results: BenchResult[] = [];
  for (const depth of [1, 32]) {
    const dir = mkdtempSync(join(tmpdir(), 'millrace-model-'));
    const { media, link } = modelOf(profile);
    const device = native().openDevice({
      backingFile: join(dir, 'nvm'), capacityBytes: 256 << 20, slmBytes: 64 << 20, ioThreads: 1, slots: 0, slotNode: '', slotScript: '', slotLauncher: '', slotHeapBytesMax: 0, morselDeadlineMs: 1000,
      ...(media ? { model: { media } } : {}), ...(link ? { link } : {}),
    });
    const queue = new CommandQueue(device.attach({ dataBytes: 4 << 20, entries: 256 }), { entries: 256 });
    try {
      let left = quick ? 2_000 : 40_000;
      let block = 1;
      await Promise.all(Array.from({ length: depth }, async () => {
        const region = await queue.acquire(BLOCK_BYTES);
        while (left-- > 0) {
          block = (block * 48_271) % 65_521;
          await queue.readBlocks(block, 1, region);
        }
        queue.release(region);
      }));
      const late = device.stats().model?.lateness;
      if (!late) throw new Error('the device has no model');
      const note = `measured; ${late.count} completions, live 4 KiB random reads`;
      results.push(limitResult(`${profile.name}: lateness, depth ${depth}, p50`, 'lateness', 'us', [Math.max(late.p50Ns, 1) / 1e3], 5, note), limitResult(`${profile.name}: lateness, depth ${depth}, p99`, 'lateness', 'us', [Math.max(late.p99Ns, 1) / 1e3], 50, note));
    } finally {
      queue.close();
      await device.close();
      rmSync(dir, { recursive: true, force: true });
    }
  }
  return results;
}
