// The command line as a user has it: a process per command, on the Node of the user, against a daemon it started.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DuckDBInstance } from '@duckdb/node-api';
import { tableFromIPC } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { daemonConfigSchema } from '../../daemon/config.js';
import { packageRoot } from '../../native/index.js';
import { type Ran, type RunOptions, cliScript, runCli, userNode } from './cli-process.js';

const rows = 5000;

let dir: string;
let url: string;
let daemon: ChildProcess;

const run = (args: readonly string[], options: RunOptions = {}): Promise<Ran> => runCli(args, { ...options, env: { MILLRACE_URL: url, ...options.env } });

const json = (text: string) => text.trimEnd().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
  const duck = await (await DuckDBInstance.create(':memory:')).connect();
  await duck.run(`COPY (SELECT range::INTEGER AS id, (range % 7)::INTEGER AS grp, CASE WHEN range % 10 = 0 THEN NULL ELSE 'name ' || range END AS name, (range / 4)::DECIMAL(10,2) AS price, 9007199254740993 + range AS big, TIMESTAMP '2001-02-03 04:05:06.5' AS ts FROM range(${rows})) TO '${join(dir, 'my table.parquet')}' (FORMAT parquet)`);
  duck.closeSync();
  daemon = spawn(userNode, [cliScript, 'serve', '--dir', join(dir, 'data'), '--port', '0', '--slm', '128MiB', '--capacity', '1GiB'], { stdio: ['ignore', 'pipe', 'inherit'] });
  url = await new Promise((resolve, reject) => {
    daemon.once('exit', (code) => reject(new Error(`serve ended with ${code}`)));
    createInterface({ input: daemon.stdout! }).on('line', (line) => resolve((JSON.parse(line) as { url: string }).url)); // stdout is a pipe
  });
  const put = await run(['put', join(dir, 'my table.parquet')]);
  expect(put).toMatchObject({ code: 0, text: '' });
  expect(put.err).toContain(`my_table: ${rows} rows`);
});
afterAll(async () => {
  if (daemon?.exitCode === null) {
    const ended = new Promise((resolve) => daemon.once('exit', resolve));
    daemon.kill('SIGTERM');
    await ended;
  }
  rmSync(dir, { recursive: true, force: true });
});

describe('queries', () => {
  test('NDJSON in a pipe, with every digit', async () => {
    const { code, text } = await run(['sql', 'select id, name, price, big, ts from my_table where id in (7, 10) order by id']);
    expect(code).toBe(0);
    expect(text).toBe('{"id":7,"name":"name 7","price":1.75,"big":9007199254741000,"ts":"2001-02-03 04:05:06.5"}\n{"id":10,"name":null,"price":2.50,"big":9007199254741003,"ts":"2001-02-03 04:05:06.5"}\n');
  });
  test.each(['auto', 'always', 'never'])('pushdown %s gives the same', async (mode) => {
    const { code, text, err } = await run(['sql', '--pushdown', mode, '--stats', 'select grp, count(*) n, sum(price) p from my_table where id < 1000 group by grp order by grp limit 2']);
    expect({ code, text }).toEqual({ code: 0, text: '{"grp":0,"n":143,"p":17767.75}\n{"grp":1,"n":143,"p":17803.50}\n' });
    expect(err).toMatch(/^2 rows, .* over the link/);
  });
  test('CSV, quoted where needed', async () => {
    const { text } = await run(['sql', '-o', 'csv', "select id, name, 'a,\"b' x, '' e from my_table where id in (1, 10) order by id"]);
    expect(text).toBe('id,name,x,e\r\n1,name 1,"a,""b",""\r\n10,,"a,""b",""\r\n');
  });
  test('a table on request', async () => {
    const { text, err } = await run(['sql', '-o', 'table', "select id, 'x' || chr(27) || '[31m' esc from my_table order by id"]);
    expect(text).toContain('│ id');
    expect(text).not.toContain('\u001b');
    expect(err).toContain(`the first 100 of ${rows} rows`);
  });
  test('Arrow to a file', async () => {
    const { out, code } = await run(['sql', '-o', 'arrow', 'select id, name, price from my_table where id < 100']);
    const table = tableFromIPC(out);
    expect([code, table.numRows, table.schema.fields.map((f) => `${f.name} ${String(f.type)}`).join()]).toEqual([0, 100, expect.stringMatching(/^id Int32,name .*,price Decimal/)]);
    expect(table.getChild('name')?.get(10)).toBeNull();
    expect(String(table.getChild('name')?.get(99))).toBe('name 99');
  });
  test('an empty Arrow result still has its schema', async () => {
    const { out } = await run(['sql', '-o', 'arrow', 'select id, name from my_table where id < 0']);
    expect(tableFromIPC(out).schema.fields.map((f) => f.name)).toEqual(['id', 'name']);
  });
  test('the statement from stdin', async () => {
    expect((await run(['sql', '-'], { input: 'select count(*) n from my_table' })).text).toBe(`{"n":${rows}}\n`);
  });
  test('many rows through a pipe', async () => {
    const { text, code } = await run(['sql', 'select id, name from my_table']);
    expect([code, json(text).length]).toEqual([0, rows]);
  });
});

describe('explain', () => {
  test('names where each part runs', async () => {
    const { code, text } = await run(['explain', '-o', 'table', "select grp, count(*) n from my_table where id < 100 group by grp order by n, grp"]);
    expect(code).toBe(0);
    expect(text).toMatch(/\| id +\| estRows \| actRows \| where +\| bytes \| time \| info/);
    for (const part of ['DuckDB', 'Exchange', 'Scan', 'Filter']) expect(text).toContain(part);
  });
  test('analyze fills in what happened', async () => {
    const plan = json((await run(['explain', '--analyze', '--pushdown', 'never', 'select id from my_table where id < 100'])).text);
    expect(plan[0]).toMatchObject({ actRows: 100 });
    expect(plan.find((row) => row.op === 'Exchange')?.bytes).toBeGreaterThan(0);
  });
});

describe('datasets', () => {
  test('ls, export, put again, replace, rm', async () => {
    expect(json((await run(['ls'])).text)).toMatchObject([{ name: 'my_table', rows, version: 1 }]);
    const file = join(dir, 'out.arrows');
    expect(await run(['export', 'my_table', '-o', file])).toMatchObject({ code: 0 });
    expect(tableFromIPC(readFileSync(file)).numRows).toBe(rows);
    expect(await run(['put', file, '--name', 'my_table'])).toMatchObject({ code: 1, err: expect.stringContaining('MR_DATASET_EXISTS') });
    expect(await run(['put', file, '--name', 'my_table', '--replace'])).toMatchObject({ code: 0 });
    expect(json((await run(['ls'])).text)).toMatchObject([{ name: 'my_table', rows, version: 2 }]);
    expect(await run(['put', file, '--name', 'other'])).toMatchObject({ code: 0 });
    expect(await run(['rm', 'other'])).toMatchObject({ code: 0 });
    expect(await run(['rm', 'other'])).toMatchObject({ code: 1, err: expect.stringContaining('MR_DATASET_NOT_FOUND') });
    expect(json((await run(['ls'])).text)).toHaveLength(1);
  });
  test('a failed export leaves no file', async () => {
    expect((await run(['export', 'nothing', '-o', join(dir, 'nothing.arrows')])).code).toBe(1);
    expect(readdirSync(dir).filter((name) => name.startsWith('nothing'))).toEqual([]);
  });
  test('a file that is no Parquet', async () => {
    const bad = join(dir, 'bad.parquet');
    writeFileSync(bad, 'PAR1 not at all');
    expect(await run(['put', bad])).toMatchObject({ code: 1, err: expect.stringMatching(/MR_/) });
    expect(await run(['put', join(dir, 'absent.parquet')])).toMatchObject({ code: 1, err: expect.stringContaining('MR_FILE') });
  });
});

describe('exit codes', () => {
  test.each([
    [1, ['sql', 'selec 1'], /MR_SQL_SYNTAX\)\n {2}line 1: selec 1\n {10}\^/],
    [1, ['sql', 'select zz from my_table'], /MR_SQL_BIND\)\n {2}line 1: select zz from my_table\n {17}\^/],
    [1, ['sql', "select cast(name as integer) from my_table"], /MR_SQL_/],
    [2, ['explain'], /missing required argument/],
    [2, ['frobnicate'], /unknown command/],
    [2, ['sql', 'select 1', '--pushdown', 'sometimes'], /Allowed choices/],
    [2, ['serve', '--dir', 'x', '--slm', 'lots'], /no number of bytes/],
    [2, ['ls', '--url', 'ftp://x'], /MR_URL/],
    [3, ['ls', '--url', 'http://127.0.0.1:1'], /MR_CONNECT/],
    [0, ['--help'], /^$/],
    [0, ['--version'], /^$/],
  ] as const)('%i: millrace %j', async (code, args, err) => {
    const ran = await run(args);
    expect(ran.code).toBe(code);
    expect(ran.err).toMatch(err);
  });
  test('130 after Ctrl-C, and the daemon goes on', async () => {
    const ran = await run(['sql', 'select count(*) from my_table a, my_table b, my_table c where a.id + b.id > c.id'], { killAfterMs: 1500 });
    expect(ran.code).toBe(130);
    expect((await run(['sql', 'select 1 x'])).text).toBe('{"x":1}\n');
  });
});

test('status is one JSON object in a pipe', async () => {
  expect(json((await run(['status'])).text)[0]).toMatchObject({ api: 1, device: expect.anything() });
});

test('serve on a folder that a daemon holds is a sentence, not a stack', async () => {
  const ran = await run(['serve', '--dir', join(dir, 'data'), '--port', '0']);
  expect(ran.code).toBe(1);
  expect(ran.err).toMatch(/^millrace: .*in use by another device.*\(MR_DEVICE_OPEN\)\n$/);
});

test.each([
  [['--profile', 'nope'], /choose .*csd-pcie3-arm.*local/], [['--port', 'banana'], /port: this is no number/], [['--query-workers', 'many'], /queryWorkers: this is no number/], [['--no-such-bound', '3'], /no-such-bound/], [['stray'], /stray/], [['--dir', '/proc/nothing/here'], /dir: .* cannot be made/], [['--dir', cliScript], /dir: .*a file is in its way/],
])('serve %j is a usage error in one sentence', async (args, words) => {
  const ran = await run(['serve', '--dir', join(dir, 'other'), '--port', '0', ...args]);
  expect({ code: ran.code, lines: ran.err.trim().split('\n').length }).toEqual({ code: 2, lines: 1 });
  expect(ran.err).toMatch(words);
});

test('every daemon option the documents name is one serve takes', async () => {
  const documents = ['docs/rest.md', 'docs/errors.md'].map((file) => readFileSync(join(packageRoot, file), 'utf8')).join('\n') + (await run(['serve', '--help'])).text;
  const daemon = new Set(Object.keys(daemonConfigSchema.shape).map((name) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`));
  const own = new Set(['put', 'export', 'serve', 'sql', 'kernel run', 'kernel push', 'token add', 'tenant set', 'nvme io-passthru'].flatMap((command) => [...execFileSync(userNode, [cliScript, ...command.split(' '), '--help'], { encoding: 'utf8' }).matchAll(/^ {2,}(?:-\w, )?(--[a-z-]+)/gm)].map(([, name]) => name)));
  const named = [...documents.matchAll(/(?<![\w-])--[a-z]+(?:-[a-z]+)*/g)].map(([name]) => name).filter((name) => !own.has(name) && !['--help', '--json'].includes(name));
  expect(named.length).toBeGreaterThan(10);
  expect([...new Set(named)].filter((name) => !daemon.has(name))).toEqual([]);
});

test.each([['token', 'add', 'x', '--tenant', 't'], ['tenant', 'set', 'x']])('%s %s into a folder that can be none is a sentence', async (...args) => {
  const ran = await run([...args, '--dir', cliScript]);
  expect({ code: ran.code, err: ran.err }).toEqual({ code: 2, err: expect.stringMatching(/^millrace: dir: .*a file is in its way\)\. \(MR_CONFIG\)\n$/) });
});

test('serve ends in order on SIGINT', async () => {
  const ended = new Promise((resolve) => daemon.once('exit', resolve));
  daemon.kill('SIGINT');
  expect(await ended).toBe(0);
  expect(existsSync(join(dir, 'data'))).toBe(true);
  expect((await run(['ls'])).code).toBe(3);
});
