// Keys and values through a real daemon: the client over shared memory and over HTTP, plain REST, tokens, and what is left after kill -9.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, connect, type KeyValue } from '../../clients/node/index.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';

let daemon: DaemonProcess;
beforeAll(async () => {
  daemon = await startDaemonProcess({ args: ['--kv-bytes', String(64 << 20)] });
});
afterAll(() => daemon?.dispose());

const text = (bytes: Uint8Array | undefined) => (bytes === undefined ? undefined : Buffer.from(bytes).toString('latin1'));
async function keysOf(kv: KeyValue, range?: Parameters<KeyValue['list']>[0]): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of kv.list(range)) keys.push(text(key) ?? '');
  return keys;
}
const codeOf = (run: Promise<unknown>) => run.then(() => 'none', (error: unknown) => (error instanceof MillraceError ? error.code : String(error)));

describe.each(['shm', 'http'] as const)('the key/value store over %s', (transport) => {
  let db: Client;
  let kv: KeyValue;
  beforeAll(async () => {
    db = await connect({ url: daemon.url, transport });
    kv = db.kv();
    for await (const key of kv.list()) await kv.delete(key);
  });
  afterAll(() => db?.close());

  it('stores, gives back, conditions and deletes', async () => {
    expect(await kv.get('a')).toBeUndefined();
    expect(await kv.put('a', 'one')).toBe(true);
    expect(text(await kv.get('a'))).toBe('one');
    expect(await kv.put('a', 'two', { when: 'absent' })).toBe(false);
    expect(await kv.put('b', 'two', { when: 'exists' })).toBe(false);
    expect(await kv.put('a', 'three', { when: 'exists', durable: false })).toBe(true);
    expect([text(await kv.get('a')), await kv.exists('a'), await kv.exists('b')]).toEqual(['three', true, false]);
    expect(await kv.put('empty', '')).toBe(true);
    expect((await kv.get('empty'))?.byteLength).toBe(0);
    expect([await kv.delete('a'), await kv.delete('a'), await kv.exists('a')]).toEqual([true, false, false]);
    await kv.flush();
  });

  it('takes values of every size to 2 MiB and keys of any bytes', async () => {
    for (const bytes of [1, 4095, 65_536, 65_537, 2 << 20]) {
      const value = Uint8Array.from({ length: bytes }, (_, i) => (i * 131 + bytes) & 255);
      const key = Uint8Array.from([0, 255, 47, 37, bytes & 255]);
      expect(await kv.put(key, value, { durable: false })).toBe(true);
      expect(Buffer.compare((await kv.get(key)) ?? new Uint8Array(0), value)).toBe(0);
      expect(await kv.delete(key)).toBe(true);
    }
  });

  it('lists in order of bytes, from a key, by prefix, across pages', async () => {
    const names = Array.from({ length: 2300 }, (_, i) => `k${String(i).padStart(5, '0')}`);
    await Promise.all(names.map((name) => kv.put(name, name, { durable: false })));
    await kv.put('l', '');
    expect(await keysOf(kv, { prefix: 'k' })).toEqual(names);
    expect(await keysOf(kv, { prefix: 'k', from: 'k02298' })).toEqual(names.slice(2298));
    expect(await keysOf(kv, { prefix: 'k0001', limit: 3 })).toEqual(['k00010', 'k00011', 'k00012']);
    expect((await keysOf(kv)).at(-1)).toBe('l');
    for (const name of [...names, 'l']) await kv.delete(name, { durable: false });
    expect(await keysOf(kv, { prefix: 'k' })).toEqual([]);
  });

  it('says what is wrong', async () => {
    expect(await codeOf(kv.put('', 'x'))).toBe('MR_KV_KEY_SIZE');
    expect(await codeOf(kv.get('seventeen bytes!!'))).toBe('MR_KV_KEY_SIZE');
    expect(await codeOf(kv.put('k', new Uint8Array((2 << 20) + 1)))).toBe('MR_KV_VALUE_SIZE');
    const value = new Uint8Array(2 << 20);
    let full = 'none';
    for (let i = 0; i < 40 && full === 'none'; i++) full = await codeOf(kv.put(`fill${i}`, value, { durable: false }));
    expect(full).toBe('MR_KV_FULL');
    for (let i = 0; i < 40; i++) await kv.delete(`fill${i}`, { durable: false });
    expect(await kv.put('k', 'room again')).toBe(true);
  });
});

describe('REST', () => {
  const call = (method: string, path: string, body?: string) => fetch(new URL(path, daemon.url), { method, ...(body === undefined ? {} : { body, headers: { 'content-type': 'application/octet-stream' } }) });
  const status = async (method: string, path: string, body?: string) => {
    const answer = await call(method, path, body);
    return [answer.status, (JSON.parse((await answer.text()) || '{}') as { code?: string }).code];
  };

  it('answers by the rules of HTTP', async () => {
    expect(await status('PUT', '/v1/kv/rest%2Fkey', 'value')).toEqual([204, undefined]);
    expect(await (await call('GET', '/v1/kv/rest%2Fkey')).text()).toBe('value');
    const head = await call('HEAD', '/v1/kv/rest%2Fkey');
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '5']);
    expect((await call('HEAD', '/v1/kv/nothing')).status).toBe(404);
    expect(await status('PUT', '/v1/kv/rest%2Fkey?when=absent', 'x')).toEqual([412, 'MR_KV_CONDITION']);
    expect(await status('GET', '/v1/kv/nothing')).toEqual([404, 'MR_KV_KEY_NOT_FOUND']);
    expect(await status('GET', `/v1/kv/${'x'.repeat(17)}`)).toEqual([400, 'MR_KV_KEY_SIZE']);
    expect(await status('GET', `/v1/kv/${'x'.repeat(300)}`)).toEqual([400, 'MR_REQUEST_INVALID']);
    expect(await status('GET', '/v1/kv/a?encoding=base32')).toEqual([400, 'MR_REQUEST_INVALID']);
    expect(await status('GET', '/v1/kv/a*?encoding=base64url')).toEqual([400, 'MR_REQUEST_INVALID']);
    const list = (await (await call('GET', '/v1/kv?from=rest&limit=1')).json()) as unknown;
    expect(list).toEqual({ keys: ['rest/key'], more: false });
    expect(await status('GET', '/v1/kv?limit=0')).toEqual([400, 'MR_REQUEST_INVALID']);
    expect(await status('DELETE', '/v1/kv/rest%2Fkey')).toEqual([204, undefined]);
    expect(await status('DELETE', '/v1/kv/rest%2Fkey')).toEqual([404, 'MR_KV_KEY_NOT_FOUND']);
    expect(await status('POST', '/v1/kv/flush')).toEqual([204, undefined]);
  });
});

it('keeps after kill -9 what was put, whole', async () => {
  const mine = await startDaemonProcess();
  try {
    const before = await connect({ url: mine.url });
    const value = Uint8Array.from({ length: 100_000 }, (_, i) => i & 255);
    for (let i = 0; i < 20; i++) await before.kv().put(`k${i}`, value, { durable: i % 2 === 0 });
    await mine.kill();
    await before.close();
    const again = await startDaemonProcess({ dir: mine.dir });
    const db = await connect({ url: again.url });
    for (let i = 0; i < 20; i++) expect(Buffer.compare((await db.kv().get(`k${i}`)) ?? new Uint8Array(0), value)).toBe(0);
    expect((await db.status()).device).toMatchObject({ kv: { usedBytes: 20 * value.length + 10 * 2 + 10 * 3 } });
    await db.close();
    await again.stop();
  } finally {
    await mine.dispose();
  }
});
