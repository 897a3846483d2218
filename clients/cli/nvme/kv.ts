import { KeyValue } from '../../node/kv/key-value.js';
import { ShmKv } from '../../node/kv/shm-kv.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import { printable } from '../output/table.js';
import { writeOut } from '../output/write.js';
import type { NvmeDevice } from './open-device.js';
import { inputBytes, numberOption, outputBytes } from './transfer.js';

export interface KvSettings {
  /** Keys on the command line and in answers are hexadecimal, not text. */
  readonly hex?: boolean;
  readonly data?: string;
  readonly onlyIfExists?: boolean;
  readonly onlyIfAbsent?: boolean;
  readonly limit?: string;
}
export const kvVerbs = ['store', 'retrieve', 'list', 'delete', 'exist', 'flush'] as const;
export type KvVerb = (typeof kvVerbs)[number];

/** One command of the KV command set. Resolves with false where the answer is no: no such key, or a condition that did not hold. */
export async function kv(device: NvmeDevice, verb: KvVerb, keyText: string | undefined, s: KvSettings, format: 'normal' | 'json'): Promise<boolean> {
  const store = new KeyValue(async () => new ShmKv(device.queue));
  const shown = (key: Uint8Array): string => (s.hex ? Buffer.from(key).toString('hex') : Buffer.from(key).toString('utf8'));
  const key = (): Uint8Array => {
    if (keyText === undefined) throw new MillraceError('MR_USAGE', `kv ${verb} needs a key.`, { field: 'key' });
    return keyOf(keyText, s.hex === true);
  };
  switch (verb) {
    case 'store': {
      if (s.onlyIfExists && s.onlyIfAbsent) throw new MillraceError('MR_USAGE', '--only-if-exists and --only-if-absent exclude each other.');
      return store.put(key(), inputBytes(s.data), s.onlyIfExists ? { when: 'exists' } : s.onlyIfAbsent ? { when: 'absent' } : {});
    }
    case 'retrieve': {
      const value = await store.get(key());
      if (value) await outputBytes(s.data, value);
      return value !== undefined;
    }
    case 'exist': return store.exists(key());
    case 'delete': return store.delete(key());
    case 'flush': {
      await store.flush();
      return true;
    }
    case 'list': {
      const limit = numberOption(s.limit, 'limit');
      const keys: string[] = [];
      for await (const found of store.list({ ...(keyText === undefined ? {} : { from: key() }), ...(limit === undefined ? {} : { limit }) })) keys.push(shown(found));
      await writeOut(format === 'json' ? `${JSON.stringify({ keys })}\n` : keys.map((k) => `${printable(k)}\n`).join(''));
      return true;
    }
    default: return verb satisfies never;
  }
}

function keyOf(text: string, isHex: boolean): Uint8Array {
  if (!isHex) return new TextEncoder().encode(text);
  if (!/^(0x)?([0-9a-f]{2})+$/i.test(text)) throw new MillraceError('MR_USAGE', `'${text}' is no hexadecimal key: write two digits per byte.`, { field: 'key' });
  return new Uint8Array(Buffer.from(text.replace(/^0x/i, ''), 'hex'));
}
