import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '../clients/node/index.js';
import type { Pushdown, QueryResult } from '../clients/node/index.js';
import { packageRoot } from '../native/index.js';
import { invariant } from '../pushdown/types/error.js';
import { demoQueries } from './demo/queries.js';
import type { Benchmark } from './harness/benchmark.js';
import { startDaemon } from './harness/daemon.js';
import { quantile } from './harness/pairs.js';
import type { BenchResult } from './harness/report.js';
import { hashOf } from './harness/result-hash.js';

const modes = ['never', 'always', 'auto', 'again'] as const;
type Mode = (typeof modes)[number];
/** Never more than 5 % slower. */
const target = 0.95;

/**
 * The demo's queries over both transports, each pulled, pushed and left to auto, in rounds whose order turns. The better fixed
 * mode is the one with the smaller median; auto's ratio to it is taken round by round, and beside it that of the same mode to
 * its own second run of the round: what two equal things look like.
 */
export const auto: Benchmark = {
  name: 'auto',
  question: 'Is auto ever slower than the better of always pushing and always pulling?',
  async run({ quick, log }) {
    const parquet = join(packageRoot, 'node_modules/vega-datasets/data/flights-3m.parquet');
    invariant(existsSync(parquet), 'vega-datasets is installed');
    const daemon = await startDaemon([]);
    const results: BenchResult[] = [];
    try {
      for (const transport of ['shm', 'http'] as const) {
        const db = await connect({ url: daemon.url, transport });
        try {
          if (transport === 'shm') await db.put('flights', parquet);
          for (const query of demoQueries) results.push(await compare(`${query.name}, ${transport}`, (pushdown) => query.run(db, { pushdown }), quick ? 5 : 25, log));
        } finally {
          await db.close();
        }
      }
    } finally {
      await daemon.stop();
    }
    const losers = results.filter((r) => !r.met);
    log(losers.length === 0 ? 'auto lost nowhere' : `auto lost ${losers.length} of ${results.length}: ${losers.map((r) => `${r.case} ${r.ratio?.toFixed(2)}x`).join('; ')}`);
    return results;
  },
};

async function compare(name: string, run: (pushdown: Pushdown) => Promise<QueryResult>, rounds: number, log: (line: string) => void): Promise<BenchResult> {
  const times: Record<Mode, number[]> = { never: [], always: [], auto: [], again: [] };
  let hash: string | undefined;
  let best: 'never' | 'always' = 'always';
  let morsels = '';
  for (let round = -2; round < rounds; round++)
    for (let turn = 0; turn < modes.length; turn++) {
      const mode = modes[(turn + round + modes.length) % modes.length]!; // within bounds
      const start = process.hrtime.bigint();
      const result = await run(mode === 'again' ? best : mode);
      const ms = Number(process.hrtime.bigint() - start) / 1e6;
      const got = hashOf(result);
      hash ??= got;
      invariant(got === hash, 'every mode gives the same result');
      times[mode].push(ms);
      if (mode === 'auto') morsels = `device ${result.stats.morselsDevice}, host ${result.stats.morselsHost}`;
      best = quantile(times.never, 0.5) < quantile(times.always, 0.5) ? 'never' : 'always';
    }
  for (const mode of modes) times[mode].splice(0, 2); // warm-up
  best = quantile(times.never, 0.5) < quantile(times.always, 0.5) ? 'never' : 'always';
  const ratio = times[best].map((ms, i) => ms / times.auto[i]!); // as many rounds of each
  const same = times[best].map((ms, i) => ms / times.again[i]!);
  const median = quantile(ratio, 0.5);
  const { never, always } = { never: quantile(times.never, 0.5), always: quantile(times.always, 0.5) };
  log(`${name}: never ${never.toFixed(2)}, always ${always.toFixed(2)}, auto ${quantile(times.auto, 0.5).toFixed(2)} ms (${morsels}), ${median.toFixed(2)}x`);
  return {
    case: name, metric: 'wall time', unit: 'ms', ours: quantile(times.auto, 0.5), peer: Math.min(never, always), peerName: best, ratio: median,
    spread: [quantile(ratio, 0.25), quantile(ratio, 0.75)], noise: [quantile(same, 0.25), quantile(same, 0.75)], runs: rounds, ...(hash === undefined ? {} : { resultHash: hash }),
    target, met: median >= target, note: `never ${never.toFixed(1)}, always ${always.toFixed(1)}; ${morsels}`,
  };
}
