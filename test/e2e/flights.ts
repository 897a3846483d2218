import { DuckDBInstance } from '@duckdb/node-api';
import { join } from 'node:path';
import { avg, type Client, col, count, type DatasetQuery, max, min, sum } from '../../clients/node/index.js';
import { packageRoot } from '../../native/index.js';

/** 3,000,000 real flights: date TIMESTAMP, delay and distance BIGINT, origin and destination VARCHAR. */
export const flightsPath = join(packageRoot, 'node_modules/vega-datasets/data/flights-3m.parquet');

export interface FlightsQuery {
  readonly name: string;
  readonly query: (client: Client) => DatasetQuery;
  /** The same over view `flights`. */
  readonly sql: string;
  /** Rows in the order the query fixes, or as a set. */
  readonly ordered: boolean;
}

export const flightsQueries: readonly FlightsQuery[] = [
  { name: 'selective filter', ordered: true, query: (c) => c.dataset('flights').filter(col('delay').gt(600)).select('date', 'delay', 'origin'), sql: 'SELECT date, delay, origin FROM flights WHERE delay > 600' },
  {
    name: 'range filter and projection', ordered: true,
    query: (c) => c.dataset('flights').filter(col('distance').between(2000, 2010).and(col('delay').lt(-30))).select({ d: col('delay').add(col('distance')) }, 'destination'),
    sql: 'SELECT delay + distance AS d, destination FROM flights WHERE distance BETWEEN 2000 AND 2010 AND delay < -30',
  },
  {
    name: 'aggregate', ordered: true,
    query: (c) => c.dataset('flights').agg({ n: count(), total: sum('delay'), low: min('delay'), high: max('delay'), mean: avg('distance') }),
    sql: 'SELECT count(*) n, sum(delay) total, min(delay) low, max(delay) high, avg(distance) mean FROM flights',
  },
  {
    name: 'group by', ordered: false,
    query: (c) => c.dataset('flights').groupBy('origin').agg({ n: count(), worst: max('delay'), mean: avg('delay') }),
    sql: 'SELECT origin, count(*) n, max(delay) worst, avg(delay) mean FROM flights GROUP BY origin',
  },
  {
    name: 'top-k', ordered: true,
    query: (c) => c.dataset('flights').topK(20, col('delay').desc(), 'date', 'origin', 'destination'),
    sql: 'SELECT * FROM flights ORDER BY delay DESC, date, origin, destination LIMIT 20',
  },
  {
    name: 'top-k of groups', ordered: true,
    query: (c) => c.dataset('flights').filter(col('delay').gt(0)).groupBy('origin', 'destination').agg({ n: count() }).topK(5, col('n').desc(), 'origin', 'destination'),
    sql: 'SELECT origin, destination, count(*) n FROM flights WHERE delay > 0 GROUP BY ALL ORDER BY n DESC, origin, destination LIMIT 5',
  },
  {
    name: 'string equality', ordered: true,
    query: (c) => c.dataset('flights').filter(col('origin').eq('JFK').and(col('destination').in(['SFO', 'LAX'])).and(col('delay').gt(200))),
    sql: "SELECT * FROM flights WHERE origin = 'JFK' AND destination IN ('SFO', 'LAX') AND delay > 200",
  },
  {
    name: 'nothing', ordered: true,
    query: (c) => c.dataset('flights').filter(col('delay').gt(100_000)).agg({ n: count(), total: sum('delay') }),
    sql: 'SELECT count(*) n, sum(delay) total FROM flights WHERE delay > 100000',
  },
  {
    name: 'ML projection', ordered: true,
    query: (c) => c.dataset('flights').filter(col('origin').like('A%K')).select({ x: col('delay').fill(0).clamp(0, 500).cast('float64').log1p().cast('float32'), b: col('distance').fill(0).bucketize([250, 500, 1000, 2000]).cast('float32') }),
    sql: "SELECT ln(1 + CAST(greatest(0, least(500, coalesce(delay, 0))) AS DOUBLE))::FLOAT x, ((distance >= 250)::INT + (distance >= 500)::INT + (distance >= 1000)::INT + (distance >= 2000)::INT)::FLOAT b FROM flights WHERE origin LIKE 'A%K'",
  },
];

/** DuckDB over the Parquet file itself: every value as text, floats as numbers. */
export async function duckRows(sql: string): Promise<(string | number | null)[][]> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '2' });
  const connection = await instance.connect();
  try {
    await connection.run(`CREATE VIEW flights AS SELECT * FROM read_parquet('${flightsPath}')`);
    return (await connection.runAndReadAll(sql)).getRows().map((row) => row.map((value) => (value === null || typeof value === 'number' ? value : String(value))));
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** One result as the text DuckDB would show, so that types of both sides meet. */
export function textRows(rows: readonly Record<string, unknown>[]): (string | number | null)[][] {
  return rows.map((row) => Object.values(row).map((value) => (value === null || typeof value === 'number' ? value : String(value))));
}

/** Index and values of the first row that differs; floats may differ in the last digits (DuckDB adds in another order). */
export function firstDifference(ours: (string | number | null)[][], theirs: (string | number | null)[][], ordered: boolean): string | undefined {
  const order = (rows: (string | number | null)[][]) => (ordered ? rows : [...rows].sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1)));
  const [a, b] = [order(ours), order(theirs)];
  if (a.length !== b.length) return `${a.length} rows against ${b.length}`;
  for (const [i, row] of a.entries()) if (row.length !== b[i]!.length || !row.every((value, c) => same(value, b[i]![c]!))) return `row ${i}: ${JSON.stringify(row)} against ${JSON.stringify(b[i])}`;
  return undefined;
}

function same(a: string | number | null, b: string | number | null): boolean {
  if (a === null || b === null) return a === b;
  if (typeof a === 'number' && typeof b === 'number') return Object.is(a, b) || Math.abs(a - b) <= 1e-6 * Math.abs(b) * (Math.fround(a) === a ? 1 : 1e-6);
  return String(a) === String(b);
}
