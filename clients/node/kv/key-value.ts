import { kvKey, kvValue } from '../../../native/kv-commands.js';
import { type KeyRange, keysFrom } from './key-range.js';

export type { KeyRange } from './key-range.js';

export interface KvPutOptions {
  /** Only if the key exists, or only if it does not. */
  readonly when?: 'exists' | 'absent';
  /** false: do not wait until it is on the media; flush() does later. A daemon that dies loses nothing, a machine that does may. Default true. */
  readonly durable?: boolean;
}

/** The way to a device's key/value namespace. Keys and values are checked before. */
export interface KvTransport {
  put(key: Uint8Array, value: Uint8Array, options: KvPutOptions): Promise<boolean>;
  get(key: Uint8Array): Promise<Uint8Array | undefined>;
  has(key: Uint8Array): Promise<boolean>;
  remove(key: Uint8Array, durable: boolean): Promise<boolean>;
  /** Keys from `from` on, itself included; fewer than asked for only at the end. */
  keys(from: Uint8Array, count: number): Promise<readonly Uint8Array[]>;
  flush(): Promise<void>;
}

/**
 * The device's key/value namespace: keys of 1 to 16 bytes (text as UTF-8), values up to 2 MiB. Over shared memory where the
 * client is on the device's machine, REST otherwise. All hosts of the device share it. Throws MR_KV_*.
 */
export class KeyValue {
  readonly #transport: () => Promise<KvTransport>;

  constructor(transport: () => Promise<KvTransport>) {
    this.#transport = transport;
  }

  /** False: `when` did not hold and nothing changed. Otherwise the value is there, whole, and with `durable` on the media. */
  async put(key: string | Uint8Array, value: string | Uint8Array, options: KvPutOptions = {}): Promise<boolean> {
    const bytes = kvKey(key);
    return (await this.#transport()).put(bytes, kvValue(value), options);
  }

  /** undefined: there is no such key. */
  async get(key: string | Uint8Array): Promise<Uint8Array | undefined> {
    const bytes = kvKey(key);
    return (await this.#transport()).get(bytes);
  }

  async exists(key: string | Uint8Array): Promise<boolean> {
    const bytes = kvKey(key);
    return (await this.#transport()).has(bytes);
  }

  /** False: there was no such key. */
  async delete(key: string | Uint8Array, options: { readonly durable?: boolean } = {}): Promise<boolean> {
    const bytes = kvKey(key);
    return (await this.#transport()).remove(bytes, options.durable ?? true);
  }

  /** Keys in order of their bytes. One that is there all the time comes once; what changes meanwhile may or may not. */
  list(range: KeyRange = {}): AsyncGenerator<Uint8Array, void, undefined> {
    return keysFrom(async (from, count) => (await this.#transport()).keys(from, count), range);
  }

  /** Everything put or deleted before, by anybody, is on the media when this resolves. */
  async flush(): Promise<void> {
    await (await this.#transport()).flush();
  }
}
