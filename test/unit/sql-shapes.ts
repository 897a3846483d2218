// Single-table statements (and some that are not), with where each is cut; and how rows are compared with DuckDB's.
import { DuckDBDateValue, DuckDBDecimalValue, DuckDBTimestampTZValue, DuckDBTimestampValue, type DuckDBValue } from '@duckdb/node-api';
import { type Table, tableOf } from './sql-fixture.js';

export type Kind = 'plan' | 'pushed' | 'scans';

export const shapes: readonly (readonly [Kind, string])[] = [
  // Whole statements as plans.
  ['plan', 'select * from t'],
  ['plan', 'from t'],
  ['plan', 'select a, a, b as q from t where si > 10'],
  ['plan', 'select count(*) from t'],
  ['plan', "select count(*), count(a), count(s) from t where a = 5 or s = 'x'"],
  ['plan', "select carrier, si from t where carrier = 'DL'"],
  ['plan', "select a from t where carrier in ('AA', 'WN', 'XX') and a in (1, 2, 3, 50, null)"],
  ['plan', "select a, s from t where s not in ('x', 'apple')"],
  ['plan', "select s from t where s like '%special%requests%' and s not like '_q%'"],
  ['plan', "select s from t where s like 'x%'"],
  ['plan', "select s from t where s like '%e'"],
  ['plan', "select s from t where s like '%ü%'"],
  ['plan', "select s from t where s = 'o''hara' or s > 'x'"],
  ['plan', 'select a, b from t where a between 1 and 40 and b not between 100 and 900'],
  ['plan', 'select b from t where b > 9007199254740992'],
  ['plan', "select dt, ts from t where ts >= timestamp '2001-01-01 00:00:00.5' and dt < date '2001-01-01' + interval 1 year"],
  ['plan', "select tz from t where tz > '1998-07-09 16:00:00.5+00'::timestamptz"],
  ['plan', 'select f, g from t where f > 1e1 and g = 1.5'],
  ['plan', "select f from t where f = 'nan'::double or f < '-100'::double"],
  ['plan', 'select f from t where f = 0'],
  ['plan', 'select a from t where not (a > 5 and b < 300) or bo is null'],
  ['plan', 'select bo from t where bo is true or bo is not false'],
  ['plan', "select s from t where s is distinct from 'x'"],
  ['plan', 'select a from t where a is not distinct from null'],
  ['plan', 'select d from t where d > 5 and d < 200.345 and a > 1.5'],
  ['plan', 'select a from t where a::bigint < b and a + si > 3'],
  ['plan', 'select d + 1, d - 0.5, d * 1.1, a + d, a * d, b + d, si + d, -d from t where d is not null'],
  ['plan', 'select a + 1, a * si, a % 7, si + si, f / 3, f * 2, g * 2, -a, a / 3 from t'],
  ['plan', "select dt + 3, dt - date '2000-01-01' from t"],
  ['plan', 'select coalesce(a, 0), coalesce(f, 0.0), cast(a as double) from t'],
  ['plan', 'select sum(a), min(a), max(a), avg(a), count(a) from t'],
  ['plan', 'select sum(d), avg(d), sum(d * (1 - d)), min(d), max(d) from t'],
  ['plan', 'select sum(b), avg(b) from t where b > 900'],
  ['plan', 'select min(dt), max(ts), min(s), max(carrier) from t'],
  ['plan', 'select sum(f), avg(f), min(f), max(f), sum(g) from t where f < 1000'],
  ['plan', 'select carrier, count(*), sum(a) from t group by carrier'],
  ['plan', 'select s, bo, count(*) n from t group by all'],
  ['plan', 'select distinct carrier, bo from t'],
  ['plan', 'select carrier, sum(d) from t group by carrier having count(*) > 5 and sum(d) > 0'],
  ['plan', 'select a % 5, count(*) from t group by 1'],
  ['plan', 'select max(a) - min(a) from t where f is not null'],
  ['plan', 'select a, b, si, dt from t order by b desc, dt, a, si limit 10 offset 5'],
  ['plan', 'select a, dt, b from t order by a nulls first, dt, b limit 30'],
  ['plan', 'select carrier, count(*) n from t group by carrier order by n desc, carrier limit 2'],
  ['plan', 'select s, sa from (select s, sum(a) sa from t group by s) where sa > 5 and s like \'x%\''],
  // A plan that reduces the rows, and SQL above it.
  ['pushed', "select carrier, bo, sum(a), sum(d), sum(d * (1 - d)), sum(d * (1 - d) * (1 + d)), avg(a), avg(d), count(*) from t where dt <= date '2010-09-02' group by carrier, bo order by carrier, bo"],
  ['pushed', 'select carrier, count(*) from t where f is not null group by carrier order by count(*) desc, carrier'],
  ['pushed', 'select sum(a) / count(*), sum(d) * 100 / sum(b) from t'],
  ['pushed', "select carrier, round(avg(f), 1) r, case when sum(a) > 100 then 'many' when sum(a) < 0 then 'minus' else 'few' end from t where f < 1e9 group by carrier order by 1"],
  ['pushed', 'select upper(carrier), date_part(\'year\', min(dt)) from t group by carrier order by carrier'],
  ['plan', 'select avg(x), count(*), sum(x) from (select carrier, sum(a) x from t group by carrier)'],
  ['pushed', "select s || '!', length(s) from (select distinct s from t) order by 1 nulls first"],
  ['pushed', 'select exists (select 1 from t where a > 90)'],
  ['pushed', 'select carrier, sum(a) from t group by carrier having sum(a) + 1 > 0 or carrier in (\'AA\', \'DL\') order by 2 desc'],
  ['pushed', "select carrier, nullif(count(*), 3), coalesce(max(s), 'none') || carrier from t group by carrier order by carrier"],
  // The original statement over filtered scans.
  ['scans', 'select a, b, dt from t where a > 90 order by b, dt, a'],
  ['scans', 'select count(distinct s), count(distinct carrier) from t where a > 0'],
  ['scans', 'select sum(a) filter (where b > 300), min(s) from t'],
  ['scans', "select case when a > 1 then 'x' else s end from t where carrier = 'UA'"],
  ['scans', 'select a, row_number() over (partition by carrier order by b, dt, a, ts) rn from t where a > 50 order by rn, carrier'],
  ['scans', 'select a, b from t where b > (select avg(b) from t)'],
  ['scans', 'select a from t where a > 80 union all select si from t where si > 25'],
  ['scans', 'select a from t union select si from t'],
  ['scans', 'select a, b from t except select a, b from t where a > 3'],
  ['scans', 'select x.a, y.si from t x join t y on x.a = y.si where x.b > 900 and y.b > 800'],
  ['scans', 'select t.carrier, u.name, count(*) from t join u on t.carrier = u.code where u.name > \'A\' group by all order by all'],
  ['scans', 'with q as (select s, sum(a) x from t group by s) select * from q where x > (select avg(x) from q)'],
  ['scans', 'select carrier, count(*) from t group by rollup(carrier)'],
  ['scans', 'select stddev(f), median(f) from t where f < 1e9'],
  ['scans', 'select s from t where s ilike \'%APP%\' and length(s) > 3'],
  ['scans', 'select s from t where s > \'abc\' collate nocase'],
  ['scans', 'select upper(s), substr(s, 1, 2), a::varchar from t where a > 0'],
  ['scans', "select date_trunc('month', dt) m, sum(d) from t group by m order by m"],
  ['scans', 'select count(*) from (select a from t limit 10)'],
  ['scans', 'select distinct on (carrier) carrier from t'],
  ['scans', 'select a from t where 1 = 0'],
  ['scans', 'select 1 x, \'a\' y'],
  ['scans', "select carrier, sum(a) sa, rank() over (order by sum(a) desc) from t group by carrier"],
  ['scans', 'select carrier, sum(case when a > 3 then 1 else 0 end) from t group by carrier'],
  ['scans', 'select list(carrier order by carrier)[1:3]::varchar l, carrier from t where a = 50 group by carrier'],
  ['scans', 'select any_value(carrier) from t where carrier = \'AA\''],
  ['scans', "pivot (select carrier, bo, a from t) on carrier in ('AA', 'DL') using sum(a) group by bo"],
];

/** The table some of them join with. */
export function carrierCodes(): Table {
  const columns = [{ name: 'code', type: { kind: 'utf8' }, physical: 'utf8', nullable: false }, { name: 'name', type: { kind: 'utf8' }, physical: 'utf8', nullable: true }] as const;
  return tableOf('u', columns, [['AA', 'American'], ['DL', 'Delta'], ['ZZ', null]], 10);
}

/** Rows as text, in the statement's order if it has one. */
export function comparable(sql: string, rows: readonly (readonly unknown[])[]): string[] {
  const lines = rows.map((r) => r.map((v) => text(canonical(v as DuckDBValue))).join('|'));
  const ordered = /order by(?!.*\))/i.test(sql) && !/over \(/i.test(sql);
  return ordered ? lines : lines.sort();
}

/** Floats to 12 digits: DuckDB adds in another order. */
function text(v: unknown): string {
  if (typeof v === 'number') return Number.isFinite(v) ? Number(v.toPrecision(12)).toString() : String(v);
  return v === null ? 'NULL' : String(v);
}

function canonical(v: DuckDBValue): unknown {
  if (v instanceof DuckDBDecimalValue) return v.value;
  if (v instanceof DuckDBDateValue) return v.days;
  if (v instanceof DuckDBTimestampValue || v instanceof DuckDBTimestampTZValue) return v.micros;
  return v;
}
