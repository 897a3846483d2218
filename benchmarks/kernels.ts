import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildProject } from '../clients/cli/kernel/build-project.js';
import { readProject } from '../clients/cli/kernel/project.js';
import { type Client, col, connect, count, date, decimal, type DatasetQuery, lit, type QueryResult, sum } from '../clients/node/index.js';
import { kernelParams, type KernelParams } from '../clients/node/user/kernel-params.js';
import { native, packageRoot } from '../native/index.js';
import { invariant, MillraceError } from '../pushdown/types/error.js';
import type { Benchmark } from './harness/benchmark.js';
import { startDaemon } from './harness/daemon.js';
import { DuckDBPeer } from './harness/duckdb-peer.js';
import { lineitemFile } from './harness/lineitem-file.js';
import { NativePeer, nativeCompiler } from './harness/native-peer.js';
import { interleave, type Side } from './harness/pairs.js';
import { type BenchResult, limitResult, pairResult } from './harness/report.js';

/** "Within 1.5x of native". */
const nativeTarget = 1 / 1.5;
const cTypes: Readonly<Record<string, string>> = { i8: 'int8_t', i16: 'int16_t', i32: 'int32_t', i64: 'int64_t', dict8: 'int8_t' };
const revenue = col('l_extendedprice').mul(lit(1).sub(col('l_discount')));

/**
 * One slot with everything on: queue, jail, resident chunks, results fetched by this client; processor 0 for daemon, slot and peers.
 * Peers in C have their columns, in the widths the dataset stores, in memory, and neither queue nor client. Every run of both sides must
 * give the same result.
 */
export const kernels: Benchmark = {
  name: 'kernels',
  question: 'How fast are generated and users\' kernels in a slot, beside the same in native C and beside DuckDB?',
  async run({ quick, log }) {
    const runs = quick ? 3 : 11;
    const scratch = mkdtempSync(join(tmpdir(), 'millrace-kernels-'));
    const daemon = await startDaemon(['--slots', '1', '--io-threads', '1', '--slm-bytes', String(1 << 30)], { cpus: '0' });
    const db = await connect({ url: daemon.url, transport: 'shm' });
    const duck = await DuckDBPeer.open(':memory:', 1);
    const results: BenchResult[] = [];
    const setting: Setting = { db, duck, scratch, runs, quick, log, compiler: nativeCompiler(), results };
    try {
      if (!setting.compiler) log('there is no C compiler: peers in native C are left out');
      await generated(setting);
      await examples(setting);
    } finally {
      duck.close();
      await db.close();
      await daemon.stop();
      rmSync(scratch, { recursive: true, force: true });
    }
    return results;
  },
};

interface Setting {
  readonly db: Client;
  readonly duck: DuckDBPeer;
  readonly scratch: string;
  readonly runs: number;
  readonly quick: boolean;
  readonly compiler: string | undefined;
  readonly results: BenchResult[];
  log(line: string): void;
}

async function compare({ results, runs, log }: Setting, name: string, peerName: string, ours: Side, peer: Side, target?: number): Promise<void> {
  const result = pairResult(name, peerName, await interleave(ours, peer, runs), target);
  results.push(result);
  log(`${name}: ${result.ours.toFixed(2)} ms, ${peerName} ${result.peer?.toFixed(2)} ms, ${result.ratio?.toFixed(2)}x`);
}

const pushed = (query: DatasetQuery, hash: (result: QueryResult) => string): Side => async () => {
  const result = await query.collect({ pushdown: 'always', feed: 'resident' });
  return { hash: () => hash(result) };
};

async function generated(setting: Setting): Promise<void> {
  const { db, scratch, quick, log, compiler } = setting;
  await db.put('lineitem', await lineitemFile(quick ? 600_000 : 6_000_000, log));
  if (!compiler) return;
  const types = await writeColumns(db, 'lineitem', ['l_orderkey', 'l_partkey', 'l_quantity', 'l_extendedprice', 'l_discount', 'l_tax', 'l_returnflag', 'l_linestatus', 'l_shipdate'], scratch);
  const defines = { T_shipdate: types.l_shipdate, T_discount: types.l_discount, T_quantity: types.l_quantity, T_price: types.l_extendedprice, T_tax: types.l_tax, T_partkey: types.l_partkey, T_orderkey: types.l_orderkey };
  const peer = (name: string, args: readonly string[] = []) => NativePeer.build(compiler, join(scratch, name), [`benchmarks/native/${name}.c`], { defines, args: [scratch, ...args], cpus: '0' });
  const withPeer = async (name: string, native: NativePeer, query: DatasetQuery, hash: (result: QueryResult) => string) => {
    try {
      await compare(setting, name, `native C (${compiler} -O3 -march=native)`, pushed(query, hash), native.side(), nativeTarget);
    } finally {
      native.close();
    }
  };
  const rows = db.dataset('lineitem');
  const q6 = rows.filter(col('l_shipdate').ge(date('1994-01-01')).and(col('l_shipdate').lt(date('1995-01-01')), col('l_discount').between(decimal('0.05'), decimal('0.07')), col('l_quantity').lt(24))).agg({ revenue: sum(col('l_extendedprice').mul(col('l_discount'))) });
  await withPeer('Q6', peer('q6'), q6, (r) => String(r.toCanonicalRows()[0]?.[0]));
  const q1 = rows.filter(col('l_shipdate').le(date('1998-09-02'))).groupBy('l_returnflag', 'l_linestatus').agg({ quantity: sum(col('l_quantity')), price: sum(col('l_extendedprice')), discounted: sum(revenue), charge: sum(revenue.mul(lit(1).add(col('l_tax')))), n: count() });
  const codes: Readonly<Record<string, number>> = { A: 0, N: 1, R: 2, F: 0, O: 1 };
  await withPeer('Q1, its sums', peer('q1'), q1, (r) => r.toCanonicalRows().map(([flag, status, ...sums]) => [codes[String(flag)]! * 2 + codes[String(status)]!, sums] as const).sort(([a], [b]) => a - b).map(([code, sums]) => `${code}:${sums.join(',')};`).join(''));
  const keys = Number((await db.sql('SELECT max(l_partkey) AS k FROM lineitem')).toRows()[0]?.k);
  for (const percent of [1, 10, 50]) {
    const below = Math.round((keys * percent) / 100);
    const query = rows.filter(col('l_partkey').lt(below)).select('l_orderkey', 'l_extendedprice', 'l_discount', 'l_shipdate');
    await withPeer(`filter ${percent} %`, peer('filter', [String(below)]), query, checksums);
  }
}

/** Rows and the sum of each column, modulo 2^64. */
function checksums(result: QueryResult): string {
  const sums = result.columns.map((column, c) => result.batches.reduce((sum, batch) => {
    let part = 0;
    // Below 2^53: 32 bits times the rows of a batch.
    for (const value of integers(batch.data[c]!.data, column.physical, batch.rows)) part += Number(value);
    return BigInt.asUintN(64, sum + BigInt(part));
  }, 0n));
  return `${result.rows}:${sums.join(',')}`;
}

function integers(data: Uint8Array, physical: string, rows: number): Int8Array | Int16Array | Int32Array | BigInt64Array {
  const bytes = data.slice();
  switch (physical) {
    case 'i8': return new Int8Array(bytes.buffer, 0, rows);
    case 'i16': return new Int16Array(bytes.buffer, 0, rows);
    case 'i32': return new Int32Array(bytes.buffer, 0, rows);
    default: return new BigInt64Array(bytes.buffer, 0, rows);
  }
}

/** Writes columns as a dataset stores them, one file each. Gives their C types. */
async function writeColumns(db: Client, dataset: string, names: readonly string[], folder: string): Promise<Record<string, string>> {
  const types: Record<string, string> = {};
  for (const name of names) {
    const result = await db.dataset(dataset).select(name).collect({ pushdown: 'never' });
    const [column] = result.columns;
    invariant(column && !column.nullable && cTypes[column.physical], `column ${name} is stored as numbers`);
    types[name] = cTypes[column.physical]!;
    writeFileSync(join(folder, name), Buffer.concat(result.batches.map((b) => b.data[0]!.data)));
  }
  return types;
}

interface Example {
  readonly kernel: string;
  readonly dataset: string;
  readonly columns: readonly string[];
  readonly params: KernelParams;
  /** Columns as benchmarks/native/example.c takes them; absent: the kernel is not in C. */
  readonly native?: readonly string[];
  /** The same in DuckDB: its rows in the order and form of ours. Absent: it has no equivalent. */
  readonly sql?: string;
}

async function examples(setting: Setting): Promise<void> {
  const { db, duck, scratch, quick, log, compiler } = setting;
  const lineitem = await lineitemFile(quick ? 600_000 : 6_000_000, log);
  const n = quick ? 100_000 : 2_000_000;
  const vectors = join(scratch, 'vectors.parquet');
  const lines = join(scratch, 'lines.parquet');
  const maker = native().openDuckDB({ memoryLimitBytes: 2 ** 31, threads: 2, locked: false });
  try {
    const dimensions = Array.from({ length: 16 }, (_, d) => `((hash(i * 16 + ${d}) % 100000)::FLOAT / 1000) AS v${d}`).join(', ');
    await maker.query(`COPY (SELECT i AS id, ${dimensions}, ((hash(i) % 1000000)::DOUBLE / 1000 * CASE WHEN i % 50000 = 7 THEN 40 ELSE 1 END) AS x FROM range(${n}) t(i)) TO '${vectors}' (FORMAT parquet)`);
    const line = `'10.0.' || (i % 256) || '.' || (i // 256 % 256) || ' - - [' || lpad((1 + i % 28)::VARCHAR, 2, '0') || '/Oct/2024:13:55:' || lpad((i % 60)::VARCHAR, 2, '0') || ' +0000] "GET /page/' || (hash(i) % 500) || ' HTTP/1.1" ' || CASE WHEN i % 7 = 0 THEN 404 ELSE 200 END || ' ' || (hash(i) % 90000)`;
    await maker.query(`COPY (SELECT ${line} AS line, '{"user":{"id":' || i || ',"tags":["a","tag ' || (i % 97) || '"]},"n":' || (i % 1000) || '}' AS doc FROM range(${n}) t(i)) TO '${lines}' (FORMAT parquet)`);
  } finally {
    maker.close();
  }
  await db.put('vectors', vectors);
  await db.put('lines', lines);
  for (const [table, path] of [['lineitem', lineitem], ['vectors', vectors], ['lines', lines]] as const) await duck.run(`CREATE TABLE ${table} AS SELECT * FROM '${path}'`);
  const query = Array.from({ length: 16 }, (_, d) => (d * 13) % 100);
  const all: readonly Example[] = [
    { kernel: 'grep', dataset: 'lineitem', columns: ['l_comment'], params: { pattern: 'special.*(requests|deposits)' }, native: ['l_comment:u'], sql: "SELECT l_comment FROM lineitem WHERE regexp_matches(l_comment, 'special.*(requests|deposits)')" },
    { kernel: 'knn', dataset: 'vectors', columns: ['id', ...query.map((_, d) => `v${d}`)], params: { query, k: 100 }, native: ['id:l', ...query.map((_, d) => `v${d}:f`)] },
    { kernel: 'json_field', dataset: 'lines', columns: ['doc'], params: { path: 'user.tags[1]' }, native: ['doc:u'] },
    { kernel: 'log_lines', dataset: 'lines', columns: ['line'], params: {} },
    { kernel: 'zscore', dataset: 'vectors', columns: ['id', 'x'], params: { threshold: 8 }, sql: 'SELECT id FROM vectors, (SELECT avg(x) AS m, stddev_pop(x) AS s FROM vectors) WHERE abs((x - m) / s) > 8' },
  ];
  for (const example of all) {
    let wasm: Uint8Array<ArrayBuffer>;
    try {
      ({ wasm } = await buildProject(readProject(join(packageRoot, 'kernels', example.kernel)), join(scratch, `${example.kernel}.wasm`)));
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'MR_SDK_MISSING') throw error;
      log(`${example.kernel} is left out: ${error.message}`);
      continue;
    }
    db.useKernel(example.kernel, wasm);
    const kernel = db.dataset(example.dataset).select(...example.columns).kernel(example.kernel, example.params);
    const rowGroupRows = (await db.info(example.dataset)).rowGroupRowsMax;
    let compared = false;
    if (example.native && compiler) {
      const folder = mkdtempSync(join(scratch, `${example.kernel}-`));
      const rows = await writeExample(db, example, folder);
      writeFileSync(join(folder, 'params'), kernelParams(example.params));
      const peer = NativePeer.build(compiler, join(folder, 'peer'), ['benchmarks/native/example.c', `kernels/${example.kernel}/kernel.c`], { args: [folder, String(rows), String(rowGroupRows), join(folder, 'params'), ...example.native], cpus: '0' });
      try {
        await compare(setting, `${example.kernel}, beside its own C`, `native C (${compiler} -O3 -march=native)`, pushed(kernel, rowHash), peer.side());
        compared = true;
      } finally {
        peer.close();
      }
    }
    if (example.sql) {
      const { sql } = example;
      // What both give in the same form: the first column, sorted, since DuckDB promises no order.
      const firsts = (values: readonly unknown[]) => String(values.length) + fnv(values.map(String).sort().join('\n'));
      await compare(setting, `${example.kernel}, beside DuckDB`, 'DuckDB 1 thread', pushed(kernel, (r) => firsts(r.toCanonicalRows().map(([v]) => v))), async () => {
        const chunks = await duck.chunks(sql, false);
        return { hash: () => firsts(chunks.flatMap((c) => c.getRows().map(([v]) => v))) };
      });
      compared = true;
    }
    if (!compared) setting.results.push(await alone(setting, example.kernel, kernel));
  }
}

async function alone({ runs, log }: Setting, name: string, query: DatasetQuery): Promise<BenchResult> {
  const times: number[] = [];
  for (let i = -1; i < runs; i++) {
    const { stats } = await query.collect({ pushdown: 'always', feed: 'resident' });
    if (i >= 0) times.push(stats.ms);
  }
  const result = limitResult(name, 'wall time', 'ms', times, undefined, 'no peer: neither in C nor in DuckDB here');
  log(`${name}: ${result.ours.toFixed(2)} ms`);
  return result;
}

/** Columns as the kernel gets them; text is offsets and bytes. Gives the rows. */
async function writeExample(db: Client, { dataset, columns }: Example, folder: string): Promise<number> {
  let rows = 0;
  for (const name of columns) {
    const format = name === 'id' ? 'l' : /^v\d+$/.test(name) ? 'f' : 'u';
    const result = await db.dataset(dataset).select(format === 'l' ? { [name]: col(name).cast('int64') } : name).collect({ pushdown: 'never' });
    rows = result.rows;
    const physical = result.columns[0]?.physical;
    if (format === 'u') {
      invariant(physical === 'utf8', `${name} is stored as text`);
      const offsets = new Int32Array(rows + 1);
      const parts: Uint8Array[] = [];
      let [row, at] = [0, 0];
      for (const batch of result.batches) {
        const { offsets: own, data } = batch.data[0]!;
        for (let i = 0; i < batch.rows; i++) offsets[++row] = at + own![i + 1]! - own![0]!;
        parts.push(data.subarray(own![0], own![batch.rows]));
        at += own![batch.rows]! - own![0]!;
      }
      writeFileSync(join(folder, name), new Uint8Array(offsets.buffer));
      writeFileSync(join(folder, `${name}.text`), Buffer.concat(parts));
    } else if (format === 'l') writeFileSync(join(folder, name), new Uint8Array(BigInt64Array.from(result.batches.flatMap((b) => [...integers(b.data[0]!.data, physical ?? '', b.rows)].map(BigInt))).buffer));
    else writeFileSync(join(folder, name), Buffer.concat(result.batches.map((b) => b.data[0]!.data)));
  }
  return rows;
}

/** As benchmarks/native/example.c hashes what a kernel gave. */
function rowHash(result: QueryResult): string {
  let hash = 2166136261;
  const mix = (bytes: Uint8Array) => { for (const byte of bytes) hash = Math.imul(hash ^ byte, 16777619) >>> 0; };
  for (const batch of result.batches)
    for (let row = 0; row < batch.rows; row++)
      for (const { validity, offsets, data } of batch.data) {
        if (validity && !((validity[row >> 3]! >> (row & 7)) & 1)) mix(Uint8Array.of(0xff));
        else if (offsets) {
          mix(data.subarray(offsets[row], offsets[row + 1]));
          mix(Uint8Array.of(0));
        } else mix(data.subarray(row * 8, row * 8 + 8));
      }
  return `${result.rows}:${hash.toString(16).padStart(8, '0')}`;
}

function fnv(text: string): string {
  let hash = 2166136261;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619) >>> 0;
  return `:${hash.toString(16)}`;
}
