import { invariant } from '../../pushdown/types/error.js';

/**
 * One side of a comparison: does the work once and delivers the result, whose hash is taken outside the measured time. ms: where the side
 * times itself; insideMs: the part of it that lies inside the thing compared.
 */
export type Side = () => Promise<{ hash: () => string; ms?: number; insideMs?: number }>;

export interface PairTimes {
  /** Milliseconds of wall time, one per run. */
  readonly oursMs: readonly number[];
  readonly peerMs: readonly number[];
  /** ours run once more beside each pair: what a ratio of two equal things looks like on this machine today. */
  readonly againMs: readonly number[];
  /** insideMs of ours and of ours again, where it has one. */
  readonly oursInsideMs: readonly number[];
  readonly againInsideMs: readonly number[];
  readonly hash: string;
}

/**
 * Runs both sides in turn, `runs` times after `warmup` uncounted rounds, the first of each pair alternating, and asserts
 * that every run of both sides gave the same result. before: done ahead of each run, outside the measured time. budgetMs: on a slow machine
 * there are fewer runs, three at least.
 */
export async function interleave(ours: Side, peer: Side, runs: number, warmup = 2, { before, budgetMs = Number.POSITIVE_INFINITY }: { readonly before?: () => void; readonly budgetMs?: number } = {}): Promise<PairTimes> {
  const until = performance.now() + budgetMs;
  const oursMs: number[] = [];
  const peerMs: number[] = [];
  const againMs: number[] = [];
  const [oursInsideMs, againInsideMs]: [number[], number[]] = [[], []];
  let hash: string | undefined;
  const once = async (side: Side, name: string, into?: number[], inside?: number[]) => {
    before?.();
    const start = process.hrtime.bigint();
    const result = await side();
    const ms = result.ms ?? Number(process.hrtime.bigint() - start) / 1e6;
    const got = result.hash();
    hash ??= got;
    invariant(got === hash, `both sides give the same result (${name}: ${got}, before: ${hash})`);
    into?.push(ms);
    if (result.insideMs !== undefined) inside?.push(result.insideMs);
  };
  for (let round = -warmup; round < runs && (round < 3 || performance.now() < until); round++) {
    const keep = round >= 0;
    const order = round % 2 === 0 ? (['ours', 'peer', 'again'] as const) : (['peer', 'ours', 'again'] as const);
    const into = { ours: oursMs, peer: peerMs, again: againMs };
    const inside = { ours: oursInsideMs, peer: [], again: againInsideMs };
    for (const who of order) await once(who === 'peer' ? peer : ours, who, ...(keep ? ([into[who], inside[who]] as const) : []));
  }
  invariant(hash !== undefined, 'at least one run');
  return { oursMs, peerMs, againMs, oursInsideMs, againInsideMs, hash };
}

/** Value below which the share `q` (0..1) of the samples lies. */
export function quantile(samples: readonly number[], q: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = Math.floor(at);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (at - low);
}

/** Per-run ratios b/a: above 1 means a was faster. */
export const ratios = (a: readonly number[], b: readonly number[]): number[] => a.map((ms, i) => b[i] / ms);
