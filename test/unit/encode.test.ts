import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decideColumns } from '../../daemon/ingest/decide.js';
import { readCells } from '../../daemon/ingest/result-cell.js';
import { gatherStatistics } from '../../daemon/ingest/statistics.js';
import type { EncodeColumn, EncodeLimits } from '../../native/encoder.js';
import { type NativeDuckDB, native } from '../../native/index.js';
import { ChunkRecord } from '../../pushdown/runtime/wire.gen.js';
import { chunkAt, chunkValues, zoneOf, type Zone } from './chunk-values.js';

let db: NativeDuckDB;
beforeAll(() => {
  db = native().openDuckDB({ memoryLimitBytes: 512 << 20, threads: 2, locked: true });
});
afterAll(() => db.close());

type Values = ReturnType<typeof chunkValues>;
interface Encoded {
  readonly groups: number[];
  /** Per column, all groups joined. */
  readonly values: Values[];
  readonly zones: Zone[][];
  readonly dictionaries: (Values | undefined)[];
}
const limits: EncodeLimits = { rowGroupRowsMax: 1000, rowGroupBytesMax: 16 << 20 };

async function encode(sql: string, columns: readonly EncodeColumn[], limit = limits): Promise<Encoded> {
  const encoder = await db.openEncoder(sql, columns, limit);
  const out: Encoded = { groups: [], values: columns.map(() => []), zones: columns.map(() => []), dictionaries: columns.map(() => undefined) };
  const check = (memory: Uint8Array, records: Uint8Array, index: number, firstBlock: number) => {
    const chunk = chunkAt(records, index);
    const bytes = memory.subarray((chunk.slba - firstBlock) * 4096, (chunk.slba - firstBlock) * 4096 + Math.ceil(chunk.usedBytes / 4096) * 4096);
    expect(native().crc32c(bytes.subarray(0, chunk.usedBytes))).toBe(chunk.crc32c);
    expect(bytes.subarray(chunk.usedBytes).every((b) => b === 0)).toBe(true);
    return { chunk, bytes };
  };
  for (let group = await encoder.gather(); group.rows > 0; group = await encoder.gather()) {
    // Dirty memory: whatever the encoder leaves unset shows.
    const memory = new Uint8Array(group.bytes).fill(0xaa);
    const records = await encoder.encode(memory, 7);
    expect(records.byteLength).toBe(columns.length * ChunkRecord.bytes);
    out.groups.push(group.rows);
    columns.forEach(({ physical, nullable }, i) => {
      const { chunk, bytes } = check(memory, records, i, 7);
      expect(chunk.rows).toBe(group.rows);
      expect(chunk.validity.bytes).toBe(nullable ? Math.ceil(group.rows / 8) : 0);
      const values = chunkValues(bytes, chunk, physical);
      expect(chunk.nullCount).toBe(values.filter((v) => v === null).length);
      for (const value of values) out.values[i].push(value);
      out.zones[i].push(zoneOf(records, i));
    });
  }
  for (const [i, column] of columns.entries()) {
    if (!column.dictionary) continue;
    const memory = new Uint8Array(await encoder.dictionaryBytes(i)).fill(0xaa);
    const { chunk, bytes } = check(memory, await encoder.encodeDictionary(i, memory, 3), 0, 3);
    out.dictionaries[i] = chunkValues(bytes, chunk, 'utf8');
  }
  await encoder.close();
  return out;
}

/** Statistics, decision and encoding as the child does them; values compared with what DuckDB says. */
async function roundTrip(select: string, limit = limits) {
  const relation = `(${select})`;
  const columns = await decideColumns(db, relation, await gatherStatistics(db, relation));
  const sql = `SELECT ${columns.map((c) => c.expression).join(', ')} FROM ${relation}`;
  const encoded = await encode(sql, columns.map((c) => c.encode), limit);
  const expected = readCells(await db.query(sql));
  for (const [i, column] of columns.entries()) {
    const dictionary = encoded.dictionaries[i];
    const values = dictionary ? encoded.values[i].map((code) => (code === null ? null : dictionary[Number(code)])) : encoded.values[i];
    const wrong = values.findIndex((v, r) => !Object.is(v, expected[r][i]));
    if (wrong >= 0) expect.unreachable(`${column.info.name} row ${wrong}: ${values[wrong]} instead of ${expected[wrong][i]}`);
    expect(values.length).toBe(expected.length);
  }
  return { ...encoded, infos: columns.map((c) => c.info) };
}

describe('decision and encoding', () => {
  const types: [string, string, string][] = [
    ['BOOLEAN', "i % 2 = 0", 'bool'],
    ['TINYINT', '(i % 256 - 128)::TINYINT', 'i8'],
    ['SMALLINT', '(i % 2 * 65535 - 32768)::SMALLINT', 'i16'],
    ['INTEGER', '(i % 2 * 4294967295 - 2147483648)::INTEGER', 'i32'],
    ['BIGINT', 'CASE WHEN i % 2 = 0 THEN -9223372036854775808 ELSE 9223372036854775807 END::BIGINT', 'i64'],
    ['BIGINT that is small', '(i % 200 - 100)::BIGINT', 'i8'],
    ['UTINYINT', '(i % 256)::UTINYINT', 'i16'],
    ['USMALLINT', '(i % 2 * 65535)::USMALLINT', 'i32'],
    ['UINTEGER', '(i % 2 * 4294967295)::UINTEGER', 'i64'],
    ['UBIGINT', '(i % 2 * 9223372036854775807)::UBIGINT', 'i64'],
    ['HUGEINT', '(-i % 2)::HUGEINT', 'i8'],
    ['FLOAT', "CASE i % 4 WHEN 0 THEN 'nan'::FLOAT WHEN 1 THEN '-inf'::FLOAT WHEN 2 THEN 1.5 ELSE -0.0 END::FLOAT", 'f32'],
    ['DOUBLE', "CASE i % 4 WHEN 0 THEN 'nan'::DOUBLE WHEN 1 THEN 'inf'::DOUBLE WHEN 2 THEN 5e-324 ELSE -1e300 END", 'f64'],
    ['DECIMAL(4,2)', '(i % 100 - 50)::DECIMAL(4,2)', 'i16'],
    ['DECIMAL(9,0)', '(i % 2 * 999999999)::DECIMAL(9,0)', 'i32'],
    ['DECIMAL(18,3)', "CASE WHEN i % 2 = 0 THEN '-999999999999999.999' ELSE '999999999999999.999' END::DECIMAL(18,3)", 'i64'],
    ['DATE', "DATE '1899-12-31' + (i % 3 * 70000)::INTEGER", 'i32'],
    ['TIMESTAMP', "TIMESTAMP '0001-01-01 00:00:00.000001' + INTERVAL (i) DAY", 'i64'],
    ['TIMESTAMPTZ', "TIMESTAMPTZ '2024-02-29 12:00:00+00' + INTERVAL (i) SECOND", 'i64'],
    ['TIMESTAMP_S', "TIMESTAMP_S '1969-12-31 23:59:59'", 'i32'],
    ['TIMESTAMP_MS', "TIMESTAMP_MS '1969-12-31 23:59:59.999'", 'i16'],
    ['TIMESTAMP_NS of whole microseconds', "TIMESTAMP_NS '2000-01-01 00:00:00.000001'", 'i64'],
    ['few texts', "['', 'b', 'a', 'ä', '漢字', '🙂', 'a much longer value than twelve bytes'][1 + (i % 7)::INTEGER]", 'dict8'],
    ['some texts', "'value number ' || i % 300", 'dict16'],
    ['many texts', "CASE WHEN i % 5 = 0 THEN '' ELSE repeat('ü', (i % 50)::INTEGER) || i END", 'utf8'],
    ['ENUM', "['x', 'y'][1 + (i % 2)::INTEGER]::ENUM('y', 'x', 'unused')", 'dict8'],
  ];

  it.each(types)('stores %s', async (_name, expression, physical) => {
    const nulls = `CASE WHEN hash(i) % 3 = 0 THEN NULL ELSE ${expression} END`;
    const { infos, groups } = await roundTrip(`SELECT ${expression} AS plain, ${nulls} AS nulls, CASE WHEN i < 2999 THEN NULL ELSE ${expression} END AS last FROM range(3000) t(i)`);
    expect(groups).toEqual([1000, 1000, 1000]);
    expect(infos[0]).toMatchObject({ physical, nullable: false, nullCount: 0 });
    expect(infos[1].nullable).toBe(true);
    expect(infos[2].nullCount).toBe(2999);
  });

  it.each([1, 7, 8, 63, 64, 65, 999, 1000, 1001, 2047, 2048, 2049, 5000])('keeps %i rows in order across groups and vectors', async (rows) => {
    const { groups, values } = await roundTrip(
      `SELECT i, CASE WHEN i % 3 = 0 THEN NULL ELSE i END AS n, i % 2 = 0 AS b, CASE WHEN i % 5 = 0 THEN NULL ELSE i % 3 = 0 END AS bn, 't' || i AS s FROM range(${rows}) t(i)`,
    );
    expect(groups.reduce((a, b) => a + b, 0)).toBe(rows);
    expect(groups.every((g, i) => g === 1000 || i === groups.length - 1)).toBe(true);
    expect(values[0]).toEqual(Array.from({ length: rows }, (_, i) => BigInt(i)));
  });

  it('stores an empty table as no row groups', async () => {
    const { groups, infos } = await roundTrip("SELECT i, 'x' AS s, i / 2 AS d, i > 3 AS b FROM range(0) t(i)");
    expect(groups).toEqual([]);
    expect(infos.map((c) => [c.physical, c.nullable])).toEqual([['i8', false], ['utf8', false], ['f64', false], ['bool', false]]);
  });

  it('stores columns of nulls only', async () => {
    const { zones, infos } = await roundTrip('SELECT NULL::BIGINT AS i, NULL::VARCHAR AS s, NULL::DOUBLE AS d, NULL::BOOLEAN AS b FROM range(10)');
    expect(infos.map((c) => c.physical)).toEqual(['i8', 'utf8', 'f64', 'bool']);
    expect(infos.every((c) => c.min === undefined)).toBe(true);
    expect(zones.map(([z]) => z)).toEqual(new Array(4).fill({ flags: 0, min: 0n, max: 0n }));
  });

  it('uses 65,536 texts as dictionary and one more as plain text', async () => {
    const wide = (n: number) => roundTrip(`SELECT printf('%06d', i % ${n}) AS s FROM range(${3 * n}) t(i)`, { rowGroupRowsMax: 131_072, rowGroupBytesMax: 64 << 20 });
    // The estimate of different values may be above the limit where the exact number is not: plain text is right then, too.
    expect(['dict32', 'utf8']).toContain((await wide(65_536)).infos[0].physical);
    expect((await wide(50_000)).infos[0]).toMatchObject({ physical: 'dict32', dictionaryEntries: 50_000, max: '49999' });
    expect((await wide(66_000)).infos[0].physical).toBe('utf8');
    expect((await wide(129)).infos[0].physical).toBe('dict16');
    expect((await wide(128)).infos[0].physical).toBe('dict8');
  });

  it('sorts dictionaries by bytes', async () => {
    const { dictionaries } = await roundTrip("SELECT ['z', 'Z', 'é', '', '🙂', 'zz', '漢'][1 + (i % 7)::INTEGER] AS s FROM range(70) t(i)");
    expect(dictionaries[0]).toEqual(['', 'Z', 'z', 'zz', 'é', '漢', '🙂']);
  });
});

describe('zone maps', () => {
  it('hold the bounds of each row group', async () => {
    const { zones } = await roundTrip("SELECT i, i / 4 - 100 AS d, i % 2 = 5 AS b, CASE WHEN i < 1000 THEN 'nan'::DOUBLE ELSE i END AS n, 'text number ' || i AS s FROM range(2500) t(i)");
    const double = (v: number) => new BigInt64Array(Float64Array.of(v).buffer)[0];
    expect(zones[0]).toEqual([0, 1000, 2000].map((v) => ({ flags: 1, min: BigInt(v), max: BigInt(Math.min(v + 999, 2499)) })));
    expect(zones[1][1]).toEqual({ flags: 1, min: double(150), max: double(399.75) });
    expect(zones[2][0]).toEqual({ flags: 1, min: 0n, max: 0n });
    expect(zones[3][0]).toEqual({ flags: 2, min: 0n, max: 0n });
    expect(zones[3][1]).toEqual({ flags: 1, min: double(1000), max: double(1999) });
    expect(zones[4][0]).toMatchObject({ flags: 5, min: Buffer.from('text num').readBigInt64BE(), max: Buffer.from('text num').readBigInt64BE() });
  });
  it('order short and non-ASCII prefixes as unsigned bytes', async () => {
    const { zones } = await encode("SELECT unnest(['b', 'a', 'é'])", [{ name: 's', physical: 'utf8', nullable: false }]);
    expect(zones[0][0].min).toBe(Buffer.from('a\0\0\0\0\0\0\0').readBigInt64BE());
    expect(BigInt.asUintN(64, zones[0][0].max)).toBe(Buffer.from('é\0\0\0\0\0\0').readBigUInt64BE());
  });
});

describe('limits', () => {
  const texts: EncodeColumn[] = [{ name: 's', physical: 'utf8', nullable: false }];
  it('ends a row group early rather than exceed its bytes', async () => {
    const { groups, values } = await encode("SELECT repeat('x', 1000) || i FROM range(500) t(i)", texts, { rowGroupRowsMax: 1000, rowGroupBytesMax: 128 << 10 });
    expect(groups.length).toBeGreaterThan(3);
    expect(values[0].length).toBe(500);
    expect(values[0].at(-1)).toBe(`${'x'.repeat(1000)}499`);
  });
  it('refuses a row that fits no group', async () => {
    await expect(encode("SELECT repeat('x', 200000) FROM range(2)", texts, { rowGroupRowsMax: 1000, rowGroupBytesMax: 128 << 10 })).rejects.toMatchObject({ code: 'MR_ROW_TOO_LARGE' });
  });
});

describe('a file that changed between the passes', () => {
  const integers = (extra: Partial<EncodeColumn>): EncodeColumn[] => [{ name: 'v', physical: 'i8', nullable: false, min: 0n, max: 9n, ...extra }];
  it.each<[string, string, EncodeColumn[]]>([
    ['a value above the bounds', 'SELECT 10', integers({})],
    ['a value below the bounds', 'SELECT -1', integers({})],
    ['a value where all were null', 'SELECT 1', [{ name: 'v', physical: 'i8', nullable: true }]],
    ['a null where there was none', 'SELECT NULL::INTEGER', integers({})],
    ['a text outside the dictionary', "SELECT 'new'", [{ name: 'v', physical: 'dict8', nullable: false, min: 0n, max: 0n, dictionary: [{ rows: 1, buffers: [null, new Uint8Array(Int32Array.of(0, 3).buffer), Buffer.from('old')] }] }]],
  ])('is refused for %s', async (_what, sql, columns) => {
    await expect(encode(sql, columns)).rejects.toMatchObject({ code: 'MR_FILE_CHANGED' });
  });
  it('an error of the query itself is passed on, not what its other thread says of being stopped', async () => {
    // Which of the two threads is heard first is chance: DuckDB answers 'Interrupted!' in some of these runs.
    for (let run = 0; run < 40; run++) {
      const failing = encode("SELECT CASE WHEN i % 100000 = 70000 THEN error('stop') END::VARCHAR FROM range(1000000) t(i)", [{ name: 's', physical: 'utf8', nullable: true }]);
      await expect(failing).rejects.toMatchObject({ code: 'MR_SQL_EXECUTION', message: expect.stringContaining('stop') });
      await expect(db.query("SELECT count(CASE WHEN i % 100000 = 70000 THEN error('stop') END) FROM range(1000000) t(i)")).rejects.toMatchObject({ code: 'MR_SQL_EXECUTION', message: expect.stringContaining('stop') });
    }
  });
});
