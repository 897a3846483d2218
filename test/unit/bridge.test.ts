import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCells } from '../../daemon/ingest/result-cell.js';
import { type DuckBatch, type DuckColumn, type NativeDuckDB, native, packageRoot } from '../../native/index.js';

const open = (locked = true) => native().openDuckDB({ memoryLimitBytes: 256 << 20, threads: 2, locked });
const bytes = (view: ArrayBufferView) => new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength);
const text = (...values: string[]): [Uint8Array, Uint8Array] => {
  const offsets = new Int32Array(values.length + 1);
  values.forEach((v, i) => {
    offsets[i + 1] = offsets[i] + Buffer.byteLength(v);
  });
  return [bytes(offsets), Buffer.from(values.join(''), 'utf8')];
};

let db: NativeDuckDB;
beforeAll(() => {
  db = open();
});
afterAll(() => db.close());

const cells = async (sql: string) => readCells(await db.query(sql));
const refused = async (sql: string) => db.query(sql).then(() => expect.unreachable(`accepted: ${sql}`), (error: unknown) => error);

describe('query', () => {
  it('brings every flat type out as it is, null slots as zeros', async () => {
    const result = await db.query(
      "SELECT * FROM (VALUES (true, 1::TINYINT, -2::SMALLINT, 3, -4::BIGINT, 5::UTINYINT, 6::USMALLINT, 7::UINTEGER, 8::UBIGINT, 170141183460469231731687303715884105727::HUGEINT, 1.5::FLOAT, 'nan'::DOUBLE, 12.34::DECIMAL(4,2), -1.5::DECIMAL(9,1), 99999999999999.9999::DECIMAL(18,4), -1::DECIMAL(38,0), DATE '1969-12-31', TIMESTAMP '1970-01-01 00:00:01', TIMESTAMPTZ '1970-01-01 00:00:02+00', 'über', '\\xFF'::BLOB), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)) t",
    );
    expect(result.columns.map((c) => c.format)).toEqual(['b', 'c', 's', 'i', 'l', 'C', 'S', 'I', 'L', 'd:38,0', 'f', 'g', 'd:4,2', 'd:9,1', 'd:18,4', 'd:38,0', 'tdD', 'tsu:', 'tsu:UTC', 'u', 'z']);
    const plain = readCells({ columns: result.columns.slice(0, 20), batches: result.batches });
    expect(plain[0]).toEqual([true, 1n, -2n, 3n, -4n, 5n, 6n, 7n, 8n, 2n ** 127n - 1n, 1.5, Number.NaN, 1234n, -15n, 999999999999999999n, -1n, -1n, 1_000_000n, 2_000_000n, 'über']);
    expect(plain[1]).toEqual(new Array(20).fill(null));
    const [batch] = result.batches;
    expect(Buffer.from(batch.buffers[7] ?? []).readInt32LE(4)).toBe(0);
  });

  it('casts what has no flat form to text', async () => {
    expect(await cells("SELECT [1, NULL] AS l, {'a': 1} AS s, INTERVAL 1 DAY AS i, 'b'::ENUM('a', 'b') AS e, '00000000-0000-0000-0000-000000000001'::UUID AS u, 2 AS plain -- the end")).toEqual([
      ['[1, NULL]', "{'a': 1}", '1 day', 'b', '00000000-0000-0000-0000-000000000001', 2n],
    ]);
  });

  it('keeps rows, nulls and order over many chunks and batches', async () => {
    const rows = await cells("SELECT i, CASE WHEN i % 7 = 0 THEN NULL ELSE 'v' || i END AS s, i % 3 = 0 AS b FROM range(200003) t(i)");
    expect(rows.length).toBe(200_003);
    for (const i of [0, 1, 2047, 2048, 2049, 122_879, 122_880, 122_881, 200_002]) expect(rows[i]).toEqual([BigInt(i), i % 7 === 0 ? null : `v${i}`, i % 3 === 0]);
  });

  it('knows a bitmap that starts late', async () => {
    const rows = await cells('SELECT CASE WHEN i >= 5000 AND i % 2 = 0 THEN NULL ELSE i END FROM range(6000) t(i)');
    rows.forEach(([v], i) => {
      if (v !== (i >= 5000 && i % 2 === 0 ? null : BigInt(i))) expect.unreachable(`row ${i}`);
    });
  });

  it('has no rows for an empty result, and columns all the same', async () => {
    const result = await db.query('SELECT 1 AS a WHERE false');
    expect(result).toEqual({ columns: [{ name: 'a', format: 'i' }], batches: [] });
  });

  it.each([
    ['selec 1', 'MR_SQL_SYNTAX', 0],
    ["SELECT 'é€', nope", 'MR_SQL_BIND', 13],
    ['SELECT * FROM nowhere', 'MR_SQL_BIND', 14],
    ["SELECT * FROM read_text('/etc/hostname')", 'MR_SQL_FORBIDDEN', 14],
    ["SELECT CAST('a' AS INTEGER)", 'MR_SQL_EXECUTION', 7],
    ['SELECT error(\'stop\') FROM range(3)', 'MR_SQL_EXECUTION', undefined],
    ['SET threads = 4', 'MR_SQL_EXECUTION', undefined],
    ['SELECT 1; SELECT 2', 'MR_SQL_EXECUTION', undefined],
    ["COPY (SELECT 1) TO '/tmp/x.csv'", 'MR_SQL_FORBIDDEN', undefined],
    ["INSTALL httpfs", 'MR_SQL_FORBIDDEN', undefined],
    ['SELECT 1\0', 'MR_SQL_SYNTAX', undefined],
  ])('refuses %s with %s', async (sql, code, position) => {
    const error = await refused(sql);
    expect(error).toMatchObject({ name: 'MillraceError', code });
    if (position !== undefined) expect(error).toMatchObject({ at: { position } });
  });

  it('stops at the memory limit', async () => {
    expect(await refused("SELECT list(repeat('x', 1000) || i) FROM range(2000000) t(i)")).toMatchObject({ code: 'MR_SQL_MEMORY' });
    expect(await cells('SELECT 1')).toEqual([[1n]]);
  });

  const endless = 'SELECT count(*) FROM range(100000000000) t(i) WHERE i % 3 = 1';

  it('is interrupted at any moment, waiting or running, and goes on afterwards', async () => {
    for (let round = 0; round < 40; round++) {
      const work = [refused(endless), refused(endless)];
      // From before the thread wakes up until well inside the query.
      for (let turn = 0; turn < round % 8; turn++) await new Promise((resolve) => setImmediate(resolve));
      db.interrupt();
      for (const error of await Promise.all(work)) expect(error).toMatchObject({ code: 'MR_SQL_INTERRUPTED' });
    }
    expect(await cells('SELECT 2')).toEqual([[2n]]);
  });

  it('rejects what runs and what waits when it is closed', async () => {
    for (let round = 0; round < 8; round++) {
      const own = open();
      const work = [endless, 'SELECT 1'].map((sql) => own.query(sql).catch((error: unknown) => error));
      for (let turn = 0; turn < round; turn++) await new Promise((resolve) => setImmediate(resolve));
      own.close();
      expect((await Promise.all(work))[0]).toMatchObject({ code: expect.stringMatching(/^MR_SQL_(CLOSED|INTERRUPTED)$/) });
      await expect(own.query('SELECT 1')).rejects.toMatchObject({ code: 'MR_SQL_CLOSED' });
    }
  });

  it('does not keep a process that ends in the middle of a query', () => {
    const script = `import { native } from ${JSON.stringify(join(packageRoot, 'dist/native/index.js'))};
      const db = native().openDuckDB({ memoryLimitBytes: 1 << 28, threads: 2, locked: true });
      db.query('SELECT count(*) FROM range(100000000000) t(i) WHERE i % 3 = 1').catch(() => {});
      await db.query;
      setImmediate(() => process.exit(7));`;
    expect(spawnSync(process.execPath, ['--input-type=module', '-e', script], { timeout: 20_000 }).status).toBe(7);
  });
});

describe('registerTable', () => {
  const register = async (columns: readonly DuckColumn[], batches: readonly DuckBatch[]) => db.registerTable('t', columns, batches);

  it('shows all formats, nulls included, over several batches', async () => {
    const columns: DuckColumn[] = [
      { name: 'b', format: 'b' }, { name: 'i', format: 's' }, { name: 'n', format: 'd:6,2,32' }, { name: 'w', format: 'd:20,0' }, { name: 'd', format: 'tdD' },
      { name: 'z', format: 'tsm:UTC' }, { name: 'k', format: 'c', dictionary: ['ä', 'b'] }, { name: 'o dd', format: 'u' },
    ];
    const batch = (base: number): DuckBatch => ({
      rows: 3,
      buffers: [
        null, Uint8Array.of(0b101), Uint8Array.of(0b011), bytes(Int16Array.of(base, base + 1, 999)), null, bytes(Int32Array.of(1, -123456, base)), null,
        bytes(BigInt64Array.of(5n, 0n, -1n, -1n, 7n, 0n)), null, bytes(Int32Array.of(0, 1, 2)), null, bytes(BigInt64Array.of(1n, -1n, BigInt(base))), Uint8Array.of(0b101), Uint8Array.of(0, 77, 1), null, ...text('', 'long enough to be outside', 'x'),
      ],
    });
    await register(columns, [batch(10), { rows: 0, buffers: new Array(17).fill(new Uint8Array(0)) }, batch(20)]);
    expect(await cells('SELECT b, i, n, w, d, z, k, "o dd" FROM t')).toEqual(
      [10, 20].flatMap((base) => [
        [true, BigInt(base), 1n, 5n, 0n, 1000n, 'ä', ''],
        [false, BigInt(base + 1), -123456n, -1n, 1n, -1000n, null, 'long enough to be outside'],
        [true, null, BigInt(base), 7n, 2n, BigInt(base * 1000), 'b', 'x'],
      ]),
    );
    expect(await cells('SELECT k, count(*) FROM t WHERE i > 5 GROUP BY k ORDER BY k')).toEqual([['ä', 2n], [null, 2n]]);
    expect(await cells('SELECT count(*) FROM t')).toEqual([[6n]]);
    expect(await cells('SELECT count(*) FROM t a JOIN t b ON a."o dd" = b."o dd"')).toEqual([[12n]]);
    await db.dropTable('t');
    expect(await refused('SELECT * FROM t')).toMatchObject({ code: 'MR_SQL_BIND' });
  });

  it('keeps row order over batches larger than a vector, at any bit of the bitmap', async () => {
    const rows = 5001;
    const validity = new Uint8Array((rows + 7) >> 3).map((_, i) => (i * 37) & 255);
    const values = Int32Array.from({ length: rows }, (_, i) => i);
    await register([{ name: 'v', format: 'i' }], [{ rows, buffers: [validity, bytes(values)] }, { rows, buffers: [null, bytes(values)] }]);
    const read = await cells('SELECT v FROM t');
    read.forEach(([v], i) => {
      const wanted = i >= rows || (validity[i >> 3] >> (i & 7)) & 1 ? BigInt(i % rows) : null;
      if (v !== wanted) expect.unreachable(`row ${i}: ${v}`);
    });
  });

  it('replaces a table of the same name, and keeps the old one when the new one is wrong', async () => {
    await register([{ name: 'v', format: 'i' }], [{ rows: 1, buffers: [null, bytes(Int32Array.of(1))] }]);
    await expect(register([{ name: 'w', format: 'i' }], [{ rows: 2, buffers: [null, bytes(Int32Array.of(1))] }])).rejects.toMatchObject({ code: 'MR_TABLE_INVALID' });
    expect(await cells('SELECT * FROM t')).toEqual([[1n]]);
    await register([{ name: 'w', format: 'u' }], [{ rows: 1, buffers: [null, ...text('new')] }]);
    expect(await cells('SELECT * FROM t')).toEqual([['new']]);
  });

  it.each<[string, DuckColumn, number, (Uint8Array | null)[], string]>([
    ['short data', { name: 'v', format: 'l' }, 2, [null, new Uint8Array(15)], 'MR_TABLE_INVALID'],
    ['a short bitmap', { name: 'v', format: 'c' }, 9, [new Uint8Array(1), new Uint8Array(9)], 'MR_TABLE_INVALID'],
    ['a missing buffer', { name: 'v', format: 'u' }, 1, [null, new Uint8Array(8)], 'MR_TABLE_INVALID'],
    ['offsets past the data', { name: 'v', format: 'u' }, 1, [null, bytes(Int32Array.of(0, 5)), new Uint8Array(4)], 'MR_TABLE_INVALID'],
    ['offsets that go back', { name: 'v', format: 'u' }, 2, [null, bytes(Int32Array.of(0, 4, 2)), new Uint8Array(4)], 'MR_TABLE_INVALID'],
    ['a negative offset', { name: 'v', format: 'u' }, 1, [null, bytes(Int32Array.of(-4, 0)), new Uint8Array(4)], 'MR_TABLE_INVALID'],
    ['wide offsets past the data', { name: 'v', format: 'U' }, 1, [null, bytes(BigInt64Array.of(0n, 1n << 40n)), new Uint8Array(4)], 'MR_TABLE_INVALID'],
    ['text that is not UTF-8', { name: 'v', format: 'u' }, 1, [null, bytes(Int32Array.of(0, 2)), Uint8Array.of(0xc3, 0x28)], 'MR_TABLE_INVALID'],
    ['a code outside the dictionary', { name: 'v', format: 'c', dictionary: ['a'] }, 1, [null, Uint8Array.of(1)], 'MR_TABLE_INVALID'],
    ['a negative code', { name: 'v', format: 'c', dictionary: ['a'] }, 1, [null, Uint8Array.of(255)], 'MR_TABLE_INVALID'],
    ['too many digits', { name: 'v', format: 'd:3,0,32' }, 1, [null, bytes(Int32Array.of(1000))], 'MR_TABLE_INVALID'],
    ['impossible rows', { name: 'v', format: 'c' }, -1, [null, new Uint8Array(1)], 'MR_TABLE_INVALID'],
    ['a nested format', { name: 'v', format: '+l' }, 1, [null, new Uint8Array(8)], 'MR_TYPE_UNSUPPORTED'],
    ['an impossible decimal', { name: 'v', format: 'd:99,0' }, 1, [null, new Uint8Array(16)], 'MR_TYPE_UNSUPPORTED'],
  ])('refuses %s', async (_what, column, rows, buffers, code) => {
    await expect(db.registerTable('bad', [column], [{ rows, buffers }])).rejects.toMatchObject({ name: 'MillraceError', code });
  });
});
