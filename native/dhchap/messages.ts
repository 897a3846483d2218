import { createHash, createHmac } from 'node:crypto';
import { type DhchapHashId, dhchapHashes } from './secret.js';

/** Messages and reasons of DH-HMAC-CHAP. NVMe base specification 2.0, 8.13.5. */
export const commonMessages = 0x00;
export const dhchapMessages = 0x01;
export const MessageId = { Negotiate: 0x00, Challenge: 0x01, Reply: 0x02, Success1: 0x03, Success2: 0x04, Failure2: 0xf0, Failure1: 0xf1 } as const;
export const FailureReason = { Failed: 0x01, HashUnusable: 0x04, GroupUnusable: 0x05, IncorrectPayload: 0x06, IncorrectMessage: 0x07, ConcatenationMismatch: 0x03 } as const;
export type Reason = (typeof FailureReason)[keyof typeof FailureReason];

/** The first 16 bytes every message has. */
export function header(type: number, id: number, transaction: number): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt8(type, 0);
  bytes.writeUInt8(id, 1);
  bytes.writeUInt16LE(transaction, 4);
  return bytes;
}

export interface Challenged {
  readonly hashId: DhchapHashId;
  readonly key: Buffer;
  /** Of the Diffie-Hellman exchange, where there was one. */
  readonly session: Buffer | undefined;
  readonly challenge: Buffer;
  readonly sequence: number;
  readonly transaction: number;
}

/** HMAC over the (with a session key: augmented) challenge and what binds it to this transaction and these parties. */
export function response({ hashId, key, session, challenge, sequence, transaction }: Challenged, names: readonly string[]): Buffer<ArrayBuffer> {
  const { name } = dhchapHashes[hashId];
  const value = session ? createHmac(name, createHash(name).update(session).digest()).update(challenge).digest() : challenge;
  const bound = Buffer.alloc(7);
  bound.writeUInt32LE(sequence, 0);
  bound.writeUInt16LE(transaction, 4);
  return names.reduce((hmac, part) => hmac.update(part), createHmac(name, key).update(value).update(bound)).digest() as Buffer<ArrayBuffer>;
}

export const hostNames = (hostNqn: string, subsystemNqn: string): readonly string[] => ['HostHost', hostNqn, '\0', subsystemNqn];
export const controllerNames = (hostNqn: string, subsystemNqn: string): readonly string[] => ['Controller', subsystemNqn, '\0', hostNqn];
