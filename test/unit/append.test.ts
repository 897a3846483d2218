// Rows behind a stored dataset: only they are written where they fit it, all rows otherwise; readers of the older version keep theirs.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Chunk, chunksOf, splitLayout } from '../../daemon/datasets/layout.js';
import { DatasetStore } from '../../daemon/datasets/store.js';
import { registerArrow } from '../../daemon/ingest/arrow-source.js';
import { readCells } from '../../daemon/ingest/result-cell.js';
import { type NativeDevice, type NativeDuckDB, native } from '../../native/index.js';

const long = process.env.MILLRACE_TEST === 'long';
const capacityBytes = 64 << 20;
let dir: string;
let device: NativeDevice;
let store: DatasetStore;
let db: NativeDuckDB;
let files = 0;

const openDevice = () => native().openDevice({ backingFile: join(dir, 'nvm'), capacityBytes, slmBytes: 16 << 20, ioThreads: 1, slots: 0, socketPath: join(dir, 'device.sock'), slotNode: '', slotScript: '', slotLauncher: '', slotHeapBytesMax: 0, morselDeadlineMs: 1000 });
const open = () => DatasetStore.open(dir, device, { capacityBytes, socketPath: join(dir, 'device.sock'), node: process.execPath, rowGroupRows: 1000 });
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-append-'));
  device = openDevice();
  store = await open();
  db = native().openDuckDB({ memoryLimitBytes: 512 << 20, threads: 1, locked: false });
});
beforeEach(async () => {
  if (store.list().length > 0) await store.remove('t');
});
afterAll(async () => {
  db.close();
  await store.close();
  await device.close();
  rmSync(dir, { recursive: true });
});

async function file(select: string): Promise<string> {
  const path = join(dir, `f${files++}.parquet`);
  await db.query(`COPY (${select}) TO '${path}' (FORMAT parquet)`);
  return path;
}

function chunks(): readonly { readonly column: number; readonly rowGroup: number | 'dictionary'; readonly chunk: Chunk }[] {
  const layout = splitLayout(store.layout('t'), store.get('t').columns);
  if (typeof layout === 'string') return expect.unreachable(layout);
  return [...chunksOf(layout)];
}
const places = () => chunks().map(({ column, rowGroup, chunk }) => `${column}/${rowGroup}@${chunk.slba}`);

/** The dataset's rows are exactly those of the files, in their order. */
async function holds(paths: readonly string[]): Promise<void> {
  const relation = await registerArrow(db, Buffer.concat(await store.export('t').toArray()), 'back');
  const all = paths.map((path) => `SELECT * FROM '${path}'`).join(' UNION ALL BY NAME ');
  expect(readCells(await db.query(`SELECT count(*) FROM (SELECT row_number() OVER () AS row, * FROM (${all})) a FULL JOIN (SELECT row_number() OVER () AS row, * FROM ${relation}) b USING (row) WHERE a IS DISTINCT FROM b`))).toEqual([[0n]]);
  expect((await store.verify('t')).damaged).toEqual([]);
}

const base = "SELECT i::BIGINT AS n, (['b', 'd', 'f'])[1 + (i % 3)::INTEGER] AS k, 'text ' || i AS s, CASE WHEN i % 5 = 0 THEN NULL ELSE i / 4 END AS f, [i] AS l FROM range(2500) t(i)";
const more = (n: string, k: string, f = 'i / 8') => `SELECT (${n})::BIGINT AS n, ${k} AS k, 'more ' || i AS s, ${f} AS f, [i, NULL] AS l FROM range(1200) t(i)`;

async function append(select: string): Promise<{ before: readonly string[]; paths: readonly string[] }> {
  const first = await file(base);
  await store.put('t', first, { format: 'parquet' });
  const before = places();
  const second = await file(select);
  await store.put('t', second, { format: 'parquet', append: true });
  await holds([first, second]);
  await store.drained();
  expect(store.usage.freeBytes + store.get('t').storedBytes).toBe(capacityBytes);
  return { before, paths: [first, second] };
}

describe('appended rows', () => {
  it('that fit are the only ones written', async () => {
    const { before } = await append(more('-i % 100', "'d'"));
    expect(places()).toEqual(expect.arrayContaining([...before]));
    expect(store.get('t')).toMatchObject({ version: 2, rows: 3700, rowGroups: 5 });
    expect(store.get('t').columns[0]).toMatchObject({ physical: 'i16', min: '-99', max: '2499', nullCount: 0 });
    expect(store.get('t').columns[3]).toMatchObject({ nullCount: 500 });
  });

  it('with texts behind those of a dictionary write that dictionary, and no chunk of the rows before', async () => {
    const { before } = await append(more('i', "'g' || i % 4"));
    const kept = before.filter((place) => !place.includes('dictionary'));
    expect(places()).toEqual(expect.arrayContaining(kept));
    expect(places().filter((place) => place.includes('dictionary'))).not.toEqual(before.filter((place) => place.includes('dictionary')));
    expect(store.get('t').columns[1]).toMatchObject({ physical: 'dict8', dictionaryEntries: 7, max: '6' });
    expect(await store.dictionary('t', 'k')).toEqual(['b', 'd', 'f', 'g0', 'g1', 'g2', 'g3']);
  });

  it.each([
    ['a number wider than stored', more('40000', "'b'"), 'i32'],
    ['the first NULL of a column', more('CASE WHEN i > 3 THEN i END', "'b'"), 'i16'],
    ['a text that sorts between those of a dictionary', more('i', "'c'"), 'i16'],
    ['more texts than the codes count', more('i', "'g' || i"), 'i16'],
  ])('with %s make all rows be written anew', async (_what, select, physical) => {
    const { before } = await append(select);
    expect(places().filter((place) => before.includes(place))).toEqual([]);
    expect(store.get('t')).toMatchObject({ version: 2, rows: 3700, rowGroups: 4 });
    expect(store.get('t').columns[0]).toMatchObject({ physical });
  });

  it('none at all make a version like the one before', async () => {
    const { before } = await append(`${more('i', "'b'")} LIMIT 0`);
    expect(places()).toEqual(before);
    expect(store.get('t')).toMatchObject({ version: 2, rows: 2500 });
  });

  it('may come again and again; row groups that became too small are joined', async () => {
    const times = long ? 36 : 3;
    const first = await file(base);
    await store.put('t', first, { format: 'parquet' });
    const paths = [first];
    for (let i = 0; i < times; i++) {
      const next = await file(`SELECT ${i}::BIGINT AS n, 'b' AS k, 'one' AS s, 1.5::DOUBLE AS f, [1::BIGINT] AS l`);
      paths.push(next);
      await store.put('t', next, { format: 'parquet', append: true });
    }
    await holds(paths);
    expect(store.get('t')).toMatchObject({ version: times + 1, rows: 2500 + times, rowGroups: long ? 5 : 3 + times });
    await store.drained();
    expect(store.usage.freeBytes + store.get('t').storedBytes).toBe(capacityBytes);
  });

  it('survive a restart, and blocks shared with an older version come back with the last reader of either', async () => {
    const { paths } = await append(more('i', "'g'"));
    await store.close();
    await device.close();
    device = openDevice();
    store = await open();
    await holds(paths);
    // An export of version 2 under way while version 3 shares its blocks, and goes.
    const reading = store.export('t');
    const [, ...rest] = [await new Promise((resolve) => reading.once('readable', resolve)), ...paths];
    await store.put('t', await file(more('1', "'b'")), { format: 'parquet', append: true });
    await store.remove('t');
    expect(store.usage.freeBytes).toBeLessThan(capacityBytes);
    const bytes = Buffer.concat(await reading.toArray());
    const relation = await registerArrow(db, bytes, 'older');
    expect(readCells(await db.query(`SELECT count(*), sum(n) FROM ${relation}`))).toEqual(readCells(await db.query(`SELECT count(*), sum(n) FROM (${rest.map((path) => `SELECT n FROM '${path}'`).join(' UNION ALL ')})`)));
    await store.drained();
    expect(store.usage.freeBytes).toBe(capacityBytes);
  });
});
