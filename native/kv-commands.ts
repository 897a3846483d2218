import { KvKeyList, KvOpcode, KvStoreOption, Nsid, Status } from '../pushdown/runtime/wire.gen.js';
import { MillraceError } from '../pushdown/types/error.js';
import { type Completion, expectSuccess, statusName } from './command-status.js';
import type { CommandFields, CommandSender } from './command-sender.js';
import type { Region } from './region.js';

export const kvKeyBytesMax = 16;
export const kvValueBytesMax = 2 << 20;

/** A key's bytes; text as UTF-8. Throws MR_KV_KEY_SIZE. */
export function kvKey(key: string | Uint8Array): Uint8Array {
  const bytes = typeof key === 'string' ? new TextEncoder().encode(key) : key;
  if (bytes.byteLength < 1 || bytes.byteLength > kvKeyBytesMax) throw new MillraceError('MR_KV_KEY_SIZE', `A key has 1 to ${kvKeyBytesMax} bytes, not ${bytes.byteLength}.`, { field: 'key', httpStatus: 400 });
  return bytes;
}

/** A value's bytes; text as UTF-8. Throws MR_KV_VALUE_SIZE. */
export function kvValue(value: string | Uint8Array): Uint8Array {
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  if (bytes.byteLength > kvValueBytesMax) throw new MillraceError('MR_KV_VALUE_SIZE', `A value has at most ${kvValueBytesMax} bytes, not ${bytes.byteLength}: store it in parts.`, { field: 'value', httpStatus: 413 });
  return bytes;
}

/** Fields of a KV command: the key in cdw2-3 and cdw14-15, its length and the options in cdw11. An empty key begins a List at the first. */
export function kvFields(opc: number, key: Uint8Array, bytes = 0, options = 0): CommandFields {
  const padded = new Uint8Array(kvKeyBytesMax);
  padded.set(key);
  const words = new DataView(padded.buffer);
  return {
    opc, nsid: Nsid.Kv, cdw2: words.getUint32(0, true), cdw3: words.getUint32(4, true), cdw10: bytes, cdw11: key.byteLength | (options << 8),
    cdw14: words.getUint32(8, true), cdw15: words.getUint32(12, true),
  };
}

/** False: the condition did not hold and nothing was stored. Durable after kvFlush. */
export async function kvStore(queue: CommandSender, key: Uint8Array, value: Uint8Array, condition?: 'ifExists' | 'ifAbsent', signal?: AbortSignal): Promise<boolean> {
  const options = condition === 'ifExists' ? KvStoreOption.OnlyIfExists : condition === 'ifAbsent' ? KvStoreOption.OnlyIfAbsent : 0;
  const completion = await withRegion(queue, value.byteLength, signal, (region) => {
    region?.view.set(value);
    return queue.send(1, kvFields(KvOpcode.Store, key, value.byteLength, options), region, signal);
  });
  if (condition && (completion.status === Status.KeyNotFound || completion.status === Status.KeyExists)) return false;
  return expectKv(completion, 'Storing a key') !== undefined;
}

/** Values up to here come with the first command; longer ones take a second. */
const firstReadBytes = 64 << 10;

/** undefined: there is no such key. */
export async function kvRetrieve(queue: CommandSender, key: Uint8Array, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer> | undefined> {
  for (let bytes = firstReadBytes; ; bytes = kvValueBytesMax) {
    const value = await withRegion(queue, bytes, signal, async (region) => {
      const completion = await queue.send(1, kvFields(KvOpcode.Retrieve, key, bytes), region, signal);
      if (completion.status === Status.KeyNotFound) return 'absent';
      const { dw0 } = expectKv(completion, 'Retrieving a key');
      return dw0 <= bytes && region ? region.view.slice(0, dw0) : 'longer'; // may have grown meanwhile
    });
    if (value !== 'longer') return value === 'absent' ? undefined : (value as Uint8Array<ArrayBuffer>);
  }
}

/** Bytes of the value, nothing of it moved; undefined: there is no such key. */
export async function kvValueBytes(queue: CommandSender, key: Uint8Array): Promise<number | undefined> {
  const completion = await queue.send(1, kvFields(KvOpcode.Retrieve, key));
  return completion.status === Status.KeyNotFound ? undefined : expectKv(completion, 'Retrieving a key').dw0;
}

export async function kvExists(queue: CommandSender, key: Uint8Array): Promise<boolean> {
  const completion = await queue.send(1, kvFields(KvOpcode.Exist, key));
  return completion.status !== Status.KeyNotFound && expectKv(completion, 'Looking for a key') !== undefined;
}

/** False: there was no such key. Durable after kvFlush. */
export async function kvDelete(queue: CommandSender, key: Uint8Array): Promise<boolean> {
  const completion = await queue.send(1, kvFields(KvOpcode.Delete, key));
  return completion.status !== Status.KeyNotFound && expectKv(completion, 'Deleting a key') !== undefined;
}

/** Keys in order of their bytes, from `from` on (itself included; empty: from the first), as many as `bytes` of List's data hold. */
export async function kvList(queue: CommandSender, from: Uint8Array, bytes: number, signal?: AbortSignal): Promise<Uint8Array[]> {
  const keys = await withRegion(queue, bytes, signal, async (region) => {
    expectKv(await queue.send(1, kvFields(KvOpcode.List, from, bytes), region, signal), 'Listing keys');
    return readKeyList(region ? region.view.slice() : new Uint8Array(KvKeyList.bytes));
  });
  return keys;
}

/** Everything stored or deleted before, by anybody, is on the media when this resolves. */
export async function kvFlush(queue: CommandSender): Promise<void> {
  expectKv(await queue.send(1, { opc: KvOpcode.Flush, nsid: Nsid.Kv }), 'Flushing the keys');
}

/** The data of a List. */
export function readKeyList(data: Uint8Array): Uint8Array[] {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const keys: Uint8Array[] = [];
  let at: number = KvKeyList.bytes;
  for (let left = view.getUint32(KvKeyList.keys, true); left > 0; left--) {
    const length = view.getUint16(at, true);
    keys.push(data.subarray(at + 2, at + 2 + length));
    at += Math.ceil((2 + length) / 4) * 4;
  }
  return keys;
}

const kvWords: Readonly<Record<number, readonly [code: string, httpStatus: number, detail: string]>> = {
  [Status.CapacityExceeded]: ['MR_KV_FULL', 507, 'keys and values have no room left: delete some, or raise --kv-bytes'],
  [Status.UnrecoveredError]: ['MR_KV_DAMAGED', 500, 'the value on the media is damaged: store it again'],
  [Status.InvalidNamespace]: ['MR_KV_NONE', 404, 'the device has no key/value namespace'],
};

function expectKv(completion: Completion, what: string): Completion {
  const known = kvWords[completion.status];
  if (known) throw new MillraceError(known[0], `${what}: ${known[2]} (${statusName(completion.status)}).`, { httpStatus: known[1] });
  return expectSuccess(completion, what);
}

/** A region for the data, or none for no data. */
async function withRegion<T>(queue: CommandSender, bytes: number, signal: AbortSignal | undefined, use: (region: Region | undefined) => Promise<T>): Promise<T> {
  if (bytes === 0) return use(undefined);
  const region = await queue.acquire(bytes, signal);
  try {
    return await use(region);
  } finally {
    queue.release(region);
  }
}
