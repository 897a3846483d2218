import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Client, DatasetQuery, QueryResult } from '../clients/node/index.js';
import { invariant } from '../pushdown/types/error.js';
import type { DuckDBPeer } from './harness/duckdb-peer.js';
import type { NativePeer } from './harness/native-peer.js';
import { interleave, type Side } from './harness/pairs.js';
import { type BenchResult, pairResult } from './harness/report.js';

export interface Setting {
  readonly db: Client;
  readonly duck: DuckDBPeer;
  readonly scratch: string;
  readonly runs: number;
  readonly quick: boolean;
  /** undefined: there is none, and peers in C are left out. */
  readonly compiler: string | undefined;
  readonly results: BenchResult[];
  /** Before each run of either side: what the last one left in the caches is gone. */
  cold(): void;
  log(line: string): void;
}

/** Of one comparison: the whole benchmark ends within minutes on a slow machine too. */
const budgetMs = 15_000;

/** C types of columns as datasets store them. */
export const cTypes: Readonly<Record<string, string>> = { i8: 'int8_t', i16: 'int16_t', i32: 'int32_t', i64: 'int64_t', dict8: 'int8_t', f32: 'float', f64: 'double' };

/** The query with every morsel on the device and its chunks in device memory; insideMs: what its kernel took in the slot. */
export const pushed = (query: DatasetQuery, hash: (result: QueryResult) => string): Side => async () => {
  const result = await query.collect({ pushdown: 'always', feed: 'resident' });
  return { hash: () => hash(result), insideMs: result.stats.kernelMs };
};

/**
 * Two lines against C: what the kernel took in the slot, which is what the C does too, and the whole query, with queue, link, client and
 * merge, which the C has not.
 */
export async function compareWithC(setting: Setting, name: string, ours: Side, build: (compiler: string) => NativePeer, target?: number, runs = setting.runs): Promise<void> {
  const { compiler, results, log } = setting;
  if (!compiler) return;
  const peer = build(compiler);
  try {
    const times = await interleave(ours, peer.side(), runs, 1, { before: setting.cold, budgetMs });
    const peerName = `native C (${compiler} -O3 -march=native), 1 thread`;
    const slot = pairResult(`${name}: in the slot`, peerName, { ...times, oursMs: times.oursInsideMs, againMs: times.againInsideMs }, target);
    const whole = pairResult(`${name}: end to end`, peerName, times, undefined, 'queue, link, client and merge are in ours only');
    results.push({ ...slot, metric: 'time in the slot, by its clock' }, whole);
    log(`${name}: ${slot.ours.toFixed(2)} ms in the slot, ${whole.ours.toFixed(2)} ms end to end, C ${whole.peer?.toFixed(2)} ms: ${slot.ratio?.toFixed(2)}x and ${whole.ratio?.toFixed(2)}x`);
  } finally {
    peer.close();
  }
}

export async function compareWithDuckDB({ duck, results, log, cold }: Setting, name: string, ours: Side, sql: string, columns: number, runs: number): Promise<void> {
  const theirs: Side = async () => {
    const chunks = await duck.chunks(sql, false);
    return { hash: () => rowsHash(Array.from({ length: columns }, (_, c) => chunks.flatMap((chunk) => chunk.getColumnValues(c)))) };
  };
  const result = pairResult(`${name}, beside DuckDB`, 'DuckDB 1 thread', await interleave(ours, theirs, runs, 1, { before: cold, budgetMs }));
  results.push(result);
  log(`${name}: ${result.ours.toFixed(2)} ms end to end, DuckDB ${result.peer?.toFixed(2)} ms, ${result.ratio?.toFixed(2)}x`);
}

/** The first columns of a result as compareWithDuckDB compares them. */
export const firstColumns = (columns: number) => (result: QueryResult): string => rowsHash(result.columns.slice(0, columns).map(({ name }) => result.column(name)));

/** Of rows in any order: DuckDB promises none. */
function rowsHash(columns: readonly (readonly unknown[])[]): string {
  const rows = columns[0]?.length ?? 0;
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    let hash = 2166136261;
    for (const values of columns) {
      const text = String(values[row]);
      for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619);
      hash = Math.imul(hash ^ 0xffff, 16777619);
    }
    sum = (sum + hash) >>> 0;
  }
  return `${rows}:${sum.toString(16)}`;
}

/** A new folder with columns of numbers as the dataset stores them, one file each, and their C types. */
export async function storedColumns(db: Client, dataset: string, names: readonly string[], scratch: string): Promise<{ readonly folder: string; readonly types: Readonly<Record<string, string>> }> {
  const folder = mkdtempSync(join(scratch, 'columns-'));
  const types: Record<string, string> = {};
  for (const name of names) {
    const result = await db.dataset(dataset).select(name).collect({ pushdown: 'never' });
    const [column] = result.columns;
    invariant(column && !column.nullable && cTypes[column.physical], `column ${name} is stored as numbers`);
    types[name] = cTypes[column.physical]!;
    writeFileSync(join(folder, name), Buffer.concat(result.batches.map((b) => b.data[0]!.data)));
  }
  return { folder, types };
}

/** A column of text into NAME (offsets) and NAME.text (bytes). */
export async function textColumn(db: Client, dataset: string, name: string, folder: string): Promise<void> {
  const result = await db.dataset(dataset).select(name).collect({ pushdown: 'never' });
  invariant(result.columns[0]?.physical === 'utf8', `${name} is stored as text`);
  const offsets = new Int32Array(result.rows + 1);
  const parts: Uint8Array[] = [];
  let [row, at] = [0, 0];
  for (const { rows, data } of result.batches) {
    const { offsets: own, data: bytes } = data[0]!;
    for (let i = 0; i < rows; i++) offsets[++row] = at + own![i + 1]! - own![0]!;
    parts.push(bytes.subarray(own![0], own![rows]));
    at += own![rows]! - own![0]!;
  }
  writeFileSync(join(folder, name), new Uint8Array(offsets.buffer));
  writeFileSync(join(folder, `${name}.text`), Buffer.concat(parts));
}

/** Values of a column stored as whole numbers. */
export function integers(data: Uint8Array, physical: string, rows: number): Int8Array | Int16Array | Int32Array | BigInt64Array {
  const { buffer } = data.slice();
  switch (physical) {
    case 'i8': return new Int8Array(buffer, 0, rows);
    case 'i16': return new Int16Array(buffer, 0, rows);
    case 'i32': return new Int32Array(buffer, 0, rows);
    default: return new BigInt64Array(buffer, 0, rows);
  }
}
