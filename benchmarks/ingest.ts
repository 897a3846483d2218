import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, count, max, sum, col } from '../clients/node/index.js';
import type { Benchmark } from './harness/benchmark.js';
import { startDaemon } from './harness/daemon.js';
import { DuckDBPeer } from './harness/duckdb-peer.js';
import { canonicalRows } from './harness/duckdb-rows.js';
import { lineitemFile } from './harness/lineitem-file.js';
import { interleave } from './harness/pairs.js';
import { limitResult, pairResult } from './harness/report.js';
import { hashOf, hashOfChunks } from './harness/result-hash.js';

/** Seconds 6 million rows of 16 columns may take, upload to published dataset. */
const secondsMax = 30;

/** Parquet to a published, flushed dataset over HTTP, beside DuckDB making a table of its own database file (2 threads, checkpointed). */
export const ingest: Benchmark = {
  name: 'ingest',
  question: 'How long does it take to load Parquet, beside DuckDB creating a table from it?',
  async run({ quick, log }) {
    const rows = quick ? 300_000 : 6_000_000;
    const parquet = await lineitemFile(rows, log);
    const scratch = mkdtempSync(join(tmpdir(), 'millrace-ingest-'));
    const daemon = await startDaemon([]);
    const db = await connect({ url: daemon.url });
    const peer = await DuckDBPeer.open(join(scratch, 'peer.duckdb'), 2);
    try {
      const ours = async () => {
        const started = process.hrtime.bigint();
        await db.put('lineitem', parquet, { replace: true });
        const ms = Number(process.hrtime.bigint() - started) / 1e6;
        const check = await db.dataset('lineitem').agg({ n: count(), last: max(col('l_orderkey')), price: sum(col('l_extendedprice')) }).collect();
        return { ms, hash: () => hashOf(check) };
      };
      const theirs = async () => {
        const started = process.hrtime.bigint();
        await peer.run(`CREATE OR REPLACE TABLE lineitem AS SELECT * FROM '${parquet}'`);
        await peer.run('CHECKPOINT');
        const ms = Number(process.hrtime.bigint() - started) / 1e6;
        const chunks = await peer.chunks('SELECT count(*), max(l_orderkey), sum(l_extendedprice) FROM lineitem', false);
        return { ms, hash: () => hashOfChunks(chunks, () => canonicalRows(chunks)) };
      };
      const times = await interleave(ours, theirs, quick ? 3 : 5, 1);
      return [
        limitResult(`${rows / 1e6} M rows x 16 columns`, 'put, wall time', 's', times.oursMs.map((ms) => ms / 1000), secondsMax),
        pairResult(`${rows / 1e6} M rows x 16 columns`, 'DuckDB CREATE TABLE AS + CHECKPOINT, 2 threads', times),
      ];
    } finally {
      peer.close();
      await db.close();
      await daemon.stop();
      rmSync(scratch, { recursive: true, force: true });
    }
  },
};
