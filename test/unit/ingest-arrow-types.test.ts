// Arrow types that have no flat form in DuckDB, from IPC files through the real ingest child: every value comes back as what it is.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as arrow from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DatasetStore } from '../../daemon/datasets/store.js';
import { registerArrow } from '../../daemon/ingest/arrow-source.js';
import { readCells } from '../../daemon/ingest/result-cell.js';
import { type NativeDevice, type NativeDuckDB, native } from '../../native/index.js';

const capacityBytes = 64 << 20;
let dir: string;
let device: NativeDevice;
let store: DatasetStore;
let db: NativeDuckDB;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-arrow-types-'));
  const socketPath = join(dir, 'device.sock');
  device = native().openDevice({ backingFile: join(dir, 'nvm'), capacityBytes, slmBytes: 16 << 20, ioThreads: 1, slots: 0, socketPath, slotNode: '', slotScript: '', slotLauncher: '', slotHeapBytesMax: 0, morselDeadlineMs: 1000 });
  store = await DatasetStore.open(dir, device, { capacityBytes, socketPath, node: process.execPath });
  db = native().openDuckDB({ memoryLimitBytes: 512 << 20, threads: 1, locked: false });
});
afterAll(async () => {
  db.close();
  await store.close();
  await device.close();
  rmSync(dir, { recursive: true });
});

const { Field } = arrow;
const i64 = (...values: (number | bigint)[]) => BigInt64Array.from(values, BigInt);
const bits = (...valid: (0 | 1)[]) => Uint8Array.of(valid.reduce<number>((byte, bit, i) => byte | (bit << i), 0));
const fixed = (type: arrow.DataType, data: ArrayLike<unknown> & { readonly BYTES_PER_ELEMENT: number }, length: number, valid?: Uint8Array) =>
  arrow.makeVector(arrow.makeData({ type, length, data, nullCount: valid ? -1 : 0, ...(valid ? { nullBitmap: valid } : {}) } as never));
const from = (values: readonly unknown[], type: arrow.DataType) => arrow.vectorFromArray(values as never[], type as never) as arrow.Vector;
const list = (type: arrow.DataType) => new arrow.List(new Field('item', type, true));
const words = (...values: bigint[]) => Uint32Array.from(values.flatMap((value) => [0, 1, 2, 3].map((i) => Number(BigInt.asUintN(32, value >> BigInt(32 * i))))));
const uuidField = new Field('v', new arrow.FixedSizeBinary(16), true, new Map([['ARROW:extension:name', 'arrow.uuid']]));

function union(mode: arrow.UnionMode): arrow.Vector {
  const type = new arrow.Union(mode, [5, 7], [new Field('number', new arrow.Int32(), true), new Field("text's", new arrow.Utf8(), true)]);
  const dense = mode === arrow.UnionMode.Dense;
  const children = dense
    ? [from([1, null], new arrow.Int32()), from(['42', "it's"], new arrow.Utf8())]
    : [from([1, 0, null, 0], new arrow.Int32()), from(['', '42', '', "it's"], new arrow.Utf8())];
  return arrow.makeVector(arrow.makeData({ type, length: 4, nullCount: 0, typeIds: Int8Array.of(5, 7, 5, 7), ...(dense ? { valueOffsets: Int32Array.of(0, 0, 1, 1) } : {}), children: children.map((child) => child.data[0]) } as never));
}

function map(): arrow.Vector {
  const type = new arrow.Map_(new Field('entries', new arrow.Struct<{ key: arrow.Utf8; value: arrow.Int32 }>([new Field('key', new arrow.Utf8(), false), new Field('value', new arrow.Int32(), true)]), false) as never);
  const entries = arrow.makeData({ type: (type.children[0] as arrow.Field).type as arrow.Struct, length: 3, nullCount: 0, children: [from(["a'", 'b=\\,{}', ''], new arrow.Utf8()).data[0], from([1, null, -3], new arrow.Int32()).data[0]] as arrow.Data[] });
  return arrow.makeVector(arrow.makeData({ type, length: 3, nullCount: 1, nullBitmap: bits(1, 0, 1), valueOffsets: Int32Array.of(0, 2, 2, 3), child: entries } as never));
}

/** What it is, the column, DuckDB's type, and each value as SQL. */
const cases: [string, arrow.Vector | [arrow.Field, arrow.Vector], string, string[]][] = [
  ['lists with nulls in and around', from([[1, null], null, [], [-3]], list(new arrow.Int32())), 'INTEGER[]', ['[1, NULL]', 'NULL', '[]', '[-3]']],
  ['lists of text that looks like syntax', from([['', 'NULL', "it's", 'a, b]', '\\', '"'], ['{}'], [' x ', '\n', '漢🙂']], list(new arrow.Utf8())), 'VARCHAR[]', [`['', 'NULL', 'it''s', 'a, b]', '\\', '"']`, `['{}']`, `[' x ', chr(10), '漢🙂']`]],
  ['lists of lists', from([[[1], [], null], null], list(list(new arrow.Int16()))), 'SMALLINT[][]', ['[[1], [], NULL]', 'NULL']],
  ['lists of a fixed length', from([[1, 2], null, [3, 4]], new arrow.FixedSizeList(2, new Field('item', new arrow.Uint8(), true))), 'UTINYINT[2]', ['[1, 2]', 'NULL', '[3, 4]']],
  ['lists of bytes', from([[Uint8Array.of(0, 255, 39, 92)], [Uint8Array.of()]], list(new arrow.Binary())), 'BLOB[]', [`['\\x00\\xFF\\x27\\x5C'::BLOB]`, `[''::BLOB]`]],
  ['lists of floats', from([[-0, Number.NaN, Number.POSITIVE_INFINITY, 5e-324, 0.1]], list(new arrow.Float64())), 'DOUBLE[]', [`['-0.0'::DOUBLE, 'nan', 'inf', 5e-324, 0.1]`]],
  ['structs', from([{ a: 1n, 'b c': ["it's", null] }, { a: null, 'b c': null }, null], new arrow.Struct([new Field('a', new arrow.Int64(), true), new Field('b c', list(new arrow.Utf8()), true)] as never)), 'STRUCT(a BIGINT, "b c" VARCHAR[])', [`{'a': 1, 'b c': ['it''s', NULL]}`, `{'a': NULL, 'b c': NULL}`, 'NULL']],
  ['maps', map(), 'MAP(VARCHAR, INTEGER)', [`MAP {'a''': 1, 'b=\\,{}': NULL}`, 'NULL', `MAP {'': -3}`]],
  ['dense unions', union(arrow.UnionMode.Dense), `UNION(number INTEGER, "text's" VARCHAR)`, ['union_value(number := 1)', `union_value("text's" := '42')`, 'union_value(number := NULL::INTEGER)', `union_value("text's" := 'it''s')`]],
  ['sparse unions', union(arrow.UnionMode.Sparse), `UNION(number INTEGER, "text's" VARCHAR)`, ['union_value(number := 1)', `union_value("text's" := '42')`, 'union_value(number := NULL::INTEGER)', `union_value("text's" := 'it''s')`]],
  ['bytes', from([Uint8Array.of(0, 255, 39), null, Uint8Array.of()], new arrow.Binary()), 'BLOB', [`'\\x00\\xFF\\x27'::BLOB`, 'NULL', `''::BLOB`]],
  ['bytes with 64-bit offsets', from([Uint8Array.of(1), null], new arrow.LargeBinary()), 'BLOB', [`'\\x01'::BLOB`, 'NULL']],
  ['bytes of a fixed length', fixed(new arrow.FixedSizeBinary(2), Uint8Array.of(1, 2, 3, 4), 2, bits(1, 0)), 'BLOB', [`'\\x01\\x02'::BLOB`, 'NULL']],
  ['uuids', [uuidField, fixed(new arrow.FixedSizeBinary(16), Uint8Array.from({ length: 16 }, (_, i) => i * 17), 1)], 'UUID', [`'00112233-4455-6677-8899-aabbccddeeff'::UUID`]],
  ['text views', from(['short', 'much longer than twelve bytes, é', null], new arrow.Utf8View()), 'VARCHAR', [`'short'`, `'much longer than twelve bytes, é'`, 'NULL']],
  ['byte views', from([Uint8Array.of(7), new Uint8Array(20).fill(1)], new arrow.BinaryView()), 'BLOB', [`'\\x07'::BLOB`, `repeat('\\x01'::BLOB, 20)`]],
  ['times of seconds', fixed(new arrow.TimeSecond(), Int32Array.of(0, 86_399), 2), 'TIME', [`TIME '00:00:00'`, `TIME '23:59:59'`]],
  ['times of milliseconds', fixed(new arrow.TimeMillisecond(), Int32Array.of(1, 86_399_999), 2), 'TIME', [`TIME '00:00:00.001'`, `TIME '23:59:59.999'`]],
  ['times of microseconds', fixed(new arrow.TimeMicrosecond(), i64(1, 86_399_999_999), 2, bits(1, 1)), 'TIME', [`TIME '00:00:00.000001'`, `TIME '23:59:59.999999'`]],
  ['times of nanoseconds', fixed(new arrow.TimeNanosecond(), i64(1, 86_399_999_999_999), 2), 'TIME_NS', [`'00:00:00.000000001'::TIME_NS`, `'23:59:59.999999999'::TIME_NS`]],
  ['intervals of months', fixed(new arrow.IntervalYearMonth(), Int32Array.of(14, -1, 0), 3, bits(1, 1, 0)), 'INTERVAL', [`INTERVAL '14 months'`, `INTERVAL '-1 months'`, 'NULL']],
  ['intervals of days and milliseconds', fixed(new arrow.IntervalDayTime(), Int32Array.of(30, 1, -1, -2), 2), 'INTERVAL', [`INTERVAL '30 days 1 milliseconds'`, `INTERVAL '-1 days -2 milliseconds'`]],
  ['intervals of months, days and nanoseconds', fixed(new arrow.IntervalMonthDayNano(), new Int32Array(i64(1n | (2n << 32n), 3000).buffer), 1), 'INTERVAL', [`INTERVAL '1 month 2 days 3 microseconds'`]],
  ['durations', fixed(new arrow.DurationMillisecond(), i64(-5, 86_400_001), 2), 'INTERVAL', [`INTERVAL '-5 milliseconds'`, `INTERVAL '86400001 milliseconds'`]],
  ['decimals of 38 digits', fixed(new arrow.Decimal(3, 38, 128), words(12345678901234567890123456789012345678n, -1n), 2), 'DECIMAL(38,3)', [`'12345678901234567890123456789012345.678'::DECIMAL(38,3)`, `'-0.001'::DECIMAL(38,3)`]],
  ['nanoseconds without a zone', fixed(new arrow.TimestampNanosecond(), i64(1, -1), 2), 'TIMESTAMP_NS', [`TIMESTAMP_NS '1970-01-01 00:00:00.000000001'`, `TIMESTAMP_NS '1969-12-31 23:59:59.999999999'`]],
  ['instants in a zone', fixed(new arrow.TimestampMillisecond('Europe/Berlin'), i64(1_600_000_000_001, -62_198_755_200_000), 2), 'TIMESTAMP WITH TIME ZONE', [`TIMESTAMPTZ '2020-09-13 12:26:40.001+00'`, `TIMESTAMPTZ '0002-01-01 (BC) 00:00:00+00'`]],
  ['lists of instants and days', from([[new Date(0), new Date(-86_400_000)]], list(new arrow.DateDay())), 'DATE[]', [`[DATE '1970-01-01', DATE '1969-12-31']`]],
  ['dates with a time of day', fixed(new arrow.DateMillisecond(), i64(86_400_001, 0), 2), 'TIMESTAMP', [`TIMESTAMP '1970-01-02 00:00:00.001'`, `TIMESTAMP '1970-01-01 00:00:00'`]],
  ['half floats', fixed(new arrow.Float16(), Uint16Array.of(0x3c00, 0x8000, 0x0001, 0x7c00, 0x7bff), 5), 'FLOAT', ['1', `'-0.0'`, '5.960464477539063e-8', `'inf'`, '65504']],
  ['nothing but nulls', arrow.makeVector(arrow.makeData({ type: new arrow.Null(), length: 2 } as never)), 'INTEGER', ['NULL', 'NULL']],
  ['dictionaries of lists', arrow.makeVector(arrow.makeData({ type: new arrow.Dictionary(list(new arrow.Int32()), new arrow.Int8()), length: 3, nullCount: 1, nullBitmap: bits(1, 0, 1), data: Int8Array.of(1, 0, 0), dictionary: from([[1], [2, 3]], list(new arrow.Int32())) } as never)), 'INTEGER[]', ['[2, 3]', 'NULL', '[1]']],
];

let files = 0;
async function load(column: arrow.Vector | [arrow.Field, arrow.Vector], format: 'file' | 'stream') {
  const [field, vector] = Array.isArray(column) ? column : [new Field('v', column.type, true), column];
  const schema = new arrow.Schema([field, new Field('i', new arrow.Int32(), false)]);
  const order = from(Array.from({ length: vector.length }, (_, i) => i), new arrow.Int32());
  const batch = new arrow.RecordBatch(schema, arrow.makeData({ type: new arrow.Struct(schema.fields), length: vector.length, nullCount: 0, children: [vector.data[0], order.data[0]] as arrow.Data[] }));
  const path = join(dir, `f${files++}.arrow`);
  writeFileSync(path, arrow.tableToIPC(new arrow.Table(schema, [batch]), format));
  return store.put('t', path, { format: 'arrow', replace: true });
}

/** The dataset's own export, read back the way an Arrow file is read. */
async function exported(): Promise<{ relation: string; bytes: Buffer }> {
  const bytes = Buffer.concat(await store.export('t').toArray());
  return { relation: await registerArrow(db, bytes, 'back'), bytes };
}

describe('Arrow IPC keeps', () => {
  it.each(cases)('%s', async (_what, column, type, values) => {
    for (const format of ['file', 'stream'] as const) {
      const info = await load(column, format);
      expect(info.rows).toBe(values.length);
      const { relation } = await exported();
      expect(readCells(await db.query(`SELECT any_value(typeof(v)) FROM ${relation}`))).toEqual([[type]]);
      const wanted = values.map((value, i) => `SELECT ${i} AS i, CAST(${value} AS ${type}) AS v`).join(' UNION ALL ');
      // Text tells apart what equality does not: -0.0 from 0.0, and the members of a union.
      const exact = (v: string) => (type.startsWith('UNION') ? `union_tag(${v})::VARCHAR || ':' || coalesce(${v}::VARCHAR, 'NULL')` : `${v}::VARCHAR`);
      const differ = await db.query(`SELECT w.i, ${exact('w.v')}, ${exact('b.v')} FROM (${wanted}) w LEFT JOIN ${relation} b USING (i) WHERE w.v IS DISTINCT FROM b.v OR ${exact('w.v')} IS DISTINCT FROM ${exact('b.v')}`);
      expect(readCells(differ)).toEqual([]);
    }
  });

  it('what it exported itself, loaded again', async () => {
    await load((cases[6] as (typeof cases)[number])[1], 'file');
    const { bytes } = await exported();
    const path = join(dir, 'again.arrow');
    writeFileSync(path, bytes);
    await store.put('t', path, { format: 'arrow', replace: true });
    expect((await exported()).bytes.equals(bytes)).toBe(true);
  });
});

describe('Arrow IPC is refused by the column\'s name', () => {
  it.each<[string, arrow.Vector, string]>([
    ['nanosecond instants that are no microseconds', fixed(new arrow.TimestampNanosecond('UTC'), i64(1), 1), 'MR_TYPE_UNSUPPORTED'],
    ['nanosecond durations that are no microseconds', fixed(new arrow.DurationNanosecond(), i64(1), 1), 'MR_TYPE_UNSUPPORTED'],
    ['unions within lists', arrow.makeVector(arrow.makeData({ type: list(union(arrow.UnionMode.Dense).type), length: 1, nullCount: 0, valueOffsets: Int32Array.of(0, 4), child: union(arrow.UnionMode.Dense).data[0] } as never)), 'MR_TYPE_UNSUPPORTED'],
    ['times beyond the day', fixed(new arrow.TimeSecond(), Int32Array.of(-1), 1), 'MR_FILE_INVALID'],
    ['lists whose offsets do not ascend', arrow.makeVector(arrow.makeData({ type: list(new arrow.Int32()), length: 2, nullCount: 0, valueOffsets: Int32Array.of(0, 1, 0), child: from([1], new arrow.Int32()).data[0] } as never)), 'MR_FILE_INVALID'],
    ['text that is not UTF-8', arrow.makeVector(arrow.makeData({ type: list(new arrow.Utf8()), length: 1, nullCount: 0, valueOffsets: Int32Array.of(0, 1), child: arrow.makeData({ type: new arrow.Utf8(), length: 1, nullCount: 0, valueOffsets: Int32Array.of(0, 1), data: Uint8Array.of(0xff) } as never) } as never)), 'MR_FILE_INVALID'],
  ])('%s', async (_what, vector, code) => {
    await expect(load(vector, 'file')).rejects.toMatchObject({ code, message: expect.stringContaining("'v'") });
  });
});
