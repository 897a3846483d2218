import type { CommandSender } from '../../../native/command-sender.js';
import { kvDelete, kvExists, kvFlush, kvList, kvRetrieve, kvStore } from '../../../native/kv-commands.js';
import type { KvPutOptions, KvTransport } from './key-value.js';

/** Bytes of List's data that hold `count` keys, whatever their lengths. */
const listBytes = (count: number): number => 4 + 20 * count;

/** Over the device's own queue. */
export class ShmKv implements KvTransport {
  readonly #queue: CommandSender;

  constructor(queue: CommandSender) {
    this.#queue = queue;
  }

  async put(key: Uint8Array, value: Uint8Array, { when, durable = true }: KvPutOptions): Promise<boolean> {
    const stored = await kvStore(this.#queue, key, value, when && (when === 'exists' ? 'ifExists' : 'ifAbsent'));
    if (stored && durable) await kvFlush(this.#queue);
    return stored;
  }
  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return kvRetrieve(this.#queue, key);
  }
  has(key: Uint8Array): Promise<boolean> {
    return kvExists(this.#queue, key);
  }
  async remove(key: Uint8Array, durable: boolean): Promise<boolean> {
    const removed = await kvDelete(this.#queue, key);
    if (removed && durable) await kvFlush(this.#queue);
    return removed;
  }
  async keys(from: Uint8Array, count: number): Promise<readonly Uint8Array[]> {
    return (await kvList(this.#queue, from, listBytes(count))).slice(0, count);
  }
  flush(): Promise<void> {
    return kvFlush(this.#queue);
  }
}
