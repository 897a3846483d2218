import type { Client } from '../../clients/node/client.js';
import { type QueryResult, type QueryOptions, col } from '../../clients/node/index.js';

export interface DemoQuery {
  readonly name: string;
  run(client: Client, options: QueryOptions): Promise<QueryResult>;
  /** What DuckDB answers over the Parquet file, as table `flights`. */
  readonly duckSql: string;
  /** Floats may differ this much, relatively. */
  readonly tolerance: number;
}

// Sums of floats differ in their last digits by the order of adding; see DESIGN's comparison rules. avg(BIGINT) is one.
const sumTolerance = 1e-12;

const sqls: readonly (readonly [string, string])[] = [
  ['selective filter', "SELECT date, origin, destination, delay FROM flights WHERE delay > 300 AND distance > 500"],
  ['range filter + projection', "SELECT origin, destination, delay - 15 AS late, distance FROM flights WHERE date >= TIMESTAMP '2001-02-01' AND date < TIMESTAMP '2001-02-02'"],
  ['aggregate', 'SELECT count(*) AS n, sum(distance) AS miles, avg(delay) AS late, min(delay), max(delay) FROM flights WHERE distance > 1000'],
  ['group-by', 'SELECT origin, count(*) AS n, avg(delay) AS late, sum(distance) AS miles FROM flights GROUP BY origin HAVING count(*) > 1000 ORDER BY n DESC, origin'],
  ['top-k', 'SELECT delay, date, origin, destination, distance FROM flights ORDER BY delay DESC, date, origin, destination, distance LIMIT 20'],
  ['string equality', "SELECT date, origin, delay FROM flights WHERE destination = 'ANC'"],
];

const boundaries = [100, 250, 500, 1000, 2000];

/** Features for training: delay filled, clamped and on a log scale; distance in buckets. Both float32. */
const features: DemoQuery = {
  name: 'ML features (float32)',
  run: (client, options) =>
    client.dataset('flights').select({
      delay: col('delay').fill(0).cast('float64').clamp(0, 600).log1p().cast('float32'),
      distance: col('distance').fill(0).clamp(0, 5000).bucketize(boundaries).cast('float32'),
    }).collect(options),
  duckSql: `SELECT CAST(ln(1 + least(greatest(CAST(coalesce(delay, 0) AS DOUBLE), 0), 600)) AS FLOAT) AS delay,
    CAST(${boundaries.map((b) => `CAST(least(greatest(coalesce(distance, 0), 0), 5000) >= ${b} AS INTEGER)`).join(' + ')} AS FLOAT) AS distance FROM flights`,
  // One unit in the last place of a float32: the polynomial of log1p is ours, ln is DuckDB's.
  tolerance: 2 ** -22,
};

export const demoQueries: readonly DemoQuery[] = [...sqls.map(([name, sql]): DemoQuery => ({ name, run: (client, options) => client.sql(sql, options), duckSql: sql, tolerance: sumTolerance })), features];
