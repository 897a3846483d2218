// Files through the real ingest child onto a real device, read back block by block.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import zlib from 'node:zlib';
import * as arrow from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeStrings } from '../../daemon/datasets/dictionary.js';
import { splitLayout } from '../../daemon/datasets/layout.js';
import { lookAtFiles } from '../../clients/node/put/look-at-files.js';
import { DatasetStore } from '../../daemon/datasets/store.js';
import { readCells } from '../../daemon/ingest/result-cell.js';
import { type NativeDevice, type NativeDuckDB, native } from '../../native/index.js';
import { CommandQueue } from '../../native/queue.js';
import { ofText } from '../../pushdown/plan/opaque-text.js';
import type { DatasetInfo } from '../../pushdown/types/dataset-info.js';
import { chunkAt, chunkValues } from './chunk-values.js';

const capacityBytes = 256 << 20;
let dir: string;
let device: NativeDevice;
let store: DatasetStore;
let queue: CommandQueue;
let db: NativeDuckDB;
let files = 0;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-ingest-'));
  const socketPath = join(dir, 'device.sock');
  device = native().openDevice({
    backingFile: join(dir, 'nvm'), capacityBytes, slmBytes: 16 << 20, ioThreads: 1, slots: 0, socketPath,
    slotNode: '', slotScript: '', slotLauncher: '', slotHeapBytesMax: 0, morselDeadlineMs: 1000,
  });
  store = await DatasetStore.open(dir, device, { capacityBytes, socketPath, node: process.execPath, rowGroupRows: 4096 });
  queue = new CommandQueue(device.attach({ dataBytes: 8 << 20, entries: 64 }), { entries: 64 });
  db = native().openDuckDB({ memoryLimitBytes: 512 << 20, threads: 1, locked: false });
});
afterAll(async () => {
  db.close();
  queue.close();
  await store.close();
  await device.close();
  rmSync(dir, { recursive: true });
});

async function parquet(select: string, path = join(dir, `f${files++}.parquet`)): Promise<string> {
  await db.query(`COPY (${select}) TO '${path.replaceAll("'", "''")}' (FORMAT parquet)`);
  return path;
}
function ipc(table: arrow.Table, format: 'file' | 'stream' = 'file', compression: arrow.CompressionType | null = null): string {
  const path = join(dir, `f${files++}.arrow`);
  writeFileSync(path, arrow.tableToIPC(table, format, compression));
  return path;
}
const put = (path: string, format: 'parquet' | 'arrow'): Promise<DatasetInfo> => store.put('t', path, { format, replace: true });
const failure = (path: string, format: 'parquet' | 'arrow') => put(path, format).then(() => expect.unreachable('loaded'), (error: unknown) => error);

async function stored(info: DatasetInfo): Promise<unknown[][]> {
  const layout = splitLayout(store.layout(info.name), info.columns);
  if (typeof layout === 'string') return expect.unreachable(layout);
  const read = async (records: Uint8Array, index: number) => {
    const chunk = chunkAt(records, index);
    const blocks = Math.ceil(chunk.usedBytes / 4096);
    const region = await queue.acquire(blocks * 4096);
    await queue.readBlocks(chunk.slba, blocks, region);
    const bytes = region.view.slice(0, blocks * 4096);
    queue.release(region);
    return { chunk, bytes };
  };
  const columns: unknown[][] = [];
  for (const [i, { physical }] of info.columns.entries()) {
    const values: unknown[] = [];
    for (let group = 0; group < layout.rowGroups; group++) {
      const { chunk, bytes } = await read(layout.columns[i], group);
      values.push(...chunkValues(bytes, chunk, physical));
    }
    const record = layout.dictionaries[i];
    if (record) {
      const { chunk, bytes } = await read(record, 0);
      const words = decodeStrings(bytes, chunk, 'test');
      columns.push(values.map((code) => (code === null ? null : words[Number(code)])));
    } else columns.push(values);
  }
  return Array.from({ length: info.rows }, (_, r) => columns.map((column) => column[r]));
}

describe('Parquet', () => {
  it('is stored value for value, in the order of the file', async () => {
    const path = await parquet(
      `SELECT i, (i % 100)::DECIMAL(15,2) / 4 AS d, CASE WHEN i % 3 = 0 THEN NULL ELSE 'k' || i % 50 END AS k, 'free text ' || i AS s, DATE '1992-01-01' + (i % 2500)::INTEGER AS day,
              i % 2 = 0 AS b, sqrt(i) AS f, sqrt(i)::FLOAT AS g, TIMESTAMP '2001-01-01' + INTERVAL (i) MINUTE AS t FROM range(30000) x(i)`,
    );
    const info = await put(path, 'parquet');
    expect(info).toMatchObject({ rows: 30_000, rowGroups: 8, rowGroupRowsMax: 4096 });
    expect(info.columns.map((c) => [c.name, c.physical, c.nullable])).toEqual([
      ['i', 'i16', false], ['d', 'f64', false], ['k', 'dict8', true], ['s', 'utf8', false], ['day', 'i16', false], ['b', 'bool', false], ['f', 'f64', false], ['g', 'f32', false], ['t', 'i64', false],
    ]);
    expect(await stored(info)).toEqual(readCells(await db.query(`SELECT * FROM '${path}'`)));
    expect((await store.verify('t')).damaged).toEqual([]);
  });

  it('may be empty, one row, or wide', async () => {
    expect(await put(await parquet("SELECT i, 'x' AS s FROM range(0) t(i)"), 'parquet')).toMatchObject({ rows: 0, rowGroups: 0 });
    expect(await stored(await put(await parquet("SELECT 1 AS a, NULL::VARCHAR AS s"), 'parquet'))).toEqual([[1n, null]]);
    const wide = await put(await parquet(`SELECT ${Array.from({ length: 300 }, (_, i) => `i + ${i} AS c${i}`).join(', ')} FROM range(5000) t(i)`), 'parquet');
    expect(wide.columns.length).toBe(300);
    expect((await stored(wide))[4999]).toEqual(Array.from({ length: 300 }, (_, i) => BigInt(4999 + i)));
  });

  it('keeps names and paths that mean something elsewhere', async () => {
    const odd = join(dir, "year=2020", "a[b]*?'c");
    mkdirSync(join(dir, 'year=2020'));
    const info = await put(await parquet(`SELECT 1 AS "select", 2 AS "a ""quoted"" 名", 3 AS "x'y"`, odd), 'parquet');
    expect(info.columns.map((c) => c.name)).toEqual(['select', 'a "quoted" 名', "x'y"]);
    expect(await stored(info)).toEqual([[1n, 2n, 3n]]);
  });

  it.each([
    ['a list', '[1, 2]', 'INTEGER[]'], ['a struct', "{'a': 1, 'b c': ['x, y', NULL, '']}", 'STRUCT(a INTEGER, "b c" VARCHAR[])'], ['a map', "MAP {'a': 1}", 'MAP(VARCHAR, INTEGER)'], ['a blob', "'\\x00\\xFF''x'::BLOB", 'BLOB'],
    ['blobs within', "['\\x00\\xFF''\\x5C'::BLOB, ''::BLOB, NULL]", 'BLOB[]'], ['a time', "TIME '12:00:00.000001'", 'TIME'], ['a uuid', "'00000000-0000-0000-0000-00000000ffff'::UUID", 'UUID'],
    ['a decimal of 38 digits', "'12345678901234567890123456789012345.678'::DECIMAL(38,3)", 'DECIMAL(38,3)'], ['an unsigned integer beyond int64', '18446744073709551615::UBIGINT', 'UBIGINT'],
    ['nanoseconds', "TIMESTAMP_NS '2000-01-01 00:00:00.000000001'", 'TIMESTAMP_NS'],
  ])('with %s keeps value and type', async (_what, expression, type) => {
    const path = await parquet(`SELECT i, CASE WHEN i % 3 = 1 THEN NULL ELSE ${expression} END AS v FROM range(6) t(i)`);
    const info = await put(path, 'parquet');
    expect(info.columns[1]).toMatchObject({ name: 'v', type: { kind: 'opaque', sql: type }, nullable: true, nullCount: 2 });
    const values = (await stored(info)).map(([, v]) => (v === null ? 'NULL' : `${ofText(`'${String(v).replaceAll("'", "''")}'`, type)}`));
    const same = readCells(await db.query(`SELECT count(*) FROM (SELECT unnest([${values.join(', ')}]) AS v, unnest(range(6)) AS i) AS s JOIN '${path}' AS f ON s.i = f.i WHERE f.v IS DISTINCT FROM s.v`));
    expect(same).toEqual([[0n]]);
  });

  it.each([
    // DECIMAL(38,2) made a DECIMAL(40,2), in the schema's decimal and in its logical type.
    ['decimals of more than 38 digits', "'1.25'::DECIMAL(38,2)", [0x15, 76], [0x15, 80], 'DOUBLE', 1.25],
    // isAdjustedToUTC from false to true before the unit of nanoseconds.
    ['nanoseconds with a time zone', "TIMESTAMP_NS '2000-01-01 00:00:00.000001'", [0x12, 0x1c, 0x3c], [0x11, 0x1c, 0x3c], 'TIMESTAMP WITH TIME ZONE', 946684800000001n],
  ])('with %s is refused by the column unless a type is named: the reader would round them', async (what, expression, from, to, type, value) => {
    for (const [column, select] of [['v', `${expression} AS v`], ['nested', `{'list': [${expression}], 'b': 2} AS nested`]] as const) {
      const path = await parquet(`SELECT 1 AS a, {'x': {'y': 1}} AS b, ${select}, 'z' AS z`);
      const bytes = readFileSync(path);
      const footer = bytes.length - 8 - bytes.readUInt32LE(bytes.length - 8);
      let patched = 0;
      for (let at = bytes.indexOf(Buffer.from(from), footer); at >= 0; at = bytes.indexOf(Buffer.from(from), at + 1), patched++) Buffer.from(to).copy(bytes, at);
      expect(patched).toBeGreaterThan(0);
      writeFileSync(path, bytes);
      expect(await failure(path, 'parquet')).toMatchObject({ code: 'MR_TYPE_UNSUPPORTED', at: { field: column }, message: expect.stringContaining(what) });
      await expect(lookAtFiles([path], 'parquet', {})).rejects.toMatchObject({ code: 'MR_TYPE_UNSUPPORTED', at: { field: column } });
      if (column !== 'v') continue;
      const options = { types: { v: type } };
      expect(await lookAtFiles([path], 'parquet', options)).toContainEqual({ name: 'v', type });
      const info = await store.put('t', path, { format: 'parquet', replace: true, options });
      expect((await stored(info)).map((row) => row[2])).toEqual([value]);
    }
  });

  it('that is damaged anywhere leaves the daemon with a clear error and its space', async () => {
    await store.remove('t').catch(() => undefined);
    const good = readFileSync(await parquet("SELECT i, 'text ' || i % 1000 AS s FROM range(20000) t(i)"));
    const cases: Buffer[] = [Buffer.alloc(0), Buffer.from('PAR1'), Buffer.from('not a file of any kind, but long enough to look for a footer'), good.subarray(0, good.length - 20), good.subarray(good.length >> 1)];
    for (let seed = 1; seed <= 5; seed++) {
      const bad = Buffer.from(good);
      for (let i = 0; i < 64; i++) bad[(seed * 7919 + i * 104_729) % bad.length] ^= 1 + ((seed + i) % 255);
      cases.push(bad);
    }
    for (const [i, bytes] of cases.entries()) {
      const path = join(dir, `bad${i}.parquet`);
      writeFileSync(path, bytes);
      const result = await put(path, 'parquet').catch((error: unknown) => error);
      // A flipped bit inside the pages may still read as other values: then it is a dataset like any other.
      if (result instanceof Error) expect(result).toMatchObject({ name: 'MillraceError', code: expect.stringMatching(/^MR_(FILE_INVALID|INGEST_FAILED|INGEST_MEMORY|TYPE_UNSUPPORTED|FILE_CHANGED)$/) });
      else await store.remove('t');
    }
    for (const bytes of cases.slice(0, 5)) {
      const path = join(dir, 'bad.parquet');
      writeFileSync(path, bytes);
      expect(await failure(path, 'parquet')).toMatchObject({ code: 'MR_FILE_INVALID' });
    }
    expect(await failure(join(dir, 'missing'), 'parquet')).toMatchObject({ code: 'MR_FILE_INVALID' });
    await expect.poll(() => store.usage.freeBytes).toBe(capacityBytes);
  }, 120_000);
});

describe('Arrow IPC', () => {
  const table = () => {
    const rows = 9000;
    const every = <T>(f: (i: number) => T) => Array.from({ length: rows }, (_, i) => f(i));
    const vectors: Record<string, arrow.Vector> = {
      i8: arrow.vectorFromArray(every((i) => (i % 5 ? (i % 200) - 100 : null)), new arrow.Int8()),
      i64: arrow.vectorFromArray(every((i) => BigInt(i) * 10_000_000_000n), new arrow.Int64()),
      u32: arrow.vectorFromArray(every((i) => i * 400_000), new arrow.Uint32()),
      f32: arrow.vectorFromArray(every((i) => i / 2), new arrow.Float32()),
      f64: arrow.vectorFromArray(every((i) => (i % 7 ? i / 3 : null)), new arrow.Float64()),
      b: arrow.vectorFromArray(every((i) => (i % 4 ? i % 3 === 0 : null)), new arrow.Bool()),
      s: arrow.vectorFromArray(every((i) => (i % 9 ? `é${i}` : null)), new arrow.Utf8()),
      large: arrow.vectorFromArray(every((i) => `large ${i % 300}`), new arrow.LargeUtf8()),
      k: arrow.vectorFromArray(every((i) => (i % 6 ? `k${i % 10}` : null)), new arrow.Dictionary(new arrow.Utf8(), new arrow.Int16())),
      n: arrow.vectorFromArray(every((i) => (i % 6 ? (i % 10) * 1000 : null)), new arrow.Dictionary(new arrow.Int32(), new arrow.Uint8())),
      day: arrow.vectorFromArray(every((i) => new Date(i * 86_400_000)), new arrow.DateDay()),
      ms: arrow.vectorFromArray(every((i) => i * 1000 + 1), new arrow.TimestampMillisecond()),
    };
    const wanted = every((i) => [
      i % 5 ? BigInt((i % 200) - 100) : null, BigInt(i) * 10_000_000_000n, BigInt(i * 400_000), Math.fround(i / 2), i % 7 ? i / 3 : null, i % 4 ? i % 3 === 0 : null, i % 9 ? `é${i}` : null,
      `large ${i % 300}`, i % 6 ? `k${i % 10}` : null, i % 6 ? BigInt((i % 10) * 1000) : null, BigInt(i), BigInt(i * 1000 + 1) * 1000n,
    ]);
    return { table: new arrow.Table(vectors), wanted };
  };

  it.each(['file', 'stream'] as const)('%s is stored value for value', async (format) => {
    const { table: made, wanted } = table();
    const info = await put(ipc(made, format), 'arrow');
    expect(info.columns.map((c) => `${c.name} ${c.type.kind} ${c.physical}`)).toEqual([
      'i8 int8 i8', 'i64 int64 i64', 'u32 uint32 i64', 'f32 float32 f32', 'f64 float64 f64', 'b bool bool', 's utf8 utf8', 'large utf8 dict16', 'k utf8 dict8', 'n int32 i16', 'day date i16', 'ms timestamp i64',
    ]);
    expect(await stored(info)).toEqual(wanted);
  });

  it('may be compressed with zstd', async () => {
    const { zstdCompressSync } = zlib as unknown as { zstdCompressSync: (bytes: Uint8Array) => Uint8Array };
    arrow.compressionRegistry.set(arrow.CompressionType.ZSTD, { encode: (bytes) => zstdCompressSync(bytes) });
    const { table: made, wanted } = table();
    expect(await stored(await put(ipc(made, 'file', arrow.CompressionType.ZSTD), 'arrow'))).toEqual(wanted);
  });

  it('may come in several batches and be empty', async () => {
    const part = (from: number) => new arrow.Table({ v: arrow.vectorFromArray([from, null, from + 2], new arrow.Int32()) }).batches;
    const several = new arrow.Table([...part(0), ...part(100_000)]);
    expect(await stored(await put(ipc(several, 'stream'), 'arrow'))).toEqual([[0n], [null], [2n], [100_000n], [null], [100_002n]]);
    expect(await put(ipc(new arrow.Table({ v: arrow.vectorFromArray([], new arrow.Int32()) })), 'arrow')).toMatchObject({ rows: 0, rowGroups: 0 });
  });

  it('that is damaged is refused, and the daemon goes on', async () => {
    const good = readFileSync(ipc(table().table));
    const cases = [Buffer.alloc(0), Buffer.from('ARROW1\0\0'), zlib.gzipSync(good), good.subarray(0, 1000)];
    for (let seed = 1; seed <= 4; seed++) {
      const bad = Buffer.from(good);
      for (let i = 0; i < 200; i++) bad[(seed * 7919 + i * 104_729) % bad.length] ^= 0x80;
      cases.push(bad);
    }
    for (const [i, bytes] of cases.entries()) {
      const path = join(dir, `bad${i}.arrow`);
      writeFileSync(path, bytes);
      const result = await put(path, 'arrow').catch((error: unknown) => error);
      if (result instanceof Error) expect(result).toMatchObject({ name: 'MillraceError', code: expect.stringMatching(/^MR_(FILE_INVALID|INGEST_FAILED|TYPE_UNSUPPORTED)$/) });
      if (i < 3) expect(result).toMatchObject({ code: 'MR_FILE_INVALID' });
    }
    expect((await put(ipc(table().table), 'arrow')).rows).toBe(9000);
  }, 120_000);
});
