// npm run demo: three million real flights stored on a device, each query pushed down, pulled and both at once, every answer
// held against DuckDB reading the Parquet file.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '../clients/node/connect.js';
import type { Client } from '../clients/node/client.js';
import type { QueryStats } from '../clients/node/index.js';
import { bytesText } from '../clients/cli/bytes.js';
import { textTable } from '../clients/cli/output/table.js';
import { packageRoot } from '../native/index.js';
import { Judge, difference } from './demo/judge.js';
import { demoQueries } from './demo/queries.js';
import { serve } from './demo/serve.js';

const modes = ['never', 'always', 'auto'] as const;
/** Times each query runs; the table shows the median. */
const runs = 3;

interface Line {
  readonly query: string;
  readonly mode: (typeof modes)[number];
  readonly rows: number;
  readonly stats: QueryStats;
  readonly ms: number;
  readonly wrong: string | undefined;
}

const parquet = join(packageRoot, 'node_modules/vega-datasets/data/flights-3m.parquet');
if (!existsSync(parquet)) throw new Error(`${parquet} is missing: run npm ci with dev dependencies.`);

const daemon = await serve();
try {
  // HTTP is a link whose bytes can be counted; on one machine the client would take shared memory.
  const client = await connect({ url: daemon.url, transport: 'http' });
  const judge = await Judge.over(parquet);
  try {
    const started = performance.now();
    const info = await client.put('flights', parquet);
    console.log(`stored ${info.rows} flights in ${((performance.now() - started) / 1000).toFixed(1)} s: ${info.rowGroups} row groups, ${bytesText(info.storedBytes)}\n`);
    const lines = await measure(client, judge);
    print(lines);
    process.exitCode = lines.some((l) => l.wrong) ? 1 : 0;
  } finally {
    judge.close();
    await client.close();
  }
} finally {
  await daemon.stop();
}

async function measure(client: Client, judge: Judge): Promise<Line[]> {
  const lines: Line[] = [];
  for (const query of demoQueries) {
    const expected = await judge.columns(query.duckSql);
    const ordered = /ORDER BY/i.test(query.duckSql) || query.name.startsWith('ML');
    for (const mode of modes) {
      const results = [];
      for (let i = 0; i < runs; i++) results.push(await query.run(client, { pushdown: mode }));
      results.sort((a, b) => a.stats.ms - b.stats.ms);
      const middle = results[Math.floor(runs / 2)] as (typeof results)[number];
      const wrong = results.map((r) => difference(r, expected, query.tolerance, ordered)).find((d) => d !== undefined);
      lines.push({ query: query.name, mode, rows: middle.rows, stats: middle.stats, ms: middle.stats.ms, wrong });
    }
  }
  return lines;
}

function print(lines: readonly Line[]): void {
  const left = (name: string) => ({ name, numeric: false });
  const right = (name: string) => ({ name, numeric: true });
  console.log(textTable(
    [left('query'), left('pushdown'), right('rows'), right('over the link'), right('ms'), left('where it ran'), left('DuckDB says')],
    lines.map((l) => [l.mode === 'never' ? l.query : '', l.mode, String(l.rows), bytesText(l.stats.linkBytes), l.ms.toFixed(1), whereText(l.stats), l.wrong ?? 'equal']),
  ));
  console.log(meaning(lines));
}

function whereText({ morselsDevice, morselsHost, morselsPruned }: QueryStats): string {
  const parts = [morselsDevice ? `device ${morselsDevice}` : '', morselsHost ? `host ${morselsHost}` : '', morselsPruned ? `skipped ${morselsPruned}` : ''].filter(Boolean);
  return parts.join(', ') || 'nowhere';
}

/** What the table means, from its own figures. */
function meaning(lines: readonly Line[]): string {
  const wrong = lines.filter((l) => l.wrong).length;
  if (wrong > 0) return `${wrong} of ${lines.length} answers differ from DuckDB's: this is a bug.`;
  const bytes = (query: string, mode: string) => lines.find((l) => l.query === query && l.mode === mode)?.stats.linkBytes ?? 0;
  const queries = [...new Set(lines.map((l) => l.query))];
  const fewer = queries.filter((q) => bytes(q, 'always') < bytes(q, 'never'));
  const total = (mode: string) => fewer.reduce((sum, q) => sum + bytes(q, mode), 0);
  const more = queries.filter((q) => !fewer.includes(q));
  return `All ${lines.length} answers equal DuckDB's. For ${fewer.length} of ${queries.length} queries pushing down moved fewer bytes: ${bytesText(total('always'))} instead of ${bytesText(total('never'))} crossed the link${
    total('always') > 0 ? ` (${(total('never') / total('always')).toFixed(0)} times less)` : ''
  }${more.length > 0 ? `; ${more.join(', ')} gives more bytes than it reads, where pulling is the smaller transfer` : ''}; with auto, device and host share the row groups of each scan.`;
}
