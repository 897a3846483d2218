import { MillraceError } from '../../../pushdown/types/error.js';
import type { RestClient } from '../transport/rest-client.js';
import type { KvPutOptions, KvTransport } from './key-value.js';

/** Over REST (docs/rest.md): keys in the path as base64url. */
export class HttpKv implements KvTransport {
  readonly #rest: RestClient;

  constructor(rest: RestClient) {
    this.#rest = rest;
  }

  async put(key: Uint8Array, value: Uint8Array, { when, durable = true }: KvPutOptions): Promise<boolean> {
    const query = new URLSearchParams({ durable: String(durable), ...(when ? { when } : {}) });
    return (await unless('MR_KV_CONDITION', this.#rest.bytes(`${path(key)}&${query}`, { method: 'PUT', body: value }))) !== undefined;
  }
  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return unless('MR_KV_KEY_NOT_FOUND', this.#rest.bytes(path(key)));
  }
  async has(key: Uint8Array): Promise<boolean> {
    return (await this.keys(key, 1)).some((found) => Buffer.compare(found, key) === 0);
  }
  async remove(key: Uint8Array, durable: boolean): Promise<boolean> {
    return (await unless('MR_KV_KEY_NOT_FOUND', this.#rest.bytes(`${path(key)}&durable=${durable}`, { method: 'DELETE' }))) !== undefined;
  }
  async keys(from: Uint8Array, count: number): Promise<readonly Uint8Array[]> {
    const query = new URLSearchParams({ limit: String(count), encoding: 'base64url', ...(from.byteLength > 0 ? { from: base64(from) } : {}) });
    const { keys } = await this.#rest.json<{ keys: string[] }>(`/v1/kv?${query}`);
    return keys.map((key) => new Uint8Array(Buffer.from(key, 'base64url')));
  }
  async flush(): Promise<void> {
    await this.#rest.bytes('/v1/kv/flush', { method: 'POST' });
  }
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
const path = (key: Uint8Array): string => `/v1/kv/${base64(key)}?encoding=base64url`;

async function unless<T>(code: string, answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof MillraceError && error.code === code) return undefined;
    throw error;
  }
}
