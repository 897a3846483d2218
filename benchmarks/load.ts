import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request, Agent } from 'node:http';
import { join } from 'node:path';
import { connect } from '../clients/node/index.js';
import { packageRoot } from '../native/index.js';
import { invariant } from '../pushdown/types/error.js';
import type { Benchmark } from './harness/benchmark.js';
import { startDaemon } from './harness/daemon.js';
import { quantile } from './harness/pairs.js';
import type { BenchResult } from './harness/report.js';

const statements = [
  'SELECT origin, count(*) AS n FROM flights GROUP BY origin ORDER BY n DESC, origin LIMIT 20',
  'SELECT count(*) AS n, min(distance) AS near, max(distance) AS far FROM flights WHERE delay > 60',
  "SELECT delay, distance FROM flights WHERE origin = 'SFO' AND delay > 400 ORDER BY delay, distance",
];

const peerName = 'DuckDB behind Fastify, 2 threads';

interface Slice {
  readonly ms: readonly number[];
  readonly seconds: number;
}

/**
 * Closed-loop clients that send the same statements to a daemon and to DuckDB behind Fastify on one machine, in slices that
 * take turns: ours, theirs, ours again. Every answer is compared. MILLRACE_LOAD=CLIENTSxSECONDS chooses the size, such as 64x600.
 */
export const load: Benchmark = {
  name: 'load',
  question: 'What do many clients of POST /v1/sql wait, beside DuckDB behind a minimal Fastify server?',
  async run({ quick, log }) {
    const [, clients = 0, seconds = 0] = (/^(\d+)x(\d+)$/.exec(process.env.MILLRACE_LOAD ?? (quick ? '8x12' : '64x600')) ?? []).map(Number);
    invariant(clients > 0 && seconds > 0, 'MILLRACE_LOAD is CLIENTSxSECONDS');
    const rounds = quick ? 2 : 10;
    const sliceMs = (seconds * 1000) / (rounds * 3);
    const file = join(packageRoot, 'node_modules/vega-datasets/data/flights-3m.parquet');
    const daemon = await startDaemon(['--query-workers', '2']);
    const child = spawn(process.execPath, [join(packageRoot, 'dist/benchmarks/harness/duckdb-server.js'), file, '2'], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const db = await connect({ url: daemon.url, transport: 'http' });
      await db.put('flights', file);
      await db.close();
      const [line] = (await once(child.stdout, 'data')) as [Buffer];
      const peerUrl = line.toString().trim();
      const answers: string[] = [];
      for (const sql of statements) {
        answers.push(await rowsOf(daemon.url, sql));
        invariant(answers.at(-1) === (await rowsOf(peerUrl, sql)), 'both sides give the same rows');
      }
      const sides = { ours: [] as Slice[], peer: [] as Slice[], again: [] as Slice[] };
      for (const url of [daemon.url, peerUrl]) await storm(url, clients, Math.min(sliceMs, 2000), answers);
      for (let round = 0; round < rounds; round++) {
        for (const who of round % 2 === 0 ? (['ours', 'peer', 'again'] as const) : (['peer', 'ours', 'again'] as const)) sides[who].push(await storm(who === 'peer' ? peerUrl : daemon.url, clients, sliceMs, answers));
        log(`round ${round + 1} of ${rounds}: ${(['ours', 'peer', 'again'] as const).map((who) => `${who} ${throughput(sides[who][round] as Slice).toFixed(0)}/s`).join(', ')}`);
      }
      const resultHash = createHash('sha256').update(answers.join('')).digest('hex').slice(0, 16);
      const compared = (metric: string, unit: string, of: (slice: Slice) => number, more: boolean): BenchResult => {
        const [ours, peer, again] = [sides.ours.map(of), sides.peer.map(of), sides.again.map(of)];
        const better = (a: readonly number[], b: readonly number[]) => a.map((value, i) => (more ? value / (b[i] ?? 0) : (b[i] ?? 0) / value));
        const ratio = better(ours, peer);
        const noise = better(ours, again);
        const median = quantile(ratio, 0.5);
        return {
          case: `${clients} clients, ${seconds} s`, metric, unit, ours: quantile(ours, 0.5), peer: quantile(peer, 0.5), peerName, ratio: median,
          spread: [quantile(ratio, 0.25), quantile(ratio, 0.75)], noise: [quantile(noise, 0.25), quantile(noise, 0.75)], runs: rounds, resultHash,
          note: `${metric}${median < 1 ? ': LOSES' : ''}`,
        };
      };
      return [
        compared('p50', 'ms', ({ ms }) => quantile(ms, 0.5), false),
        compared('p99', 'ms', ({ ms }) => quantile(ms, 0.99), false),
        compared('throughput', 'queries/s', throughput, true),
      ];
    } finally {
      child.kill();
      await daemon.stop();
    }
  },
};

const throughput = ({ ms, seconds }: Slice): number => ms.length / seconds;

async function storm(url: string, clients: number, forMs: number, answers: readonly string[]): Promise<Slice> {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const ms: number[] = [];
  const began = performance.now();
  await Promise.all(Array.from({ length: clients }, async (_, i) => {
    for (let n = i; performance.now() < began + forMs; n++) {
      const started = performance.now();
      const rows = await rowsOf(url, statements[n % statements.length] ?? '', agent);
      ms.push(performance.now() - started);
      invariant(rows === answers[n % statements.length], 'every answer under load is the same');
    }
  }));
  agent.destroy();
  return { ms, seconds: (performance.now() - began) / 1000 };
}

/** The answer's rows, their numbers as text; the summary line left out. */
function rowsOf(url: string, sql: string, agent?: Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request(new URL('/v1/sql', url), { method: 'POST', headers: { 'content-type': 'application/json' }, ...(agent ? { agent } : {}) }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => { text += part; }).once('error', reject).once('end', () => {
        if (response.statusCode === 200) resolve(text.split('\n').filter((row) => row !== '' && !row.startsWith('{"summary"')).map((row) => row.replace(/:"?(-?\d+)"?(?=[,}])/g, ':$1')).join('\n'));
        else reject(new Error(`${response.statusCode} ${text}`));
      });
    });
    outgoing.once('error', reject);
    outgoing.end(JSON.stringify({ sql }));
  });
}
