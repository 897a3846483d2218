// What bad SQL gets: a stable code, the place, what to do; and nothing of the machine.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SqlFrontEnd } from '../../clients/node/sql/front-end.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { Bench, flightsLike, tableOf } from './sql-fixture.js';

let bench: Bench;
beforeAll(() => {
  const odd = tableOf('odd "name"', [{ name: 'a b', type: { kind: 'int32' }, physical: 'i32', nullable: false }, { name: 'q"', type: { kind: 'utf8' }, physical: 'utf8', nullable: false }], [[1n, 'x'], [2n, 'y']], 10);
  const twins = tableOf('twins', [{ name: 'A', type: { kind: 'int32' }, physical: 'i32', nullable: false }, { name: 'a', type: { kind: 'int32' }, physical: 'i32', nullable: false }], [[1n, 2n]], 10);
  bench = new Bench([flightsLike(), odd, twins]);
});
afterAll(() => bench?.engine.close());

const failing: readonly (readonly [code: string, position: number | undefined, sql: string])[] = [
  ['MR_SQL_SYNTAX', 0, 'selec 1'],
  ['MR_SQL_SYNTAX', 11, "select 'a' ' b from t"],
  ['MR_SQL_SYNTAX', 8, 'select 1\0'],
  ['MR_SQL_BIND', 7, 'select zz from t'],
  ['MR_SQL_BIND', 14, 'select * from nope'],
  ['MR_SQL_BIND', 20, "select 'üü', a + f, zz from t"],
  ['MR_SQL_BIND', 7, 'select sum(s) from t'],
  ['MR_SQL_UNSUPPORTED', undefined, 'insert into t select * from t'],
  ['MR_SQL_UNSUPPORTED', undefined, 'delete from t'],
  ['MR_SQL_UNSUPPORTED', undefined, 'update t set a = 5'],
  ['MR_SQL_UNSUPPORTED', undefined, 'drop table t'],
  ['MR_SQL_UNSUPPORTED', undefined, 'create table x as select * from t'],
  ['MR_SQL_UNSUPPORTED', undefined, "set threads = 8"],
  ['MR_SQL_UNSUPPORTED', undefined, 'select 1; select 2'],
  ['MR_SQL_UNSUPPORTED', undefined, ''],
  ['MR_SQL_UNSUPPORTED', undefined, '-- nothing'],
  ['MR_SQL_UNSUPPORTED', undefined, 'explain select 1'],
  ['MR_SQL_UNSUPPORTED', undefined, 'select rowid from t'],
  ['MR_SQL_UNSUPPORTED', undefined, 'select * from twins'],
  ['MR_SQL_LIMIT', undefined, `select ${'1+'.repeat(600_000)}1`],
];

describe('bad statements', () => {
  test.each(failing)('%s at %s: %j', async (code, position, sql) => {
    const error = await bench.run(sql).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(MillraceError);
    const { code: got, at, message } = error as MillraceError;
    expect([got, at.position]).toEqual([code, position]);
    expect(message.length).toBeGreaterThan(10);
  });
});

describe('the machine is out of reach', () => {
  test.each([
    "select * from read_text('/etc/hostname')",
    "select * from read_csv('/etc/passwd')",
    "select * from '/etc/passwd'",
    "copy t to '/tmp/millrace-test.csv'",
    "attach '/tmp/millrace-test.db'",
    "install httpfs",
    "select * from glob('/etc/*')",
    "select getenv('HOME')",
  ])('%s', async (sql) => {
    await expect(bench.run(sql)).rejects.toMatchObject({ code: expect.stringMatching(/^MR_SQL_/) });
  });
});

test('an error while running is the caller\'s, and the engine goes on', async () => {
  await expect(bench.run("select cast(upper(s) as integer) from t where s = 'x'")).rejects.toMatchObject({ code: expect.stringMatching(/^MR_SQL_/) });
  expect((await bench.run('select count(*) from t')).rows).toEqual([[600n]]);
});

test('names with quotes and blanks', async () => {
  expect((await bench.run('select "a b" + 1, upper("q""") from "odd ""name""" where "a b" > 1')).rows).toEqual([[3n, 'Y']]);
});

test('an aborted statement ends with MR_CANCELLED', async () => {
  const abort = new AbortController();
  const run = await bench.engine.run('select count(*) from range(100000000000) r, t where t.a + r.range > 5', { signal: abort.signal });
  const rows = (async () => {
    for await (const _ of run);
  })();
  setTimeout(() => abort.abort(), 50);
  await expect(rows).rejects.toMatchObject({ code: 'MR_CANCELLED' });
});

test('a statement whose rows do not fit the host says so', async () => {
  const { SqlEngine } = await import('../../clients/node/sql/sql-query.js');
  const small = new SqlEngine(bench, { hostRowBytesMax: 100 });
  const run = await small.run('select upper(s) from t');
  await expect((async () => { for await (const _ of run); })()).rejects.toMatchObject({ code: 'MR_SQL_MEMORY' });
  small.close();
});

test('an engine that broke is replaced, and the next statement binds', async () => {
  const opened: ReturnType<typeof bench.openDuckDB>[] = [];
  const frontEnd = new SqlFrontEnd(() => {
    const engine = bench.openDuckDB({ locked: false, memoryLimitBytes: 256 << 20, threads: 1 });
    const broken = opened.push(engine) === 1;
    const query = (sql: string) => (broken && sql.includes('json_serialize_plan') ? Promise.reject(new MillraceError('MR_SQL_INTERNAL', 'database has been invalidated')) : engine.query(sql));
    return { ...engine, query };
  });
  const datasets = await bench.datasets();
  await expect(frontEnd.bind('select a from t', datasets)).rejects.toMatchObject({ code: 'MR_SQL_INTERNAL' });
  expect((await frontEnd.bind('select a from t', datasets)).columns).toEqual([{ name: 'a', type: { kind: 'int32' } }]);
  expect(opened.length).toBe(2);
  frontEnd.close();
});

test('a removed dataset binds no more, a replaced one binds anew', async () => {
  const tables = [tableOf('Gone', [{ name: 'x', type: { kind: 'int32' }, physical: 'i32', nullable: false }], [[1n]], 10)];
  const changing = new Bench(tables);
  expect((await changing.run('select x from gone')).rows).toEqual([[1n]]);
  tables[0] = tableOf('Gone', [{ name: 'y', type: { kind: 'utf8' }, physical: 'utf8', nullable: false }], [['a']], 10);
  expect((await changing.run('select y, upper(y) u from gone')).rows).toEqual([['a', 'A']]);
  tables.length = 0;
  await expect(changing.run('select y from gone')).rejects.toMatchObject({ code: 'MR_SQL_BIND', message: expect.stringContaining('no datasets yet') });
  changing.engine.close();
});
