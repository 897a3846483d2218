import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '../clients/node/index.js';
import type { Benchmark } from './harness/benchmark.js';
import { coldCache } from './harness/cold-cache.js';
import { startDaemon } from './harness/daemon.js';
import { DuckDBPeer } from './harness/duckdb-peer.js';
import { lineitemFile } from './harness/lineitem-file.js';
import { nativeCompiler } from './harness/native-peer.js';
import type { BenchResult } from './harness/report.js';
import type { Setting } from './kernels-compare.js';
import { examples } from './kernels-examples.js';
import { generated } from './kernels-generated.js';

/**
 * One slot with everything on: queue, jail, resident chunks, results fetched by this client. Peers in C run in one thread over the same
 * columns in memory, in the widths the dataset stores. Before each run the caches are emptied. Every run of both sides must give the same result.
 */
export const kernels: Benchmark = {
  name: 'kernels',
  question: 'How fast are generated and users\' kernels in a slot, beside the same in native C and beside DuckDB?',
  async run({ quick, log }) {
    const scratch = mkdtempSync(join(tmpdir(), 'millrace-kernels-'));
    const daemon = await startDaemon(['--slots', '1', '--io-threads', '1', '--slm-bytes', String(1 << 30)]);
    const db = await connect({ url: daemon.url, transport: 'shm' });
    const duck = await DuckDBPeer.open(':memory:', 1);
    const results: BenchResult[] = [];
    const setting: Setting = { db, duck, scratch, runs: quick ? 3 : 11, quick, log, compiler: nativeCompiler(), results, cold: quick ? () => undefined : coldCache() };
    try {
      if (!setting.compiler) log('there is no C compiler: peers in native C are left out');
      const lineitem = await lineitemFile(quick ? 600_000 : 6_000_000, log);
      await db.put('lineitem', lineitem);
      await generated(setting);
      await examples(setting, lineitem);
    } finally {
      duck.close();
      await db.close();
      await daemon.stop();
      rmSync(scratch, { recursive: true, force: true });
    }
    return results;
  },
};
