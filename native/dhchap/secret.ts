import { createHmac } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** Hash functions of DH-HMAC-CHAP by identifier. NVMe base specification 2.0, 8.13.5.3. */
export const dhchapHashes = { 1: { name: 'sha256', bytes: 32 }, 2: { name: 'sha384', bytes: 48 }, 3: { name: 'sha512', bytes: 64 } } as const;
export type DhchapHashId = keyof typeof dhchapHashes;

/** A secret as `nvme gen-dhchap-key` prints it. */
export interface DhchapSecret {
  readonly key: Buffer;
  /** How the key becomes one of its owner's name; 0: it is used as it is. */
  readonly transform: 0 | DhchapHashId;
}

/** `DHHC-1:HH:base64 of key and its CRC-32:` (NVMe base specification 2.0, 8.13.5.8). Throws RangeError with a sentence that does not repeat the secret. */
export function parseDhchapSecret(text: string): DhchapSecret {
  const match = /^DHHC-1:0([0-3]):([A-Za-z0-9+/]+={0,2}):$/.exec(text);
  if (!match) throw new RangeError('a secret reads DHHC-1:HH:base64: (nvme gen-dhchap-key makes one)');
  const bytes = Buffer.from(match[2] ?? '', 'base64');
  const key = bytes.subarray(0, -4);
  if (![32, 48, 64].includes(key.length)) throw new RangeError('the key of a secret has 32, 48 or 64 bytes');
  if (bytes.readUInt32LE(key.length) !== crc32(key)) throw new RangeError('the CRC of a secret does not match: it was copied wrongly');
  const transform = Number(match[1]) as DhchapSecret['transform'];
  if (transform !== 0 && dhchapHashes[transform].bytes !== key.length) throw new RangeError('the length of a key and the hash its secret names differ');
  return { key, transform };
}

/** What its owner computes responses with. */
export function dhchapKeyOf(secret: DhchapSecret, ownerNqn: string): Buffer {
  if (secret.transform === 0) return secret.key;
  return createHmac(dhchapHashes[secret.transform].name, secret.key).update(ownerNqn).update('NVMe-over-Fabrics').digest();
}
