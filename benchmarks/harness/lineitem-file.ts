import { existsSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeLineitem } from '../data/lineitem.js';

/** The generated table as Parquet, made once per machine (MILLRACE_BENCH_DATA says where; default: the temporary folder). */
export async function lineitemFile(rows: number, log: (line: string) => void): Promise<string> {
  const cache = process.env.MILLRACE_BENCH_DATA ?? join(tmpdir(), 'millrace-bench-data');
  mkdirSync(cache, { recursive: true });
  const path = join(cache, `lineitem-${rows}.parquet`);
  if (!existsSync(path)) {
    log(`generating ${rows} rows of lineitem`);
    await writeLineitem(path, rows);
  }
  return path;
}
