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

/** Closed-loop clients that send the same statements to a daemon and to DuckDB behind Fastify, one after the other on one machine. */
export const load: Benchmark = {
  name: 'load',
  question: 'What do many clients of POST /v1/sql wait, beside DuckDB behind a minimal Fastify server?',
  async run({ quick }) {
    const clients = quick ? 8 : 64;
    const seconds = quick ? 4 : 30;
    const file = join(packageRoot, 'node_modules/vega-datasets/data/flights-3m.parquet');
    const daemon = await startDaemon(['--query-workers', '2']);
    const child = spawn(process.execPath, [join(packageRoot, 'dist/benchmarks/harness/duckdb-server.js'), file, '2'], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const db = await connect({ url: daemon.url, transport: 'http' });
      await db.put('flights', file);
      await db.close();
      const [line] = (await once(child.stdout, 'data')) as [Buffer];
      const peerUrl = line.toString().trim();
      const hash = createHash('sha256');
      for (const sql of statements) {
        const rows = await rowsOf(daemon.url, sql);
        invariant(rows === (await rowsOf(peerUrl, sql)), 'both sides give the same rows');
        hash.update(rows);
      }
      const resultHash = hash.digest('hex').slice(0, 16);
      const ours = await storm(daemon.url, clients, seconds * 1000);
      const peer = await storm(peerUrl, clients, seconds * 1000);
      const compared = (metric: string, unit: string, of: (ms: readonly number[]) => number, more: boolean): BenchResult => {
        const [a, b] = [of(ours), of(peer)];
        const ratio = more ? a / b : b / a;
        return { case: `${clients} clients`, metric, unit, ours: a, peer: b, peerName: 'DuckDB behind Fastify, 2 threads', ratio, spread: [ratio, ratio], runs: ours.length, resultHash };
      };
      return [compared('p50', 'ms', (ms) => quantile(ms, 0.5), false), compared('p99', 'ms', (ms) => quantile(ms, 0.99), false), compared('throughput', 'queries/s', (ms) => ms.length / seconds, true)];
    } finally {
      child.kill();
      await daemon.stop();
    }
  },
};

async function storm(url: string, clients: number, forMs: number): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const ms: number[] = [];
  const until = performance.now() + forMs;
  await Promise.all(Array.from({ length: clients }, async (_, i) => {
    for (let n = i; performance.now() < until; n++) {
      const started = performance.now();
      await rowsOf(url, statements[n % statements.length] ?? '', agent);
      ms.push(performance.now() - started);
    }
  }));
  agent.destroy();
  return ms;
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
