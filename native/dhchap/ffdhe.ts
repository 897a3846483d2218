import { type KeyObject, createPublicKey, diffieHellman, generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';

/** Diffie-Hellman groups of DH-HMAC-CHAP by identifier: those of RFC 7919 (1 to 5). */
const groups = { 1: { bits: 2048, x: 560316n }, 2: { bits: 3072, x: 2625351n }, 3: { bits: 4096, x: 5736041n }, 4: { bits: 6144, x: 15705020n }, 5: { bits: 8192, x: 10965728n } } as const;
export type FfdheGroup = keyof typeof groups;
export const isFfdheGroup = (id: number): id is FfdheGroup => id in groups;

/** The form with 'dh', which @types/node leaves out. */
type GenerateDh = (type: 'dh', options: { readonly prime: Buffer; readonly generator: number }) => Promise<{ readonly publicKey: KeyObject; readonly privateKey: KeyObject }>;
const generateDhKeyPair = promisify(generateKeyPair) as unknown as GenerateDh;

/** One side of an exchange. */
export interface FfdheKey {
  readonly publicValue: Buffer;
  /** The shared secret, as long as the prime. Throws on a public value that is none. */
  secretWith(publicValue: Uint8Array): Buffer;
}

/** A fresh key; on a thread of its own, as it takes milliseconds. */
export async function ffdheKey(group: FfdheGroup): Promise<FfdheKey> {
  const prime = ffdhePrime(group);
  const { privateKey, publicKey } = await generateDhKeyPair('dh', { prime, generator: 2 });
  return {
    publicValue: padded(publicValueOf(publicKey), prime.length),
    secretWith: (value) => padded(diffieHellman({ privateKey, publicKey: publicKeyOf(prime, value) }), prime.length),
  };
}

/** RFC 7919, appendix A: p = 2^b - 2^(b-64) + (floor(2^(b-130) e) + X) 2^64 - 1. */
export function ffdhePrime(group: FfdheGroup): Buffer {
  const { bits, x } = groups[group];
  const b = BigInt(bits);
  const p = (1n << b) - (1n << (b - 64n)) + ((eulerTimes2To(b - 130n) + x) << 64n) - 1n;
  return Buffer.from(p.toString(16), 'hex');
}

/** floor(2^shift e), by its series with bits to spare. */
function eulerTimes2To(shift: bigint): bigint {
  const spare = 64n;
  let term = 1n << (shift + spare);
  let sum = 0n;
  for (let k = 1n; term > 0n; k++) {
    sum += term;
    term /= k;
  }
  return sum >> spare;
}

function padded(value: Uint8Array, bytes: number): Buffer {
  return Buffer.concat([Buffer.alloc(Math.max(0, bytes - value.length)), value]);
}

// X.509 form of a Diffie-Hellman key (PKCS #3): what Node takes and gives.
function publicKeyOf(prime: Buffer, value: Uint8Array): KeyObject {
  const dhKeyAgreement = Buffer.from('06092a864886f70d010301', 'hex');
  const algorithm = der(0x30, dhKeyAgreement, der(0x30, integer(prime), integer(Buffer.from([2]))));
  return createPublicKey({ key: der(0x30, algorithm, der(0x03, Buffer.from([0]), integer(value))), format: 'der', type: 'spki' });
}

/** The INTEGER in the BIT STRING behind the algorithm. */
function publicValueOf(publicKey: KeyObject): Buffer {
  const outer = content(publicKey.export({ format: 'der', type: 'spki' }), 0);
  const bitString = content(outer.body, content(outer.body, 0).end);
  const value = content(bitString.body.subarray(1), 0).body;
  return value[0] === 0 ? value.subarray(1) : value;
}

function content(bytes: Buffer, at: number): { readonly body: Buffer; readonly end: number } {
  const first = bytes.readUInt8(at + 1);
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
  const length = lengthBytes === 0 ? first : bytes.readUIntBE(at + 2, lengthBytes);
  const from = at + 2 + lengthBytes;
  return { body: bytes.subarray(from, from + length), end: from + length };
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const length = Buffer.from(body.length.toString(16).replace(/^(.(..)*)$/, '0$1'), 'hex');
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, body]);
}

function integer(value: Uint8Array): Buffer {
  const first = value.findIndex((b) => b !== 0);
  const bare = first < 0 ? Buffer.from([0]) : Buffer.from(value.subarray(first));
  return der(0x02, (bare[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.from([0]), bare]) : bare);
}
