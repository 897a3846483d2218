// What a user loads besides one Parquet file: text, compressed, several files, parts, streams.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import zlib from 'node:zlib';
import { tableFromArrays, tableToIPC } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, col, connect, count } from '../../clients/node/index.js';
import { readCells } from '../../daemon/ingest/result-cell.js';
import { native } from '../../native/index.js';
import type { MillraceError } from '../../pushdown/types/error.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';

let dir: string;
let daemon: DaemonProcess;
let client: Client;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-inputs-'));
  daemon = await startDaemonProcess({ args: ['--slots', '1', '--row-group-rows', '100', '--upload-bytes-max', String(4 << 20)] });
  client = await connect(daemon.url);
});
afterAll(async () => {
  await client?.close();
  await daemon?.dispose();
  rmSync(dir, { recursive: true, force: true });
});

const file = (name: string, contents: string | Uint8Array): string => {
  const path = join(dir, name);
  writeFileSync(path, contents);
  return path;
};
const rows = async (sql: string) => (await client.sql(sql)).toRows();
const types = (info: { columns: readonly { name: string; type: { kind: string } }[] }) => info.columns.map((c) => `${c.name} ${c.type.kind}`);

const { zstdCompressSync } = zlib as unknown as { zstdCompressSync(bytes: Uint8Array | string): Buffer };

describe('text files', () => {
  it('of CSV are sniffed, and types, delimiter, header and null text can be said', async () => {
    const path = file('a.csv', 'id;when;note\n1;2020-01-02;x\n2;NA;"a;b"\n');
    expect(types(await client.put('csv', path, { nullText: 'NA' }))).toEqual(['id int64', 'when date', 'note utf8']);
    expect(await rows('SELECT * FROM csv')).toEqual([{ id: 1n, when: '2020-01-02', note: 'x' }, { id: 2n, when: null, note: 'a;b' }]);
    expect(types(await client.put('csv', path, { replace: true, types: { id: 'SMALLINT', when: 'VARCHAR' }, delimiter: ';', header: true }))).toEqual(['id int16', 'when utf8', 'note utf8']);
    await expect(client.put('csv', path, { replace: true, types: { id: "INTEGER'}" } })).rejects.toMatchObject({ code: 'MR_FILE_INVALID' });
  });

  it('of JSON are lines, an array or one document', async () => {
    await client.put('lines', file('a.ndjson', '{"a":1,"b":"x"}\n{"a":2}\n'));
    expect(await rows('SELECT * FROM lines')).toEqual([{ a: 1n, b: 'x' }, { a: 2n, b: null }]);
    await client.put('array', file('a.json', '[{"a":1.5},{"a":2}]'), { types: { a: 'DECIMAL(9,2)' } });
    expect(await rows('SELECT sum(a) AS s FROM "array"')).toEqual([{ s: '3.50' }]);
    await expect(client.put('bad', file('b.json', '[{"a":1'), {})).rejects.toMatchObject({ code: 'MR_FILE_INVALID' });
    await expect(client.put('bad', file('c.json', '[{"a":1}]'), { types: { a: 'BIGINT), (1' } })).rejects.toMatchObject({ code: 'MR_SOURCE_OPTION' });
  });

  it('say in a few words, with line and column, why they cannot be read, and what can be done here', async () => {
    const lines = Array.from({ length: 30_000 }, (_, i) => `${i},${i}`).join('\n');
    const late = file('late.csv', `id,n\n${lines}\n30001,oops\n`);
    const ndjson = file('late.ndjson', `${'{"a":1}\n'.repeat(3_000)}{"a":"x}\n`);
    const cases: readonly (readonly [paths: string | readonly string[], words: RegExp, field?: string])[] = [
      [late, /^The file cannot be read: CSV Error on Line: 30002; Original Line: 30001,oops; .*"oops" to 'BIGINT'\. Name another type for the column \(types: n=VARCHAR/, 'n'],
      [[file('whole.csv', 'id,n\n1,1\n'), late], /CSV Error on Line: 30002/, 'n'],
      [ndjson, /^The file cannot be read: Malformed JSON in the file, at byte \d+ in line 300\d: /],
      [[file('one.ndjson', '{"a":1}\n'), ndjson], /Malformed JSON in file 2 of 2, at byte/],
      [file('cut.csv.gz', zlib.gzipSync(`id,n\n${lines}`).subarray(0, 10_000)), /^The file cannot be read: .*[Cc]heck that the file is whole/],
      [file('nothing.csv', ''), /^The file is empty\.$/], [file('nothing.json', ''), /^The file is empty\.$/],
      [file('cut.arrow', tableToIPC(tableFromArrays({ i: Int32Array.of(1, 2, 3) })).subarray(0, 100)), /^This is not an Arrow IPC file or stream that can be read: \S/],
    ];
    for (const [paths, words, field] of cases) {
      const error = (await client.put('unreadable', paths).then(() => undefined, (why: unknown) => why)) as MillraceError | undefined;
      expect([paths, error?.code, error?.at.field]).toEqual([paths, 'MR_FILE_INVALID', field]);
      expect(error?.message).toMatch(words);
      expect(error?.message).not.toMatch(/\/proc\/|sample_size|ignore_errors|\n/);
      expect((error?.message ?? '').length).toBeLessThan(600);
    }
    expect((await client.datasets()).map(({ name }) => name)).not.toContain('unreadable');
  });

  it('that are compressed are whole or refused, wherever they were cut', async () => {
    const ndjson = Array.from({ length: 20_000 }, (_, i) => `{"i":${i}}`).join('\n');
    for (const [kind, compress] of [['gzip', zlib.gzipSync], ['zstd', zstdCompressSync]] as const) {
      const whole = compress(ndjson);
      let inTheEnd = 0;
      for (const end of [0.1, 0.2, 0.3, 0.5, 0.7, 0.9].map((share) => Math.floor(whole.byteLength * share)).concat(whole.byteLength - 8, whole.byteLength - 1)) {
        const error = (await client.put('cut', new Uint8Array(whole.subarray(0, end)), { format: 'json' }).then(() => undefined, (why: unknown) => why)) as MillraceError | undefined;
        expect([kind, end, error?.code]).toEqual([kind, end, 'MR_FILE_INVALID']);
        if (error?.message.startsWith(`The ${kind} data of the file is cut off or damaged`)) inTheEnd++;
      }
      // Where DuckDB saw nothing wrong.
      expect(inTheEnd).toBeGreaterThan(0);
      await client.put('cut', new Uint8Array(Buffer.concat([compress('{"i":1}\n'), compress('{"i":2}\n')])), { format: 'json' });
      expect(await rows('SELECT sum(i) AS s FROM cut')).toEqual([{ s: '3' }]);
      await client.remove('cut');
    }
  });

  it('may be compressed with gzip or zstd, whatever they are called', async () => {
    const text = Buffer.from('a,b\n1,x\n2,y\n');
    await client.put('gz', file('c.csv.gz', zlib.gzipSync(text)));
    await client.put('zst', file('c.csv.zst', zstdCompressSync(text)));
    await client.put('gzline', zlib.gzipSync('{"a":1}\n{"a":2}'), { format: 'json' });
    expect(await rows('SELECT (SELECT sum(a) FROM gz) AS x, (SELECT sum(a) FROM zst) AS y, (SELECT sum(a) FROM gzline) AS z')).toEqual([{ x: '3', y: '3', z: '3' }]);
  });
});

describe('types no operator takes', () => {
  const values: Readonly<Record<string, string>> = {
    list: "[i, NULL]", nested: "{'a': [{'k': i::VARCHAR || ', x', 'd': DATE '2020-01-01' + i::INTEGER}], 'b': NULL::DOUBLE}", map: "MAP {i: 'it''s \"q\"'}", bytes: "encode('a' || i)", time: "TIME '01:02:03' + INTERVAL (i) SECOND",
    span: "INTERVAL (i) MONTH + INTERVAL (i * 40) DAY + INTERVAL (i) MICROSECOND", id: "('00000000-0000-0000-0000-' || lpad(i::VARCHAR, 12, '0'))::UUID", huge: "(i * 1000000000000)::DECIMAL(38,4)", big: "18446744073709551000::UBIGINT + i::UBIGINT", ns: "make_timestamp_ns(i + 1)",
  };
  const names = Object.keys(values);

  it('come back from SQL as they were, beside filters that run on the device', async () => {
    const path = join(dir, 'types.parquet');
    const db = native().openDuckDB({ memoryLimitBytes: 256 << 20, threads: 1, locked: false });
    await db.query(`COPY (SELECT i, ${Object.entries(values).map(([name, sql]) => `${sql} AS ${name}`).join(', ')} FROM range(250) t(i)) TO '${path}' (FORMAT parquet)`);
    const info = await client.put('types', path);
    expect(info.columns.slice(1).map((c) => c.type.kind)).toEqual(names.map(() => 'opaque'));
    const check = (from: string) => `SELECT ${names.map((n) => `md5(string_agg(${n}::VARCHAR, '|' ORDER BY i)) AS ${n}, any_value(typeof(${n})) AS t_${n}, count(DISTINCT ${n}) AS d_${n}`).join(', ')}, min(huge)::VARCHAR AS a, max(span)::VARCHAR AS b, sum(len(list)) AS c FROM ${from} WHERE i BETWEEN 50 AND 210`;
    const text = (sql: string) => `SELECT to_json(t)::VARCHAR AS j FROM (${sql}) t`;
    const [expected] = readCells(await db.query(text(check(`'${path}'`))));
    db.close();
    for (const pushdown of ['always', 'never', 'auto'] as const) expect((await client.sql(text(check('types')), { pushdown })).toRows()).toEqual([{ j: expected?.[0] }]);
    expect(await rows("SELECT nested.a[1].k AS k, nested.b FROM types WHERE nested.a[1].k LIKE '24%' AND i = 24")).toEqual([{ k: '24, x', b: null }]);
    expect(await rows('SELECT time, id FROM types WHERE i = 7')).toEqual([{ time: '01:02:10', id: '00000000-0000-0000-0000-000000000007' }]);
    await expect(client.dataset('types').filter(col('list').eq('x')).collect()).rejects.toMatchObject({ code: 'MR_PLAN_TYPE' });
    await expect(client.dataset('types').groupBy('span').agg({ n: count() }).collect()).rejects.toMatchObject({ code: 'MR_PLAN_TYPE' });
    expect((await client.dataset('types').filter(col('i').eq(7)).select('list').collect()).toRows()).toEqual([{ list: '[7, NULL]' }]);
  });
});

describe('several files', () => {
  it('named, matched or in a folder become one dataset in the order of their names', async () => {
    mkdirSync(join(dir, 'parts'), { recursive: true });
    const paths = [1, 2, 3].map((n) => file(`parts/p${n}.csv`, `n,k\n${n},v${n}\n${n * 10},w\n`));
    const expected = [1, 10, 2, 20, 3, 30].map((n) => ({ n: BigInt(n) }));
    for (const source of [paths, join(dir, 'parts'), join(dir, 'parts', 'p?.csv')]) {
      expect(await client.put('parts', source, { replace: true })).toMatchObject({ rows: 6 });
      expect(await rows('SELECT n FROM parts')).toEqual(expected);
    }
  });

  it('are loaded all or not at all', async () => {
    const good = file('good.csv', 'n\n1\n');
    const bad = file('bad.csv', zlib.gzipSync('n\n2\n').subarray(0, 15));
    await expect(client.put('half', [good, bad])).rejects.toMatchObject({ code: 'MR_FILE_INVALID' });
    await expect(client.put('half', [good, join(dir, 'absent.csv')])).rejects.toMatchObject({ code: 'MR_FILE' });
    expect((await client.datasets()).map((d) => d.name)).not.toContain('half');
  });
});

describe('append', () => {
  it('adds rows as the next version, whatever widths and dictionaries they need', async () => {
    await client.put('grows', file('g1.csv', `n,k,f,when\n${Array.from({ length: 150 }, (_, i) => `${i},a${i % 3},0.5,12:00:00`).join('\n')}\n`), { types: { k: 'VARCHAR' } });
    expect(await client.put('grows', file('g2.csv', 'k,n,when\n007,100000,13:00:00\n,-1,\n'), { append: true })).toMatchObject({ version: 2, rows: 152 });
    expect(await client.put('grows', file('g3.ndjson', '{"n":3000000000,"f":2.25}\n'), { append: true })).toMatchObject({ version: 3, rows: 153 });
    expect(await rows('SELECT count(*) AS n, sum(n) AS s, max(k) AS k, min(k) AS l, sum(f) AS f, max("when")::VARCHAR AS w, count(k) AS c FROM grows')).toEqual([{ n: 153n, s: String(11_175 + 100_000 - 1 + 3_000_000_000), k: 'a2', l: '007', f: 77.25, w: '13:00:00', c: 151n }]);
    expect((await rows('SELECT n FROM grows')).slice(-3)).toEqual([{ n: 100_000n }, { n: -1n }, { n: 3_000_000_000n }]);
    await expect(client.put('grows', file('g4.ndjson', '{"n":1.5}\n'), { append: true })).rejects.toMatchObject({ code: 'MR_APPEND_MISMATCH' });
    await expect(client.put('grows', file('g5.ndjson', '{"other":1}\n'), { append: true })).rejects.toMatchObject({ code: 'MR_APPEND_MISMATCH' });
    await expect(client.put('absent', file('g6.csv', 'n\n1\n'), { append: true })).rejects.toMatchObject({ code: 'MR_DATASET_NOT_FOUND' });
    expect((await client.datasets()).find((d) => d.name === 'grows')).toMatchObject({ version: 3, rows: 153 });
  });
});

describe('an upload', () => {
  const call = (path: string, method = 'GET', body?: string) => fetch(new URL(path, daemon.url), { method, ...(body === undefined ? {} : { body, headers: { 'content-type': 'application/octet-stream' } }) });
  const json = async (path: string, method?: string, body?: string) => (await (await call(path, method, body)).json()) as Record<string, unknown>;

  it('comes as a stream', async () => {
    await client.put('streamed', Readable.from([Buffer.from('a\n'), Buffer.from('1\n2\n')]), { format: 'csv' });
    expect(await rows('SELECT sum(a) AS s FROM streamed')).toEqual([{ s: '3' }]);
  });

  it('goes on where it ended and is a dataset only after its commit', async () => {
    const { upload } = await json('/v1/multipart', 'POST');
    expect(await json(`/v1/multipart/${upload}/commit?name=resumed&format=csv`, 'POST')).toMatchObject({ code: 'MR_UPLOAD_EMPTY' });
    expect(await json(`/v1/multipart/${upload}/files/0?offset=0`, 'PUT', 'a\n1')).toEqual({ upload, files: [3] });
    expect(await json(`/v1/multipart/${upload}/files/0?offset=0`, 'PUT', 'again')).toMatchObject({ code: 'MR_UPLOAD_OFFSET', status: 409 });
    expect(await json(`/v1/multipart/${upload}/files/5`, 'PUT', 'x')).toMatchObject({ code: 'MR_UPLOAD_LIMIT' });
    expect(await json(`/v1/multipart/${upload}`)).toEqual({ upload, files: [3] });
    expect((await client.datasets()).map((d) => d.name)).not.toContain('resumed');
    expect(await json(`/v1/multipart/${upload}/files/0?offset=3`, 'PUT', '2\n')).toEqual({ upload, files: [5] });
    expect(await json(`/v1/multipart/${upload}/commit?name=resumed&format=csv`, 'POST')).toMatchObject({ rows: 1 });
    expect(await rows('SELECT a FROM resumed')).toEqual([{ a: 12n }]);
    expect(await json(`/v1/multipart/${upload}`)).toMatchObject({ code: 'MR_UPLOAD_NOT_FOUND', status: 404 });
  });

  it('is bounded over all its files', async () => {
    const { upload } = await json('/v1/multipart', 'POST');
    await call(`/v1/multipart/${upload}/files/0`, 'PUT', 'x'.repeat(3 << 20));
    expect(await json(`/v1/multipart/${upload}/files/1`, 'PUT', 'x'.repeat(2 << 20))).toMatchObject({ code: 'MR_UPLOAD_TOO_LARGE' });
    expect(await json(`/v1/multipart/${upload}`)).toMatchObject({ files: [3 << 20] });
    expect((await call(`/v1/multipart/${upload}`, 'DELETE')).status).toBe(204);
  });
});
