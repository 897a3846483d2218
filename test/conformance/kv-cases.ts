import { KvOpcode, KvRetrieveOption, KvStoreOption, Nsid, type Status } from '../../pushdown/runtime/wire.gen.js';
import type { Case, Entry, Step, Word } from './case.js';
import { reservedCases } from './reserved.js';

type StatusName = keyof typeof Status;
const all = 0xffffffff;
const valueBytesMax = 2 << 20;
/** Bytes of keys and values the namespace holds. */
const capacityBytes = 4 << 20;

/** Fields of a key: text of up to 16 bytes. */
function key(text: string, length = text.length): Partial<Entry> {
  const bytes = Array.from({ length: 16 }, (_, i) => text.charCodeAt(i) || 0);
  const word = (at: number): number => (bytes.slice(at, at + 4).reduce((sum, byte, i) => sum | (byte << (8 * i)), 0)) >>> 0;
  return { cdw2: word(0), cdw3: word(4), cdw14: word(8), cdw15: word(12), cdw11: length };
}
const entry = (opc: number, text: string, bytes = 0, options = 0, length = text.length): Entry => {
  const fields = key(text, length);
  return { opc, nsid: Nsid.Kv, ...fields, cdw10: bytes, cdw11: (fields.cdw11 ?? 0) | (options << 8) };
};
const io = (fields: Entry, status: StatusName, more: Partial<Step> = {}): Step => ({ queue: 1, entry: fields, status, ...more });
const one = (command: string, name: string, ...steps: Step[]): Case => ({ command, name, steps });

const store = (text: string, put: readonly Word[], bytes: number, status: StatusName = 'Success', options = 0): Step => io(entry(KvOpcode.Store, text, bytes, options), status, { bytes, put });
const retrieve = (text: string, bytes: number, status: StatusName, more: Partial<Step> = {}): Step => io(entry(KvOpcode.Retrieve, text, bytes), status, { bytes, ...more });
const remove = (text: string, status: StatusName): Step => io(entry(KvOpcode.Delete, text), status);
const exist = (text: string, status: StatusName): Step => io(entry(KvOpcode.Exist, text), status);
/** Deletes it if it is there: cases leave nothing to those after them. */
const fresh = (...texts: string[]): Step[] => texts.flatMap((text) => [store(text, [], 4), remove(text, 'Success')]);

/** Lengths a key must not have, and namespaces there are not. */
function keyCases(command: string, opc: number, bytes: number, emptyAllowed = false): Case[] {
  const more = bytes > 0 ? { bytes } : {};
  const cases = [17, 18, 128, 255].map((length) => one(command, `a key of ${length} bytes`, io(entry(opc, 'k', bytes, 0, length), 'InvalidKeySize', more)));
  if (!emptyAllowed) cases.push(one(command, 'a key of no byte', io(entry(opc, '', bytes), 'InvalidKeySize', more)));
  return [...cases, ...[0, 99, all].map((nsid) => one(command, `namespace ${nsid.toString(16)}h`, io({ ...entry(opc, 'k', bytes), nsid }, 'InvalidNamespace', more)))];
}

const words: readonly Word[] = [[0, 0x11223344], [4, 0x55667788]];
const keyDwords = { cdw2: all, cdw3: all, cdw14: all, cdw15: all };
const length = 0xff;

const storeCases: Case[] = [
  ...keyCases('KV Store', KvOpcode.Store, 8),
  ...[1, 2, 8, 9, 15, 16].map((n) => one('KV Store', `a key of ${n} bytes is found again, and no shorter one`, ...fresh('s'.repeat(n)), store('s'.repeat(n), words, 8), retrieve('s'.repeat(n), 8, 'Success', { dw0: 8, get: words }), remove('s'.repeat(n), 'Success'), exist('s'.repeat(n), 'KeyNotFound'))),
  one('KV Store', 'no value', ...fresh('e'), io(entry(KvOpcode.Store, 'e'), 'Success'), retrieve('e', 8, 'Success', { dw0: 0, get: [[0, 0]] }), remove('e', 'Success')),
  one('KV Store', 'the longest value', ...fresh('long'), store('long', [[valueBytesMax - 4, 77]], valueBytesMax), retrieve('long', valueBytesMax, 'Success', { dw0: valueBytesMax, get: [[valueBytesMax - 4, 77]] }), remove('long', 'Success')),
  one('KV Store', 'a value one byte too long', io(entry(KvOpcode.Store, 'long', valueBytesMax + 1), 'InvalidValueSize', { bytes: valueBytesMax + 4 })),
  one('KV Store', 'a value of 2^32 - 1 bytes', io(entry(KvOpcode.Store, 'long', all), 'InvalidValueSize', { bytes: 4 })),
  one('KV Store', 'replaces', ...fresh('r'), store('r', words, 8), store('r', [[0, 9]], 4), retrieve('r', 8, 'Success', { dw0: 4, get: [[0, 9], [4, 0]] }), remove('r', 'Success')),
  one('KV Store', 'only if it exists: absent', ...fresh('o'), store('o', words, 8, 'KeyNotFound', KvStoreOption.OnlyIfExists), exist('o', 'KeyNotFound')),
  one('KV Store', 'only if it exists: there', ...fresh('o'), store('o', words, 8), store('o', [[0, 5]], 4, 'Success', KvStoreOption.OnlyIfExists), retrieve('o', 8, 'Success', { dw0: 4, get: [[0, 5]] }), remove('o', 'Success')),
  one('KV Store', 'only if absent: absent', ...fresh('o'), store('o', words, 8, 'Success', KvStoreOption.OnlyIfAbsent), remove('o', 'Success')),
  one('KV Store', 'only if absent: there', ...fresh('o'), store('o', words, 8), store('o', [[0, 5]], 4, 'KeyExists', KvStoreOption.OnlyIfAbsent), retrieve('o', 8, 'Success', { dw0: 8, get: words }), remove('o', 'Success')),
  one('KV Store', 'only if it exists and only if absent', store('o', words, 8, 'InvalidField', KvStoreOption.OnlyIfExists | KvStoreOption.OnlyIfAbsent)),
  one('KV Store', 'without compression', ...fresh('n'), store('n', words, 8, 'Success', KvStoreOption.NoCompression), remove('n', 'Success')),
  one('KV Store', 'less data than the value', io(entry(KvOpcode.Store, 'k', 8), 'DataSglLengthInvalid', { bytes: 7 })),
  one('KV Store', 'no data for a value', io(entry(KvOpcode.Store, 'k', 8), 'DataSglLengthInvalid')),
  one('KV Store', 'more data than the value', ...fresh('k'), io(entry(KvOpcode.Store, 'k', 4), 'Success', { bytes: 8, put: words }), retrieve('k', 8, 'Success', { dw0: 4, get: [[0, 0x11223344], [4, 0]] }), remove('k', 'Success')),
  one('KV Store', 'past the capacity, and again when there is room', ...fresh('1', '2', '3'), store('1', [], valueBytesMax), store('2', [], capacityBytes - valueBytesMax - 2), store('3', [], 4, 'CapacityExceeded'), exist('3', 'KeyNotFound'), remove('2', 'Success'), store('3', [], 4), remove('1', 'Success'), remove('3', 'Success')),
  ...reservedCases('KV Store', [store('k', words, 8)], { ...keyDwords, cdw10: all, cdw11: length | 7 << 8 }),
];

const retrieveCases: Case[] = [
  ...keyCases('KV Retrieve', KvOpcode.Retrieve, 8),
  one('KV Retrieve', 'a key that is not there', ...fresh('q'), retrieve('q', 8, 'KeyNotFound')),
  one('KV Retrieve', 'a short buffer', ...fresh('q'), store('q', words, 8), retrieve('q', 4, 'Success', { bytes: 8, dw0: 8, get: [[0, 0x11223344], [4, 0]] }), remove('q', 'Success')),
  one('KV Retrieve', 'no buffer', ...fresh('q'), store('q', words, 8), io(entry(KvOpcode.Retrieve, 'q'), 'Success', { dw0: 8 }), remove('q', 'Success')),
  one('KV Retrieve', 'raw', ...fresh('q'), store('q', words, 8), io(entry(KvOpcode.Retrieve, 'q', 8, KvRetrieveOption.Raw), 'Success', { bytes: 8, dw0: 8, get: words }), remove('q', 'Success')),
  one('KV Retrieve', 'less data than the buffer', io(entry(KvOpcode.Retrieve, 'q', 8), 'DataSglLengthInvalid', { bytes: 4 })),
  one('KV Retrieve', 'a buffer longer than a transfer', io(entry(KvOpcode.Retrieve, 'q', valueBytesMax + 1), 'InvalidField', { bytes: valueBytesMax + 4 })),
  ...reservedCases('KV Retrieve', [...fresh('k'), store('k', words, 8), retrieve('k', 8, 'Success')], { ...keyDwords, cdw10: all, cdw11: length | 1 << 8 }),
];

// Three keys, 'a' 'bb' and 16 times 'c': their entries take 4, 4 and 20 bytes.
const three = ['a', 'bb', 'c'.repeat(16)];
const listed = [...fresh(...three, 'k'), ...three.map((text) => store(text, words, 8))];
const forgotten = three.map((text) => remove(text, 'Success'));
const a: Word = [4, 0x00610001];
const bb: readonly Word[] = [[0, 1], [4, 0x62620002]];
const list = (from: string, bytes: number, more: Partial<Step> = {}): Step => io(entry(KvOpcode.List, from, bytes), 'Success', { bytes, ...more });
const listCases: Case[] = [
  ...keyCases('KV List', KvOpcode.List, 64, true),
  one('KV List', 'from the first, in order of bytes', ...listed, list('', 64, { dw0: 32, get: [[0, 3], a, [8, 0x62620002], [12, 0x63630010], [28, 0x00006363]] }), ...forgotten),
  one('KV List', 'from a key that is there', ...listed, list('bb', 64, { dw0: 28, get: [[0, 2], [4, 0x62620002]] }), ...forgotten),
  one('KV List', 'from between two keys', ...listed, list('bc', 64, { dw0: 24, get: [[0, 1], [4, 0x63630010]] }), ...forgotten),
  one('KV List', 'from behind the last', ...listed, list('d', 64, { dw0: 4, get: [[0, 0]] }), ...forgotten),
  one('KV List', 'as many as fit', ...listed, list('', 31, { dw0: 12, get: [[0, 2], a, [8, 0x62620002]] }), list('bb', 8, { dw0: 8, get: bb }), list('', 4, { dw0: 4, get: [[0, 0]] }), ...forgotten),
  one('KV List', 'of nothing', ...fresh('k', ...three), list('', 64, { dw0: 4, get: [[0, 0]] })),
  ...[0, 1, 3].map((bytes) => one('KV List', `a buffer of ${bytes} bytes`, io(entry(KvOpcode.List, '', bytes), 'InvalidField', { bytes: 8 }))),
  one('KV List', 'a buffer longer than a transfer', io(entry(KvOpcode.List, '', valueBytesMax + 1), 'InvalidField', { bytes: valueBytesMax + 4 })),
  one('KV List', 'less data than the buffer', io(entry(KvOpcode.List, '', 64), 'DataSglLengthInvalid', { bytes: 32 })),
  ...reservedCases('KV List', [list('k', 64)], { ...keyDwords, cdw10: all, cdw11: length }),
];

const deleteCases: Case[] = [
  ...keyCases('KV Delete', KvOpcode.Delete, 0),
  one('KV Delete', 'a key that is not there', ...fresh('d'), remove('d', 'KeyNotFound')),
  one('KV Delete', 'once', ...fresh('d'), store('d', words, 8), remove('d', 'Success'), remove('d', 'KeyNotFound'), retrieve('d', 8, 'KeyNotFound')),
  ...reservedCases('KV Delete', [...fresh('k'), store('k', words, 8), remove('k', 'Success')], { ...keyDwords, cdw11: length }),
];

const existCases: Case[] = [
  ...keyCases('KV Exist', KvOpcode.Exist, 0),
  one('KV Exist', 'there, and not there', ...fresh('x'), exist('x', 'KeyNotFound'), store('x', words, 8), exist('x', 'Success'), remove('x', 'Success')),
  ...reservedCases('KV Exist', [...fresh('k'), store('k', words, 8), exist('k', 'Success')], { ...keyDwords, cdw11: length }),
];

const flush: Entry = { opc: KvOpcode.Flush, nsid: Nsid.Kv };
const flushCases: Case[] = [one('KV Flush', 'after a store', ...fresh('f'), store('f', words, 8), io(flush, 'Success'), retrieve('f', 8, 'Success', { get: words }), remove('f', 'Success')), ...reservedCases('KV Flush', [io(flush, 'Success')], {})];

/** Opcodes of other command sets, and those of reservations, which the namespace does not have. */
const opcodes = new Set<number>(Object.values(KvOpcode));
const unknownCases: Case[] = Array.from({ length: 256 }, (_, opc) => opc).filter((opc) => !opcodes.has(opc) && opc % 7 === 3).map((opc) => one('KV unknown opcode', `${opc.toString(16)}h`, io(entry(opc, 'k'), 'InvalidOpcode')));

/** Namespace 5 is of the KV command set and holds 4 MiB. */
export const kvCases: readonly Case[] = [...storeCases, ...retrieveCases, ...listCases, ...deleteCases, ...existCases, ...flushCases, ...unknownCases];
