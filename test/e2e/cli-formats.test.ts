// Rows in every format the command line writes, read back by somebody else's reader.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { tableFromArrays, tableFromIPC, tableToIPC } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunOptions, runCli } from './cli-process.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';

const rows = 3000;
const numbers = 'SELECT id, grp::TINYINT AS grp, price, ts, day, half, odd FROM mixed ORDER BY id';

let dir: string;
let daemon: DaemonProcess;
let duck: DuckDBConnection;
const run = (args: readonly string[], options: RunOptions = {}) => runCli(args, { ...options, env: { MILLRACE_URL: daemon.url, ...options.env } });
const answer = async (sql: string) => (await (await duck.run(sql)).getRowsJson()) as unknown[][];
const saved = async (name: string, args: readonly string[]): Promise<string> => {
  const { code, out, err } = await run(args);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  writeFileSync(join(dir, name), out);
  return join(dir, name);
};

/** .npy by its specification: descr, shape and where the records begin. */
function npyHead(bytes: Buffer): { descr: string; rows: number; start: number } {
  expect(bytes.subarray(0, 8).toString('latin1')).toBe('\x93NUMPY\x02\x00');
  const start = 12 + bytes.readUInt32LE(8);
  const found = /^\{'descr': (.*), 'fortran_order': False, 'shape': \((\d+),\), \} *\n$/.exec(bytes.subarray(12, start).toString('latin1'));
  expect(start % 64).toBe(0);
  return { descr: found?.[1] ?? '', rows: Number(found?.[2]), start };
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-cli-formats-'));
  duck = await (await DuckDBInstance.create(':memory:')).connect();
  await duck.run(`CREATE TABLE mixed AS SELECT range::INTEGER AS id, (range % 7)::INTEGER AS grp, CASE WHEN range % 10 = 0 THEN NULL ELSE 'näme ' || range % 40 END AS name, (range / 4)::DECIMAL(10,2) AS price,
    TIMESTAMP '2001-02-03 04:05:06.5' + INTERVAL (range) SECOND AS ts, CASE WHEN range % 3 = 0 THEN NULL ELSE DATE '2001-01-01' + range::INTEGER END AS day, CASE WHEN range % 5 = 0 THEN NULL ELSE range / 2::DOUBLE END AS half, range % 2 = 1 AS odd FROM range(${rows})`);
  await duck.run(`COPY mixed TO '${join(dir, 'mixed.parquet')}' (FORMAT parquet)`);
  daemon = await startDaemonProcess({ args: ['--row-group-rows', '1024'] });
  expect(await run(['put', join(dir, 'mixed.parquet')])).toMatchObject({ code: 0 });
});
afterAll(async () => {
  duck?.closeSync();
  await daemon?.dispose();
  rmSync(dir, { recursive: true, force: true });
});

describe('parquet', () => {
  test('of a query: the same rows and types', async () => {
    const file = await saved('rows.parquet', ['sql', '-o', 'parquet', 'SELECT * FROM mixed ORDER BY id']);
    expect(await answer(`SELECT count(*) FROM (FROM '${file}' EXCEPT ALL FROM mixed)`)).toEqual([['0']]);
    expect(await answer(`SELECT column_name, column_type FROM (DESCRIBE FROM '${file}')`)).toEqual(await answer('SELECT column_name, column_type FROM (DESCRIBE mixed)'));
  });
  test('of a query without rows', async () => {
    const file = await saved('none.parquet', ['sql', '-o', 'parquet', 'SELECT id, name FROM mixed WHERE id < 0']);
    expect(await answer(`SELECT count(*) FROM '${file}'`)).toEqual([['0']]);
  });
  test('export, and in again', async () => {
    const file = join(dir, 'exported.parquet');
    expect(await run(['export', 'mixed', file])).toMatchObject({ code: 0, text: '' });
    expect(await answer(`SELECT count(*), (SELECT count(*) FROM (FROM '${file}' EXCEPT ALL FROM mixed)) FROM '${file}'`)).toEqual([[String(rows), '0']]);
    expect(await run(['put', file, '--name', 'again'])).toMatchObject({ code: 0 });
    expect((await run(['sql', 'SELECT sum(price) p FROM again'])).text).toBe((await run(['sql', 'SELECT sum(price) p FROM mixed'])).text);
  });
});

describe('npy', () => {
  test('one column is a plain array', async () => {
    const bytes = readFileSync(await saved('one.npy', ['sql', '-o', 'npy', 'SELECT half FROM mixed ORDER BY id']));
    const { descr, rows: count, start } = npyHead(bytes);
    expect([descr, count, bytes.length - start]).toEqual(["'<f8'", rows, rows * 8]);
    expect([bytes.readDoubleLE(start), bytes.readDoubleLE(start + 7 * 8)]).toEqual([Number.NaN, 3.5]);
  });
  test('several columns are records, as NumPy reads them', async () => {
    const file = await saved('many.npy', ['sql', '-o', 'npy', numbers]);
    const bytes = readFileSync(file);
    const { descr, rows: count, start } = npyHead(bytes);
    expect([descr, count, bytes.length - start]).toEqual(["[('id', '<i4'), ('grp', '|i1'), ('price', '<f8'), ('ts', '<M8[us]'), ('day', '<M8[D]'), ('half', '<f8'), ('odd', '|b1')]", rows, rows * 38]);
    const at = start + 38 * 9;
    expect([bytes.readInt32LE(at), bytes.readInt8(at + 4), bytes.readDoubleLE(at + 5), bytes.readBigInt64LE(at + 13), bytes.readBigInt64LE(at + 21), bytes.readDoubleLE(at + 29), bytes.readUInt8(at + 37)]).toEqual([9, 2, 2.25, 981173115500000n, -(2n ** 63n), 4.5, 1]);
    const script = "import sys\ntry:\n import numpy as n\nexcept ImportError:\n print('no numpy'); sys.exit()\na = n.load(sys.argv[1])\nprint(a.shape[0], a['id'].sum(), a['price'].sum(), n.isnan(a['half']).sum(), n.isnat(a['day']).sum(), a['ts'][1], a['odd'].sum())";
    const said = execFileSync('python3', ['-c', script, file], { encoding: 'utf8' }).trim();
    if (said === 'no numpy') console.log('numpy is not installed: the header and one record were checked by hand');
    else expect(said).toBe(`${rows} ${(rows * (rows - 1)) / 2} ${((rows * (rows - 1)) / 8).toFixed(1)} 600 1000 2001-02-03T04:05:07.500000 ${rows / 2}`);
  });
  test.each([
    ['text', 'SELECT name FROM mixed', 'MR_NPY_TYPE'],
    ['integers that may be NULL', 'SELECT CASE WHEN id > 5 THEN id END x FROM mixed', 'MR_NPY_NULL'],
  ])('%s is refused and leaves nothing', async (_what, sql, code) => {
    expect(await run(['sql', '-o', 'npy', sql])).toMatchObject({ code: 1, text: '', err: expect.stringContaining(code) });
    expect(await run(['export', 'mixed', join(dir, 'refused.npy')])).toMatchObject({ code: 1, err: expect.stringContaining('MR_NPY_TYPE') });
    expect(readdirSync(dir).filter((name) => name.includes('refused'))).toEqual([]);
  });
});

describe('export', () => {
  test('the format by the ending, or by name', async () => {
    const csv = join(dir, 'mixed.csv');
    expect(await run(['export', 'mixed', csv])).toMatchObject({ code: 0 });
    expect(await answer(`SELECT count(*), sum(id), count(name) FROM read_csv('${csv}')`)).toEqual([[String(rows), '4498500', '2700']]);
    const { text, code } = await run(['export', 'mixed', '-o', 'json']);
    expect([code, text.trimEnd().split('\n').length]).toEqual([0, rows]);
    expect(tableFromIPC((await run(['export', 'mixed', '-'])).out).numRows).toBe(rows);
  });
  test('an ending that names no format is refused before anything is asked of the daemon, and nothing is written', async () => {
    for (const name of ['out.xyz', 'out', 'out.parquet.bak']) for (const args of [['export', 'mixed', join(dir, name)], ['export', 'mixed', '-o', join(dir, name)]]) {
      const { code, err, text } = await run(args, { env: { MILLRACE_URL: 'http://127.0.0.1:1' } });
      expect([name, code, text]).toEqual([name, 2, '']);
      expect(err).toMatch(/MR_USAGE/);
      for (const ending of ['.parquet', '.csv', '.ndjson', '.arrow', '.npy', '-o json|csv']) expect(err).toContain(ending);
    }
    expect(readdirSync(dir).filter((name) => name.startsWith('out'))).toEqual([]);
    expect(await run(['export', 'mixed', join(dir, 'out.xyz'), '-o', 'csv'])).toMatchObject({ code: 0 });
    expect(await answer(`SELECT count(*) FROM read_csv('${join(dir, 'out.xyz')}')`)).toEqual([[String(rows)]]);
    expect(await run(['export', 'mixed', join(dir, 'OUT.PQ')])).toMatchObject({ code: 0 });
    expect(readFileSync(join(dir, 'OUT.PQ')).subarray(0, 4).toString()).toBe('PAR1');
  });
  test.each([[['export', 'mixed', 'x', '-o', 'xlsx'], 2], [['export', 'mixed', '/nowhere/at/all.csv'], 1], [['sql', '-o', 'xlsx', 'SELECT 1'], 2]] as const)('%j ends with %i', async (args, code) => {
    expect((await run(args)).code).toBe(code);
  });
});

describe('--dry-run', () => {
  test('sql: what would be pushed, and bytes', async () => {
    const before = JSON.parse((await run(['status'])).text) as { device: { executes: number } };
    const { text, code } = await run(['sql', '--dry-run', 'SELECT grp, count(*) n FROM mixed WHERE id < 100 GROUP BY grp ORDER BY n']);
    expect(code).toBe(0);
    expect(JSON.parse(text)).toMatchObject({ dryRun: true, dataset: 'mixed', columns: ['grp', 'id'], rowGroups: 1, rowGroupsPruned: 2, rows: 1024, pushdown: 'auto' });
    const found = JSON.parse(text) as { chunkBytes: number; datasetBytes: number; pushed: string[] };
    expect(found.chunkBytes).toBeLessThan(found.datasetBytes);
    expect(found.pushed.map((p) => p.split(':')[0])).toEqual(['Scan', 'Filter', 'PartialAggregate']);
    const after = JSON.parse((await run(['status'])).text) as { device: { executes: number } };
    expect(after.device.executes).toBe(before.device.executes);
  });
  test('put: nothing is loaded', async () => {
    const { text, code } = await run(['put', join(dir, 'mixed.parquet'), '--name', 'fresh', '--dry-run']);
    expect(code).toBe(0);
    expect(JSON.parse(text)).toMatchObject({ dryRun: true, name: 'fresh', format: 'parquet' });
    expect((await run(['describe', 'fresh'])).code).toBe(1);
  });
  test('put: the types it says are those the load finds, overridden ones too', async () => {
    const csv = 'id,town,day,price,flag\n1,Ulm,2001-02-03,1.50,true\n2,,2001-02-04,2.25,false\n';
    const ndjson = '{"a":1,"b":{"c":[1.5]},"d":"2001-02-03"}\n{"a":2,"b":{"c":[]},"d":null}\n';
    const files: Record<string, string | Uint8Array> = { 'a [1]*.csv': csv, 'b.csv.gz': gzipSync(csv), 'c.ndjson': ndjson, 'd.arrow': tableToIPC(tableFromArrays({ id: Int32Array.of(1, 2), town: ['Ulm', 'Bonn'] }), 'file') };
    for (const [name, content] of Object.entries(files)) writeFileSync(join(dir, name), content);
    const cases = [...Object.keys(files).map((name) => ({ args: [join(dir, name)], input: '' })), { args: [join(dir, 'b.csv.gz'), '--types', 'id=HUGEINT,price=DECIMAL(12,3)'], input: '' }, { args: ['-', '--format', 'csv'], input: csv }];
    for (const [i, { args, input }] of cases.entries()) {
      const dry = await run(['put', ...args, '--name', `seen${i}`, '--dry-run'], { input });
      expect({ args, code: dry.code, err: dry.err }).toEqual({ args, code: 0, err: '' });
      const { columns } = JSON.parse(dry.text) as { columns: { name: string; type: string }[] };
      expect((await run(['describe', `seen${i}`])).code).toBe(1);
      expect(await run(['put', ...args, '--name', `seen${i}`], { input })).toMatchObject({ code: 0 });
      const loaded = (JSON.parse((await run(['describe', `seen${i}`])).text) as { columns: { name: string; type: string }[] }).columns;
      // Arrow's names for its types; a HUGEINT whose values fit is stored as BIGINT.
      const said: Record<string, string> = { Int32: 'INTEGER', 'Dictionary<Int32, Utf8>': 'VARCHAR', HUGEINT: 'BIGINT' };
      expect(loaded.map(({ name, type }) => `${name} ${type}`)).toEqual(columns.map(({ name, type }) => `${name} ${said[type] ?? type}`));
    }
    expect(JSON.parse((await run(['put', join(dir, 'b.csv.gz'), '--name', 'seen1', '--dry-run'])).text)).toMatchObject({ exists: { rows: 2 }, refused: true });
    writeFileSync(join(dir, 'no.parquet'), 'PAR1 and nothing more');
    for (const args of [[join(dir, 'no.parquet')], [join(dir, 'no.parquet'), '--format', 'arrow'], [join(dir, 'no.parquet'), '--format', 'json']])
      expect(await run(['put', ...args, '--dry-run'])).toMatchObject({ code: 1, text: '', err: expect.stringContaining('MR_FILE_INVALID') });
    expect(await run(['put', join(dir, 'c.ndjson'), '--types', "a=INT) AS x, read_text('/etc/passwd'", '--dry-run'])).toMatchObject({ code: 1, err: expect.stringContaining('MR_SOURCE_OPTION') });
  });
});
