import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { packageRoot } from '../../native/index.js';
import { type PairTimes, quantile, ratios } from './pairs.js';

/** One line of a benchmark. ratio above 1: we are better. */
export interface BenchResult {
  readonly case: string;
  readonly metric: string;
  readonly unit: string;
  readonly ours: number;
  readonly peer?: number;
  readonly peerName?: string;
  readonly ratio?: number;
  /** 25th and 75th percentile of the per-pair ratio (of ours where there is no peer). */
  readonly spread: readonly [number, number];
  /** The same for ours against ours: a difference smaller than this is no difference. */
  readonly noise?: readonly [number, number];
  readonly runs: number;
  readonly resultHash?: string;
  readonly target?: number;
  readonly met?: boolean;
  readonly note?: string;
}

export interface BenchReport {
  readonly name: string;
  readonly question: string;
  readonly commit: string;
  readonly date: string;
  readonly machine: string;
  readonly profile: string;
  readonly quick: boolean;
  readonly results: readonly BenchResult[];
}

/** target: least ratio wanted. */
export function pairResult(name: string, peerName: string, times: PairTimes, target?: number, note?: string): BenchResult {
  const ratio = ratios(times.oursMs, times.peerMs);
  const same = ratios(times.oursMs, times.againMs);
  const median = quantile(ratio, 0.5);
  return {
    case: name, metric: 'wall time', unit: 'ms',
    ours: quantile(times.oursMs, 0.5), peer: quantile(times.peerMs, 0.5), peerName,
    ratio: median, spread: [quantile(ratio, 0.25), quantile(ratio, 0.75)], noise: [quantile(same, 0.25), quantile(same, 0.75)],
    runs: ratio.length, resultHash: times.hash,
    ...(target === undefined ? {} : { target, met: median >= target }),
    ...(note === undefined ? {} : { note }),
  };
}

/** A figure of ours alone against a limit. */
export function limitResult(name: string, metric: string, unit: string, samples: readonly number[], limit?: number, note?: string): BenchResult {
  const ours = quantile(samples, 0.5);
  return {
    case: name, metric, unit, ours, spread: [quantile(samples, 0.25), quantile(samples, 0.75)], runs: samples.length,
    ...(limit === undefined ? {} : { target: limit, met: ours <= limit }),
    ...(note === undefined ? {} : { note }),
  };
}

export function report(name: string, question: string, quick: boolean, results: readonly BenchResult[]): BenchReport {
  let commit = 'unknown';
  try {
    commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: packageRoot, stdio: ['ignore', 'pipe', 'ignore'] }).toString().trim();
  } catch {
    // not a checkout
  }
  return {
    name, question, commit, date: new Date().toISOString(), profile: 'local', quick, results,
    machine: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, Linux ${release()}, Node ${process.versions.node}, load ${loadavg().map((l) => l.toFixed(2)).join(' ')}`,
  };
}

const figure = (n: number | undefined) => (n === undefined ? '' : Math.abs(n) >= 100 ? n.toFixed(0) : n.toPrecision(3));

/** The report as a table a person reads; losers are marked, not hidden. */
export function printReport(r: BenchReport): void {
  console.log(`${r.name}: ${r.question}\n${r.machine}, commit ${r.commit}${r.quick ? ', quick size' : ''}\n`);
  const rows = r.results.map((x) => [
    x.case, x.metric, `${figure(x.ours)} ${x.unit}`, x.peer === undefined ? '' : `${figure(x.peer)} ${x.unit}`, x.peerName ?? '',
    x.ratio === undefined ? '' : `${x.ratio.toFixed(2)}x`, `${figure(x.spread[0])}..${figure(x.spread[1])}`,
    x.noise ? `${figure(x.noise[0])}..${figure(x.noise[1])}` : '', x.target === undefined ? '' : String(x.target),
    x.met === undefined ? '' : x.met ? 'met' : 'MISSED', x.note ?? '',
  ]);
  const head = ['case', 'metric', 'ours', 'peer', 'peer is', 'ratio', 'p25..p75', 'A/A', 'target', '', 'note'];
  const width = head.map((h, i) => Math.max(h.length, ...rows.map((row) => row[i].length)));
  for (const row of [head, ...rows]) console.log(row.map((c, i) => c.padEnd(width[i])).join('  ').trimEnd());
}

export const writeReport = (r: BenchReport, path: string) => writeFileSync(path, `${JSON.stringify(r, null, 2)}\n`);
