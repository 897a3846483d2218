// Files no one here wrote (the data of vega-datasets): they load, and answer as DuckDB does on the file itself.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { tableFromIPC } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, connect } from '../../clients/node/index.js';
import { readCells } from '../../daemon/ingest/result-cell.js';
import { type NativeDuckDB, native, packageRoot } from '../../native/index.js';
import { formatOfName } from '../../pushdown/types/source-options.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';

const folder = join(packageRoot, 'node_modules/vega-datasets/data');
const long = process.env.MILLRACE_TEST === 'long';
/** Small, and of every kind: typed CSV, dates, lists of records, nested documents, topologies, one column, tabs, Arrow. */
const sample = [
  'airports.csv', 'annual-precip.json', 'anscombe.json', 'barley.json', 'budgets.json', 'cars.json', 'co2-concentration.csv', 'driving.json', 'github.csv', 'londonCentroids.json', 'miserables.json', 'penguins.json',
  'stocks.csv', 'unemployment.tsv', 'world-110m.json', 'flights-200k.arrow',
];
const all = readdirSync(folder).filter((name) => /\.(csv|tsv|json|parquet|arrow)$/.test(name));
const names = (long ? all : all.filter((name) => sample.includes(name))).sort();

let daemon: DaemonProcess;
let client: Client;
let db: NativeDuckDB;
beforeAll(async () => {
  daemon = await startDaemonProcess({ args: ['--slots', '1'] });
  client = await connect(daemon.url);
  db = native().openDuckDB({ memoryLimitBytes: 2 ** 30, threads: 2, locked: false });
});
afterAll(async () => {
  db?.close();
  await client?.close();
  await daemon?.dispose();
});

/** One JSON text: rows, and per column least, greatest and different values, as text. */
const question = (columns: readonly string[], from: string): string =>
  `SELECT to_json([count(*)::VARCHAR${columns.map((c) => `, min(${c})::VARCHAR, max(${c})::VARCHAR, count(DISTINCT ${c})::VARCHAR, count(${c})::VARCHAR`).join('')}])::VARCHAR AS answer FROM ${from}`;
const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

describe('every file of vega-datasets', () => {
  it('is there', () => expect(names.length).toBeGreaterThanOrEqual(sample.length));

  it.each(names)('%s', async (name) => {
    const path = join(folder, name);
    const format = formatOfName(name);
    if (format === 'arrow') {
      // DuckDB reads no Arrow file itself: an Arrow reader of its own tells what is in it.
      const table = tableFromIPC(readFileSync(path));
      await client.put('f', path, { replace: true });
      for (const { name } of table.schema.fields) {
        const values = [...(table.getChild(name) ?? [])].map(Number);
        const least = values.reduce((x, y) => Math.min(x, y));
        const greatest = values.reduce((x, y) => Math.max(x, y));
        const [row] = (await client.sql(`SELECT count(*) AS n, min(${quoted(name)}) AS a, max(${quoted(name)}) AS b, count(DISTINCT ${quoted(name)}) AS d FROM f`)).toRows();
        expect([Number(row?.n), Number(row?.a), Number(row?.b), Number(row?.d)]).toEqual([table.numRows, least, greatest, new Set(values).size]);
      }
      return;
    }
    const source = format === 'csv' ? `read_csv('${path}')` : format === 'json' ? `read_json('${path}', maximum_object_size = ${64 << 20})` : `read_parquet('${path}')`;
    await db.query(`CREATE OR REPLACE TABLE f AS SELECT * FROM ${source}`);
    const columns = readCells(await db.query('SELECT column_name FROM (DESCRIBE f)')).map(([column]) => quoted(String(column)));
    const [expected] = readCells(await db.query(question(columns, 'f')));
    const info = await client.put('f', path, { replace: true });
    expect(info.columns.map((c) => quoted(c.name))).toEqual(columns);
    for (const pushdown of statSync(path).size < 1 << 20 ? (['always', 'never'] as const) : (['auto'] as const))
      expect((await client.sql(question(columns, 'f'), { pushdown })).toRows()).toEqual([{ answer: expected?.[0] }]);
  });
});
