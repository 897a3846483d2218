import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { Operation } from './host-protocol.js';
import { Random } from './random.js';

/** No sum of two of them is one of them. */
export const rowsOfVariants = [9000, 15_000, 300, 21_000];
/** Those that every other one takes behind it: of some it gets row groups, of some a larger dictionary, of some it is written anew. */
export const appendedVariants = [0, 2];
/** Parquet files of different sizes, columns and contents, made in `dir`. */
export async function makeVariants(dir: string): Promise<string[]> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  const paths: string[] = [];
  for (const [i, rows] of rowsOfVariants.entries()) {
    const path = join(dir, `variant-${i}.parquet`);
    await connection.run(`COPY (SELECT r::BIGINT * ${i + 1} AS id, ('key ' || (r % ${5 + i})) AS key, hash(r + ${i})::VARCHAR AS text,
      CASE WHEN r % 7 = 0 THEN NULL ELSE (r * 0.5 + ${i})::DOUBLE END AS value, (r % 1000)::DECIMAL(12, 2) AS price ${i % 2 ? ', r % 2 = 0 AS even' : ''}
      FROM range(${rows}) t(r)) TO '${path}' (FORMAT parquet)`);
    paths.push(path);
  }
  connection.closeSync();
  instance.closeSync();
  return paths;
}

/** Files of random bytes for raw-child.ts: 1 to 30 blocks. */
export function makeRawVariants(dir: string): string[] {
  const random = new Random(1);
  return [5000, 40_000, 100, 120_000].map((bytes, i) => {
    const path = join(dir, `raw-${i}`);
    writeFileSync(path, Uint8Array.from({ length: bytes }, () => random.below(256)));
    return path;
  });
}

/** Two lanes of random puts (of which most replace), appends and removals over two names each. */
export function randomLanes(random: Random, operationsPerLane: number, variants: number): Operation[][] {
  return [['a', 'b'], ['c', 'd']].map((names) =>
    Array.from({ length: operationsPerLane }, () => {
      const name = names[random.below(names.length)];
      const kind = (['remove', 'put', 'put', 'append'] as const)[random.below(4)] ?? 'put';
      if (kind === 'remove') return { kind, name };
      return { kind, name, variant: kind === 'append' ? (appendedVariants[random.below(appendedVariants.length)] ?? 0) : random.below(variants) };
    }),
  );
}
