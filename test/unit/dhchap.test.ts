import { checkPrimeSync, createHash, createHmac, randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../daemon/config.js';
import { DhchapExchange, type DhchapHost } from '../../daemon/nvme-tcp/dhchap-exchange.js';
import { readSecretFile } from '../../daemon/nvme-tcp/secret-file.js';
import { type FfdheGroup, ffdheKey, ffdhePrime } from '../../native/dhchap/ffdhe.js';
import { proveHost } from '../../native/dhchap/host-proof.js';
import { FailureReason } from '../../native/dhchap/messages.js';
import { type DhchapHashId, type DhchapSecret, dhchapHashes, dhchapKeyOf, parseDhchapSecret } from '../../native/dhchap/secret.js';

const hostNqn = 'nqn.2014-08.org.nvmexpress:uuid:2d7d1d7e-54a4-4f23-8a5e-5d1b8f0f3d11';
const subsystemNqn = 'nqn.2026-11.dev.millrace:device0';

function secretText(key: Buffer, transform = 0): string {
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc32(key));
  return `DHHC-1:0${transform}:${Buffer.concat([key, sum]).toString('base64')}:`;
}
const fresh = (bytes = 32, transform = 0): DhchapSecret => parseDhchapSecret(secretText(randomBytes(bytes), transform));

interface HostWish { readonly secret: DhchapSecret; readonly controllerSecret?: DhchapSecret; readonly hash: DhchapHashId; readonly groups: readonly number[] }

/** A host written from the specification, apart from the code under test. Says how far it came. */
async function authenticate(exchange: DhchapExchange, wish: HostWish): Promise<string> {
  const transaction = 0x1234;
  const message = (type: number, id: number, bytes = 16) => { const m = Buffer.alloc(bytes); m[0] = type; m[1] = id; m.writeUInt16LE(transaction, 4); return m; };
  const negotiate = message(0, 0, 72);
  negotiate[7] = 1;
  negotiate[8] = 1;
  negotiate[10] = 1;
  negotiate[11] = wish.groups.length;
  negotiate[12] = wish.hash;
  wish.groups.forEach((group, i) => { negotiate[42 + i] = group; });
  const challenge = (await exchange.receive(negotiate)).reply;
  if (challenge[1] !== 0x01) return `failure ${challenge[7]}`;
  const { name, bytes } = dhchapHashes[wish.hash];
  expect([challenge[6], challenge[8]]).toEqual([bytes, wish.hash]);
  const group = challenge[9] ?? 0;
  const theirs = challenge.subarray(16 + bytes);
  const own = group === 0 ? undefined : await ffdheKey(group as FfdheGroup);
  expect(theirs.length).toBe(own?.publicValue.length ?? 0);
  const session = own?.secretWith(theirs);
  const respond = (key: Buffer, value: Buffer, sequence: number, names: string) => {
    const augmented = session ? createHmac(name, createHash(name).update(session).digest()).update(value).digest() : value;
    const bound = Buffer.alloc(7);
    bound.writeUInt32LE(sequence, 0);
    bound.writeUInt16LE(transaction, 4);
    return createHmac(name, key).update(Buffer.concat([augmented, bound, Buffer.from(names)])).digest();
  };
  const counter = randomBytes(bytes);
  const head = message(1, 2);
  head[6] = bytes;
  head[8] = wish.controllerSecret ? 1 : 0;
  head.writeUInt16LE(own?.publicValue.length ?? 0, 10);
  head.writeUInt32LE(wish.controllerSecret ? 77 : 0, 12);
  const response = respond(dhchapKeyOf(wish.secret, hostNqn), challenge.subarray(16, 16 + bytes), challenge.readUInt32LE(12), `HostHost${hostNqn}\0${subsystemNqn}`);
  const step = await exchange.receive(Buffer.concat([head, response, counter, own?.publicValue ?? Buffer.alloc(0)]));
  if (step.reply[1] !== 0x03) return `failure ${step.reply[7]}`;
  if (!wish.controllerSecret) return step.outcome;
  expect(step.outcome).toBe('more');
  const expected = respond(dhchapKeyOf(wish.controllerSecret, subsystemNqn), counter, 77, `Controller${subsystemNqn}\0${hostNqn}`);
  if (!expected.equals(step.reply.subarray(16, 16 + bytes))) return 'the controller is another';
  return (await exchange.receive(message(1, 4))).outcome;
}

describe('DH-HMAC-CHAP', () => {
  const exchange = (host: DhchapHost, group: 0 | FfdheGroup = 0) => new DhchapExchange({ hostNqn, subsystemNqn, host, group });

  it('proves hosts with every hash, transform and group, in one direction and in both', async () => {
    for (const hash of [1, 2, 3] as const)
      for (const transform of [0, hash] as const)
        for (const group of [0, 1] as const) {
          const secret = fresh(dhchapHashes[hash].bytes, transform);
          const controllerSecret = fresh(dhchapHashes[hash].bytes, transform);
          expect(await authenticate(exchange({ secret }, group), { secret, hash, groups: [0, 1, 2] })).toBe('proved');
          expect(await authenticate(exchange({ secret, controllerSecret }, group), { secret, controllerSecret, hash, groups: [1, 0] })).toBe('proved');
        }
    expect(await authenticate(exchange({ secret: fresh() }, 2), { secret: fresh(), hash: 1, groups: [2] })).toBe(`failure ${FailureReason.Failed}`);
  });

  it('refuses a wrong key, a host that wants proof there is no secret for, and what it does not know', async () => {
    const secret = fresh();
    expect(await authenticate(exchange({ secret }), { secret: fresh(), hash: 1, groups: [0] })).toBe(`failure ${FailureReason.Failed}`);
    expect(await authenticate(exchange({ secret }), { secret, controllerSecret: fresh(), hash: 1, groups: [0] })).toBe(`failure ${FailureReason.Failed}`);
    expect(await authenticate(exchange({ secret, controllerSecret: fresh() }), { secret, controllerSecret: fresh(), hash: 1, groups: [0] })).toBe('the controller is another');
    expect(await authenticate(exchange({ secret }), { secret, hash: 9 as DhchapHashId, groups: [0] })).toBe(`failure ${FailureReason.HashUnusable}`);
    expect(await authenticate(exchange({ secret }), { secret, hash: 1, groups: [] })).toBe(`failure ${FailureReason.GroupUnusable}`);
  });

  it('lets our own host prove itself, with every hash and group, and tells it why not', async () => {
    const against = async (theirs: DhchapHost, ours: { secret: DhchapSecret; controllerSecret?: DhchapSecret }, group: 0 | FfdheGroup = 0) => {
      const one = exchange(theirs, group);
      let reply = Buffer.alloc(0);
      let outcome = '';
      const line = {
        send: async (message: Buffer) => {
          const step = await one.receive(message);
          reply = Buffer.concat([step.reply, Buffer.alloc(100)]); // as a buffer longer than the message is
          ({ outcome } = step);
        },
        receive: async () => reply,
      };
      await proveHost(line, { hostNqn, subsystemNqn, ...ours });
      return outcome;
    };
    for (const transform of [0, 1, 2, 3] as const)
      for (const group of [0, 1, 2] as const) {
        const bytes = transform === 0 ? 32 : dhchapHashes[transform].bytes;
        const secret = fresh(bytes, transform);
        const controllerSecret = fresh(bytes, transform);
        expect(await against({ secret }, { secret }, group)).toBe('proved');
        expect(await against({ secret, controllerSecret }, { secret, controllerSecret }, group)).toBe('proved');
      }
    const [secret, other] = [fresh(), fresh()];
    await expect(against({ secret }, { secret: other })).rejects.toThrow('the secret is not the one');
    await expect(against({ secret, controllerSecret: other }, { secret, controllerSecret: secret })).rejects.toThrow('the controller did not prove who it is');
    await expect(against({ secret }, { secret, controllerSecret: other })).rejects.toThrow('the secret is not the one');
  });

  it('answers every message out of turn, cut short or made up with a failure, never with a proof', async () => {
    const secret = fresh();
    for (let i = 0; i < 300; i++) {
      const one = exchange({ secret });
      for (let k = 0; k < 4; k++) {
        const bytes = randomBytes(1 + (i * 7 + k) % 120);
        if (i % 3 === 0 && bytes.length > 2) { bytes[0] = k % 2; bytes[1] = (i + k) % 5; }
        const { outcome, reply } = await one.receive(bytes);
        expect(outcome === 'failed' || (outcome === 'more' && reply[1] === 0x01)).toBe(true);
      }
    }
    const one = exchange({ secret });
    const success2 = Buffer.alloc(16);
    success2[0] = 1;
    success2[1] = 4;
    expect((await one.receive(success2)).outcome).toBe('failed');
  });

  it('uses the primes of RFC 7919', () => {
    for (const group of [1] as const) {
      const p = BigInt(`0x${ffdhePrime(group).toString('hex')}`);
      expect(checkPrimeSync(p, { checks: 2 }) && checkPrimeSync((p - 1n) / 2n, { checks: 2 })).toBe(true);
    }
    // The first and last words of appendix A.
    for (const [group, tail] of [[1, '886b423861285c97'], [2, '25e41d2b66c62e37'], [3, '5e655f6affffffffffffffff'], [4, 'd0e40e65ffffffffffffffff'], [5, 'd68c8bb7c5c6424cffffffffffffffff']] as const)
      expect(ffdhePrime(group).toString('hex').endsWith(tail.endsWith('f') ? tail : `${tail}ffffffffffffffff`)).toBe(true);
    expect(ffdhePrime(1).toString('hex').startsWith('ffffffffffffffffadf85458a2bb4a9aafdc5620273d3cf1')).toBe(true);
  });
});

describe('secrets', () => {
  it('are read as nvme-cli writes them, and refused with a sentence otherwise', () => {
    const key = randomBytes(48);
    expect(parseDhchapSecret(secretText(key, 2))).toEqual({ key, transform: 2 });
    const good = secretText(key);
    const damaged = `${good.slice(0, 20)}${good[20] === 'A' ? 'B' : 'A'}${good.slice(21)}`;
    for (const text of ['', 'DHHC-1:00:', good.slice(0, -1), damaged, secretText(randomBytes(20)), secretText(key, 1), good.replace('DHHC-1', 'DHHC-2')]) expect(() => parseDhchapSecret(text)).toThrow(RangeError);
  });

  it('come from a file only its owner reads; hosts of other machines need one', () => {
    const dir = mkdtempSync(join(tmpdir(), 'millrace-secrets-'));
    const path = join(dir, 'secrets');
    const refused = expect.objectContaining({ code: 'MR_NVME_SECRET_FILE' });
    try {
      writeFileSync(path, `# hosts\n\n${hostNqn} ${secretText(randomBytes(32))} ${secretText(randomBytes(32))}\nnqn.2026-01.org.example:b ${secretText(randomBytes(64), 3)}\n`, { mode: 0o600 });
      expect([...readSecretFile(path).keys()]).toEqual([hostNqn, 'nqn.2026-01.org.example:b']);
      expect([...readSecretFile(path).values()].map(({ token }) => token)).toEqual([undefined, undefined]);
      writeFileSync(path, `${hostNqn} ${secretText(randomBytes(32))} token=lab\nnqn.2026-01.org.example:b ${secretText(randomBytes(32))} ${secretText(randomBytes(32))} token=b\n`);
      expect([...readSecretFile(path).values()].map(({ token, controllerSecret }) => [token, controllerSecret !== undefined])).toEqual([['lab', false], ['b', true]]);
      expect(() => readConfig({ dir, nvmeTcp: '0.0.0.0:4420' })).toThrow(expect.objectContaining({ code: 'MR_CONFIG' }));
      expect(readConfig({ dir, nvmeTcp: '0.0.0.0:4420', nvmeTcpSecretFile: path }).nvmeTcp).toBe('0.0.0.0:4420');
      for (const nvmeTcp of ['127.0.0.1', '127.0.0.1:70000', 'example.org:4420', ':4420']) expect(() => readConfig({ dir, nvmeTcp })).toThrow(expect.objectContaining({ code: 'MR_CONFIG' }));
      for (const nvmeTcp of ['127.0.0.1:4420', '[::1]:0', 'localhost:1']) expect(readConfig({ dir, nvmeTcp }).nvmeTcp).toBe(nvmeTcp);
      chmodSync(path, 0o644);
      expect(() => readSecretFile(path)).toThrow(refused);
      for (const text of ['', `${hostNqn}\n`, `host ${secretText(randomBytes(32))}\n`, `${hostNqn} DHHC-1:00:abcd:\n`, `${hostNqn} token=lab\n`, `${hostNqn} ${secretText(randomBytes(32))} token=\n`, `${hostNqn} ${secretText(randomBytes(32))} tenant=lab\n`]) {
        rmSync(path);
        writeFileSync(path, text, { mode: 0o600 });
        expect(() => readSecretFile(path)).toThrow(refused);
      }
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
