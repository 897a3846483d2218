import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildProject } from '../clients/cli/kernel/build-project.js';
import { readProject } from '../clients/cli/kernel/project.js';
import type { Client } from '../clients/node/index.js';
import { kernelParams, type KernelParams } from '../clients/node/user/kernel-params.js';
import { native, packageRoot } from '../native/index.js';
import type { Batch } from '../pushdown/types/batch.js';
import { MillraceError } from '../pushdown/types/error.js';
import { columnHash } from './harness/column-hash.js';
import { NativePeer } from './harness/native-peer.js';
import { compareWithC, compareWithDuckDB, firstColumns, integers, pushed, type Setting, storedColumns, textColumn } from './kernels-compare.js';

interface Example {
  readonly kernel: string;
  readonly dataset: string;
  readonly columns: readonly string[];
  readonly params: KernelParams;
  /** Its peer in C, and the data that peer reads. */
  native(compiler: string, wanted: NativeWanted): Promise<NativePeer>;
  /** The same in DuckDB, and how many of its columns are compared. Absent: it has no equivalent. */
  readonly sql?: string;
  readonly sqlColumns?: number;
}

interface NativeWanted {
  readonly db: Client;
  readonly scratch: string;
  readonly example: Example;
  readonly rowGroupRows: number;
}

const dimensions = 16;
const query = Array.from({ length: dimensions }, (_, d) => (d * 13) % 100);
const side = (quick: boolean) => (quick ? 512 : 2048);
const factor = 8;

/** The kernels of `kernels/`, each beside C and, where it can do the same, beside DuckDB. */
export async function examples(setting: Setting, lineitem: string): Promise<void> {
  const { db, scratch, quick, log } = setting;
  await makeData(setting, lineitem);
  const vectors = query.map((_, d) => `v${d}`);
  const distance = query.map((q, d) => `(v${d} - ${q}::FLOAT) * (v${d} - ${q}::FLOAT)`).join(' + ');
  const mean = (c: string) => `((2 * sum(${c}) + count(*)) // (2 * count(*)))::INTEGER`;
  const pattern = String.raw`^(\S+) \S+ (\S+) \[([^\]]+)\] "(\S+) (\S+) [^"]*" (\d{3}) (\d+)`;
  const all: readonly Example[] = [
    { kernel: 'grep', dataset: 'comments', columns: ['l_comment'], params: { pattern: 'special.*(requests|deposits)' }, native: ownC(['l_comment:u']), sql: "SELECT l_comment FROM comments WHERE regexp_matches(l_comment, 'special.*(requests|deposits)')" },
    { kernel: 'knn', dataset: 'vectors', columns: ['id', ...vectors], params: { query, k: 100 }, native: ownC(['id:l', ...vectors.map((v) => `${v}:f`)]), sql: `SELECT id FROM vectors ORDER BY ${distance}, id LIMIT 100` },
    { kernel: 'json_field', dataset: 'docs', columns: ['doc'], params: { path: 'user.tags[1]' }, native: ownC(['doc:u']), sql: "SELECT json_extract_string(doc, '$.user.tags[1]') FROM docs" },
    {
      kernel: 'log_lines', dataset: 'lines', columns: ['line'], params: {}, sqlColumns: 8,
      native: async (compiler, { db, scratch }) => {
        const folder = mkdtempSync(join(scratch, 'lines-'));
        await textColumn(db, 'lines', 'line', folder);
        return NativePeer.build(compiler, join(folder, 'peer'), ['benchmarks/native/log_lines.c'], { args: [folder] });
      },
      sql: `SELECT true, r.host, nullif(r.owner, '-'), epoch(strptime(r.moment, '%d/%b/%Y:%H:%M:%S %z'))::BIGINT, r.method, r.path, r.code::INTEGER, r.size::BIGINT
            FROM (SELECT regexp_extract(line, '${pattern}', ['host', 'owner', 'moment', 'method', 'path', 'code', 'size']) AS r FROM lines)`,
    },
    {
      kernel: 'zscore', dataset: 'vectors', columns: ['id', 'x'], params: { threshold: 8 },
      native: async (compiler, { db, scratch, rowGroupRows }) => {
        const { folder, types } = await storedColumns(db, 'vectors', ['id', 'x'], scratch);
        return NativePeer.build(compiler, join(folder, 'peer'), ['benchmarks/native/zscore.c'], { defines: { T_id: types.id! }, args: [folder, String(rowGroupRows), '8'] });
      },
      sql: 'SELECT id FROM vectors, (SELECT avg(x) AS m, stddev_pop(x) AS s FROM vectors) WHERE abs((x - m) / s) > 8',
    },
    {
      kernel: 'downscale', dataset: 'image', columns: ['y', 'x', 'r', 'g', 'b'], params: { factor, width: side(quick), height: side(quick) }, sqlColumns: 5,
      native: async (compiler, { db, scratch }) => {
        const { folder, types } = await storedColumns(db, 'image', ['y', 'x', 'r', 'g', 'b'], scratch);
        const defines = Object.fromEntries(Object.entries(types).map(([name, type]) => [`T_${name}`, type]));
        return NativePeer.build(compiler, join(folder, 'peer'), ['benchmarks/native/downscale.c'], { defines, args: [folder, String(factor), String(side(quick)), String(side(quick))] });
      },
      sql: `SELECT (y // ${factor})::INTEGER, (x // ${factor})::INTEGER, ${mean('r')}, ${mean('g')}, ${mean('b')} FROM image GROUP BY y // ${factor}, x // ${factor}`,
    },
  ];
  const runs = Math.min(setting.runs, 5);
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
    if (setting.compiler) {
      const peer = await example.native(setting.compiler, { db, scratch, example, rowGroupRows });
      await compareWithC(setting, example.kernel, pushed(kernel, columnHash), () => peer, undefined, runs);
    }
    if (example.sql) await compareWithDuckDB(setting, example.kernel, pushed(kernel, firstColumns(example.sqlColumns ?? 1)), example.sql, example.sqlColumns ?? 1, runs);
  }
}

async function makeData({ db, duck, scratch, quick, log }: Setting, lineitem: string): Promise<void> {
  const [n, lines, pixels] = quick ? [100_000, 50_000, side(quick)] : [2_000_000, 500_000, side(quick)];
  log(`making ${n} vectors, ${lines} lines and documents, an image of ${pixels} x ${pixels}`);
  const list = Array.from({ length: dimensions }, (_, d) => `((hash(i * 16 + ${d}) % 100000)::FLOAT / 1000)::FLOAT AS v${d}`).join(', ');
  const line = `'10.0.' || (i % 256) || '.' || (i // 256 % 256) || ' - ' || CASE WHEN i % 3 = 0 THEN 'ann' ELSE '-' END || ' [' || lpad((1 + i % 28)::VARCHAR, 2, '0') || '/Oct/2024:13:55:' || lpad((i % 60)::VARCHAR, 2, '0') || ' +0000] "GET /page/' || (hash(i) % 500) || ' HTTP/1.1" ' || CASE WHEN i % 7 = 0 THEN 404 ELSE 200 END || ' ' || (hash(i) % 90000)`;
  const tables: Readonly<Record<string, string>> = {
    comments: `SELECT l_comment FROM '${lineitem}'`,
    vectors: `SELECT i AS id, ${list}, ((hash(i) % 1000000)::DOUBLE / 1000 * CASE WHEN i % 50000 = 7 THEN 40 ELSE 1 END) AS x FROM range(${n}) t(i)`,
    lines: `SELECT ${line} AS line FROM range(${lines}) t(i)`,
    docs: `SELECT '{"user":{"id":' || i || ',"tags":["a","tag ' || (i % 97) || '"]},"n":' || (i % 1000) || '}' AS doc FROM range(${lines}) t(i)`,
    image: `SELECT (i // ${pixels})::INTEGER AS y, (i % ${pixels})::INTEGER AS x, (hash(i) % 256)::INTEGER AS r, (hash(i + 1) % 256)::INTEGER AS g, (i % 256)::INTEGER AS b FROM range(${pixels * pixels}) t(i)`,
  };
  const maker = native().openDuckDB({ memoryLimitBytes: 2 ** 31, threads: 2, locked: false });
  try {
    for (const [name, sql] of Object.entries(tables)) {
      const path = join(scratch, `${name}.parquet`);
      await maker.query(`COPY (${sql}) TO '${path}' (FORMAT parquet)`);
      await db.put(name, path);
      await duck.run(`CREATE TABLE ${name} AS SELECT * FROM '${path}'`);
    }
  } finally {
    maker.close();
  }
}

/** The kernel's own C, over columns as it takes them: NAME:FORMAT (u, l or f). */
const ownC = (formats: readonly string[]) => async (compiler: string, { db, scratch, example, rowGroupRows }: NativeWanted): Promise<NativePeer> => {
  const folder = mkdtempSync(join(scratch, `${example.kernel}-`));
  for (const [name, format] of formats.map((f) => f.split(':') as [string, string])) {
    if (format === 'u') {
      await textColumn(db, example.dataset, name, folder);
      continue;
    }
    const { batches, columns: [column] } = await db.dataset(example.dataset).select(name).collect({ pushdown: 'never' });
    const values = (batch: Batch) => (format === 'l' ? new Uint8Array(BigInt64Array.from(integers(batch.data[0]!.data, column!.physical, batch.rows), BigInt).buffer) : batch.data[0]!.data);
    writeFileSync(join(folder, name), Buffer.concat(batches.map(values)));
  }
  writeFileSync(join(folder, 'params'), kernelParams(example.params));
  const { rows } = await db.info(example.dataset);
  return NativePeer.build(compiler, join(folder, 'peer'), ['benchmarks/native/example.c', `kernels/${example.kernel}/kernel.c`], { args: [folder, String(rows), String(rowGroupRows), join(folder, 'params'), ...formats] });
};
