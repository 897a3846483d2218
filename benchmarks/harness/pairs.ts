import { invariant } from '../../pushdown/types/error.js';

/** One side of a comparison: does the work once and delivers the result, whose hash is taken outside the measured time. ms: where the side times itself. */
export type Side = () => Promise<{ hash: () => string; ms?: number }>;

export interface PairTimes {
  /** Milliseconds of wall time, one per run. */
  readonly oursMs: readonly number[];
  readonly peerMs: readonly number[];
  /** ours run once more beside each pair: what a ratio of two equal things looks like on this machine today. */
  readonly againMs: readonly number[];
  readonly hash: string;
}

/**
 * Runs both sides in turn, `runs` times after `warmup` uncounted rounds, the first of each pair alternating, and asserts
 * that every run of both sides gave the same result.
 */
export async function interleave(ours: Side, peer: Side, runs: number, warmup = 2): Promise<PairTimes> {
  const oursMs: number[] = [];
  const peerMs: number[] = [];
  const againMs: number[] = [];
  let hash: string | undefined;
  const once = async (side: Side, name: string, into: number[] | undefined) => {
    const start = process.hrtime.bigint();
    const result = await side();
    const ms = result.ms ?? Number(process.hrtime.bigint() - start) / 1e6;
    const got = result.hash();
    hash ??= got;
    invariant(got === hash, `both sides give the same result (${name}: ${got}, before: ${hash})`);
    into?.push(ms);
  };
  for (let round = -warmup; round < runs; round++) {
    const keep = round >= 0;
    const order = round % 2 === 0 ? (['ours', 'peer', 'again'] as const) : (['peer', 'ours', 'again'] as const);
    for (const who of order)
      if (who === 'peer') await once(peer, who, keep ? peerMs : undefined);
      else await once(ours, who, keep ? (who === 'ours' ? oursMs : againMs) : undefined);
  }
  invariant(hash !== undefined, 'at least one run');
  return { oursMs, peerMs, againMs, hash };
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
