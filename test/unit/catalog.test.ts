import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Catalog, type CatalogEntry } from '../../daemon/catalog/catalog.js';
import { sqliteBinding } from '../../daemon/catalog/sqlite-binding.js';

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-catalog-'));
  path = join(dir, 'catalog.db');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function entry(handle: number, name: string, version: number, slba: number): CatalogEntry {
  return {
    handle, name, version, rows: 3,
    columns: [{ name: 'a', type: { kind: 'int64' }, physical: 'i8', nullable: false, min: '-1', max: '5', nullCount: 0 }, { name: 's', type: { kind: 'utf8' }, physical: 'dict8', nullable: true, nullCount: 1, dictionaryEntries: 2 }],
    layout: { rowGroups: 1, rowGroupRowsMax: 131072, columns: [new Uint8Array(128).fill(handle), new Uint8Array(128).fill(2)], dictionaries: [undefined, new Uint8Array(128).fill(3)] },
    extents: [{ slba, blocks: 2 }, { slba: slba + 5, blocks: 1 }],
  };
}
/** Blobs come back as Buffers; compare as plain bytes. */
const plain = (entries: CatalogEntry[]) => JSON.parse(JSON.stringify(entries, (_, v) => (v?.type === 'Buffer' ? v.data : v instanceof Uint8Array ? [...v] : v)));

describe('Catalog', () => {
  it('gives back what was published, after a reopening too', () => {
    const catalog = new Catalog(path);
    const one = entry(catalog.takeHandle(), 'Flights', 1, 0);
    catalog.publish(one, undefined);
    expect(plain(catalog.load())).toEqual(plain([one]));
    const two = entry(catalog.takeHandle(), 'Flights', 2, 10);
    catalog.publish(two, one.handle);
    catalog.close();
    const again = new Catalog(path);
    expect(plain(again.load())).toEqual(plain([two]));
    again.remove(two.handle);
    expect(again.load()).toEqual([]);
    again.close();
  });

  it('never gives a published handle out again', () => {
    const catalog = new Catalog(path);
    const handle = catalog.takeHandle();
    catalog.publish(entry(handle, 'a', 1, 0), undefined);
    catalog.remove(handle);
    catalog.close();
    const again = new Catalog(path);
    expect(again.takeHandle()).toBeGreaterThan(handle);
    again.close();
  });

  it('publishes all or nothing', () => {
    const catalog = new Catalog(path);
    catalog.publish(entry(catalog.takeHandle(), 'a', 1, 0), undefined);
    const before = plain(catalog.load());
    // The second extent collides with a published one: the whole transaction goes.
    expect(() => catalog.publish({ ...entry(catalog.takeHandle(), 'b', 1, 20), extents: [{ slba: 20, blocks: 1 }, { slba: 5, blocks: 1 }] }, undefined)).toThrow();
    catalog.settle();
    expect(plain(catalog.load())).toEqual(before);
    catalog.close();
  });

  it('keeps a second daemon out', () => {
    const catalog = new Catalog(path);
    expect(() => new Catalog(path)).toThrow(expect.objectContaining({ code: 'MR_STORE_LOCKED' }));
    catalog.close();
    new Catalog(path).close();
  });

  it('refuses a newer catalog and a file that is none', () => {
    new Catalog(path).close();
    const db = new Sqlite(path, sqliteBinding());
    db.pragma('user_version = 99');
    db.close();
    expect(() => new Catalog(path)).toThrow(expect.objectContaining({ code: 'MR_CATALOG_NEWER' }));
    const other = join(dir, 'other.db');
    writeFileSync(other, 'x'.repeat(5000));
    expect(() => new Catalog(other)).toThrow(expect.objectContaining({ code: 'MR_CATALOG_DAMAGED' }));
  });
});
