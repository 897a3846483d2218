// Scalar functions of DuckDB that JavaScript computes (native/bridge/host_function.h): every type, wrong answers, and ends in the middle.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readCells } from '../../daemon/ingest/result-cell.js';
import { type DuckBatch, type NativeDuckDB, native, packageRoot } from '../../native/index.js';

let db: NativeDuckDB;
beforeAll(() => {
  db = native().openDuckDB({ memoryLimitBytes: 256 << 20, threads: 4, locked: true });
});
afterAll(() => db.close());
const cells = async (sql: string) => readCells(await db.query(sql));
const same = (rows: number, buffers: readonly (Uint8Array | null)[]): DuckBatch => ({ rows, buffers });

it('gives and takes every type a function of a user has, NULL included', async () => {
  const types = { b: 'BOOLEAN', i: 'INTEGER', l: 'BIGINT', f: 'FLOAT', g: 'DOUBLE', tdD: 'DATE', 'tsu:': 'TIMESTAMP', u: 'VARCHAR' } as const;
  const value: Record<string, string> = { b: 'i % 3 = 0', i: '(i - 5000)::INTEGER', l: 'i * 1000000007', f: 'i / 7', g: 'i / 3', tdD: "DATE '1999-12-31' + i::INTEGER", 'tsu:': "TIMESTAMP '1969-12-31' + INTERVAL 1 MINUTE * i", u: "repeat('ü', (i % 40)::INTEGER) || i" };
  for (const [format, type] of Object.entries(types)) {
    await db.registerFunction(`same ${format}`, [format], format, same);
    const [[rows, equal, nulls]] = (await cells(`SELECT count(*), count(*) FILTER ("same ${format}"(x) IS NOT DISTINCT FROM x), count(*) FILTER ("same ${format}"(x) IS NULL) FROM (SELECT CASE WHEN i % 11 = 0 THEN NULL ELSE CAST(${value[format]} AS ${type}) END AS x FROM range(30001) t(i))`)) as [[bigint, bigint, bigint]];
    expect([format, rows, equal, nulls]).toEqual([format, 30_001n, 30_001n, 2728n]);
  }
});

it('takes several arguments, none, and constants', async () => {
  await db.registerFunction('mine', ['i', 'g'], 'g', (rows, [, i, , g]) => {
    const [a, b] = [new Int32Array(i!.buffer, i!.byteOffset, rows), new Float64Array(g!.buffer, g!.byteOffset, rows)];
    return { rows, buffers: [null, new Uint8Array(Float64Array.from({ length: rows }, (_, r) => a[r]! + b[r]!).buffer)] };
  });
  await db.registerFunction('seven', [], 'i', (rows) => ({ rows, buffers: [null, new Uint8Array(new Int32Array(rows).fill(7).buffer)] }));
  expect(await cells('SELECT sum("mine"(i::INTEGER, 0.5)), max("mine"(1, 2)), sum("seven"()) FROM range(10) t(i)')).toEqual([[50, 3, 70n]]);
});

it('says what is wrong with an answer, and goes on', async () => {
  const text = (offsets: number[], data: number[]) => [null, new Uint8Array(Int32Array.from(offsets).buffer), Uint8Array.from(data)];
  const wrong: [string, string, (rows: number) => unknown, RegExp][] = [
    ['throws', 'i', () => { throw new Error('not today'); }, /not today/],
    ['fewer', 'i', () => ({ rows: 0, buffers: [null, new Uint8Array(0)] }), /another number of rows/],
    ['short', 'i', (rows) => ({ rows, buffers: [null, new Uint8Array(rows)] }), /column result/],
    ['missing', 'i', (rows) => ({ rows, buffers: [] }), /buffers/],
    ['nothing', 'i', () => undefined, /./],
    ['words', 'i', (rows) => ({ rows, buffers: [null, 'words'] }), /Uint8Array/],
    ['past', 'u', (rows) => ({ rows, buffers: text([0, ...Array.from({ length: rows }, () => 99)], [65]) }), /past its data/],
    ['latin1', 'u', (rows) => ({ rows, buffers: text([0, ...Array.from({ length: rows }, () => 1)], [0xe9]) }), /not UTF-8/],
  ];
  for (const [name, format, call, words] of wrong) {
    await db.registerFunction(name, ['l'], format, call as (rows: number) => DuckBatch);
    const error = (await db.query(`SELECT "${name}"(i) FROM range(3000) t(i)`).then(() => expect.unreachable(name), (e: unknown) => e)) as { code: string; message: string };
    expect([name, error.code, error.message]).toEqual([name, 'MR_SQL_EXECUTION', expect.stringMatching(words)]);
    expect(await cells('SELECT 1')).toEqual([[1n]]);
  }
  await expect(db.registerFunction('decimal', ['l'], 'd:10,2', same)).rejects.toMatchObject({ code: 'MR_TYPE_UNSUPPORTED' });
  await expect(db.registerFunction('what', ['q'], 'i', same)).rejects.toMatchObject({ code: 'MR_TYPE_UNSUPPORTED' });
});

it('lets statements be interrupted, and the DuckDB be closed, from a call and between calls', async () => {
  await db.registerFunction('slowly', ['l'], 'l', (rows, buffers) => {
    db.interrupt();
    return { rows, buffers };
  });
  await expect(db.query('SELECT sum("slowly"(i)) FROM range(1000000) t(i)')).rejects.toMatchObject({ code: 'MR_SQL_INTERRUPTED' });
  expect(await cells('SELECT 1')).toEqual([[1n]]);
  const other = native().openDuckDB({ memoryLimitBytes: 256 << 20, threads: 2, locked: true });
  await other.registerFunction('closing', ['l'], 'l', (rows, buffers) => {
    other.close();
    return { rows, buffers };
  });
  await expect(other.query('SELECT sum("closing"(i)) FROM range(1000000) t(i)')).rejects.toMatchObject({ code: expect.stringMatching(/^MR_SQL_/) });
});

it('does not hold up a process that ends while statements wait for it', () => {
  const script = `
    import { native } from ${JSON.stringify(join(packageRoot, 'dist/native/index.js'))};
    const db = native().openDuckDB({ memoryLimitBytes: 256 << 20, threads: 2, locked: true });
    let calls = 0;
    await db.registerFunction('f', ['l'], 'l', (rows, buffers) => { if (++calls === 3) process.exit(7); return { rows, buffers }; });
    await db.query('SELECT sum("f"(i)) FROM range(100000000) t(i)');`;
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', timeout: 60_000 });
  expect([status, stderr]).toEqual([7, '']);
});
