import { kvKeyBytesMax } from '../../../native/kv-commands.js';

/** Which keys; bounds as text (UTF-8) or bytes. */
export interface KeyRange {
  /** The first, itself included. */
  readonly from?: string | Uint8Array;
  readonly prefix?: string | Uint8Array;
  /** At most so many. */
  readonly limit?: number;
}

const pageKeys = 1000;

/** All keys of the range, a page at a time. */
export async function* keysFrom(page: (from: Uint8Array, count: number) => Promise<readonly Uint8Array[]>, range: KeyRange): AsyncGenerator<Uint8Array, void, undefined> {
  const prefix = bytesOf(range.prefix ?? '');
  let from: Uint8Array | undefined = later(bytesOf(range.from ?? ''), prefix);
  let left = range.limit ?? Number.POSITIVE_INFINITY;
  while (from && left > 0) {
    const wanted = Math.min(pageKeys, left);
    const keys: readonly Uint8Array[] = await page(from, wanted);
    for (const key of keys) {
      if (!startsWith(key, prefix)) return;
      yield key;
      left--;
    }
    const last = keys.at(-1);
    from = keys.length === wanted && last ? after(last) : undefined;
  }
}

/** The smallest key behind; undefined behind the last of all. */
export function after(key: Uint8Array): Uint8Array | undefined {
  if (key.byteLength < kvKeyBytesMax) return Uint8Array.from([...key, 0]);
  const at = key.findLastIndex((byte) => byte !== 0xff);
  return at < 0 ? undefined : Uint8Array.from([...key.subarray(0, at), (key[at] ?? 0) + 1]);
}

const bytesOf = (key: string | Uint8Array): Uint8Array => (typeof key === 'string' ? new TextEncoder().encode(key) : key);
const later = (a: Uint8Array, b: Uint8Array): Uint8Array => (Buffer.compare(a, b) >= 0 ? a : b);
const startsWith = (key: Uint8Array, prefix: Uint8Array): boolean => Buffer.compare(key.subarray(0, prefix.byteLength), prefix) === 0;
