// Contract with the pinned DuckDB: single-table statements, each cut where we say and equal to DuckDB running it whole.
import type { DuckDBConnection } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Bench, flightsLike, judgeOf } from './sql-fixture.js';
import { carrierCodes, comparable, shapes } from './sql-shapes.js';

let bench: Bench;
let judge: DuckDBConnection;

beforeAll(async () => {
  const tables = [flightsLike(), carrierCodes()];
  bench = new Bench(tables);
  judge = await judgeOf(tables);
});
afterAll(() => {
  bench?.engine.close();
  judge?.closeSync();
});

describe('statements equal DuckDB', () => {
  test.each(shapes)('%s: %s', async (kind, sql) => {
    const before = bench.plans.length;
    const ran = await bench.run(sql);
    const expected = await judge.runAndReadAll(sql);
    expect(ran.plan.kind).toBe(kind);
    // One run per plan: nothing fell back after it had started.
    expect(bench.plans.length - before).toBe(ran.plan.kind === 'scans' ? ran.plan.scans.length : 1);
    expect(comparable(sql, ran.rows)).toEqual(comparable(sql, expected.getRows()));
    expect(ran.types).toEqual(expected.columnTypes().map((t) => String(t).replace('HUGEINT', 'DECIMAL(38,0)')));
  });
});

test('result columns carry the names the statement gives; repeated ones are numbered', async () => {
  expect((await bench.run('select a, a, b as q, a + 1, count(*) from t group by all')).names).toEqual(['a', 'a_1', 'q', '(a + 1)', 'count_star()']);
});

test('LIMIT without an order: as many rows as asked, all of the table', async () => {
  const { plan, rows } = await bench.run('select a + 1, b from t where a > 3 limit 5 offset 2');
  expect([plan.kind, rows.length]).toEqual(['plan', 5]);
});

test('filters reach the scan below an unsupported statement, and only columns it reads', async () => {
  const { plan } = await bench.run("select upper(s) from t where a > 3 and length(s) > 2 and carrier = 'AA'");
  expect(plan.kind === 'scans' && plan.scans[0]?.columns.map((c) => bench.tables[0]?.schema.columns[c]?.name)).toEqual(['a', 's', 'carrier']);
  expect(plan.kind === 'scans' && JSON.stringify(plan.scans[0]?.plan.ops[0], (_, v: unknown) => (typeof v === 'bigint' ? Number(v) : v))).toMatch(/"gt".*"eq"/);
});
