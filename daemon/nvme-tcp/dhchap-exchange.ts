import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { type DhchapHashId, type DhchapSecret, dhchapHashes, dhchapKeyOf } from './dhchap-secret.js';
import { type FfdheGroup, type FfdheKey, ffdheKey, isFfdheGroup } from './ffdhe.js';

/** Messages and reasons of DH-HMAC-CHAP. NVMe base specification 2.0, 8.13.5. */
const commonMessages = 0x00;
const dhchapMessages = 0x01;
const MessageId = { Negotiate: 0x00, Challenge: 0x01, Reply: 0x02, Success1: 0x03, Success2: 0x04, Failure2: 0xf0, Failure1: 0xf1 } as const;
export const FailureReason = { Failed: 0x01, HashUnusable: 0x04, GroupUnusable: 0x05, IncorrectPayload: 0x06, IncorrectMessage: 0x07, ConcatenationMismatch: 0x03 } as const;
type Reason = (typeof FailureReason)[keyof typeof FailureReason];

export interface DhchapHost {
  readonly secret: DhchapSecret;
  /** The controller's own, for hosts that want it to prove who it is. */
  readonly controllerSecret?: DhchapSecret;
}

export interface DhchapParties {
  readonly hostNqn: string;
  readonly subsystemNqn: string;
  readonly host: DhchapHost;
  /** Group asked for where the host offers it; 0: none. */
  readonly group: 0 | FfdheGroup;
}

export interface DhchapStep {
  readonly outcome: 'more' | 'proved' | 'failed';
  /** For the host's next Authentication Receive; empty: it has nothing to fetch. */
  readonly reply: Buffer;
}

interface Challenge {
  readonly hashId: DhchapHashId;
  readonly sequence: number;
  readonly value: Buffer;
  readonly key: FfdheKey | undefined;
}

/** The controller's side of one authentication, message by message. */
export class DhchapExchange {
  #expects: 'negotiate' | 'reply' | 'success2' | 'nothing' = 'negotiate';
  #transaction = 0;
  #challenge: Challenge | undefined;

  constructor(private readonly parties: DhchapParties) {}

  async receive(message: Uint8Array): Promise<DhchapStep> {
    const bytes = Buffer.from(message);
    if (bytes.length < 16) return this.#fail(FailureReason.IncorrectPayload);
    const type = bytes.readUInt8(0);
    const id = bytes.readUInt8(1);
    if (type === commonMessages && id === MessageId.Negotiate && this.#expects === 'negotiate') return this.#negotiate(bytes);
    if (type === commonMessages && id === MessageId.Failure2) return this.#end('failed');
    if (type !== dhchapMessages || bytes.readUInt16LE(4) !== this.#transaction) return this.#fail(FailureReason.IncorrectMessage);
    if (id === MessageId.Reply && this.#expects === 'reply' && this.#challenge) return this.#reply(bytes, this.#challenge);
    if (id === MessageId.Success2 && this.#expects === 'success2') return this.#end('proved');
    return this.#fail(FailureReason.IncorrectMessage);
  }

  async #negotiate(bytes: Buffer): Promise<DhchapStep> {
    const dhchapId = 0x01;
    this.#transaction = bytes.readUInt16LE(4);
    if (bytes.readUInt8(6) !== 0) return this.#fail(FailureReason.ConcatenationMismatch);
    const protocols = bytes.readUInt8(7);
    if (protocols === 0 || bytes.length < 8 + 64 * protocols) return this.#fail(FailureReason.IncorrectPayload);
    const offered = Array.from({ length: protocols }, (_, i) => bytes.subarray(8 + 64 * i, 72 + 64 * i)).find((p) => p.readUInt8(0) === dhchapId);
    const hashes = offered?.readUInt8(2) ?? 0;
    const groups = offered?.readUInt8(3) ?? 0;
    if (!offered || hashes > 30 || groups > 30) return this.#fail(FailureReason.IncorrectPayload);
    const hashId = [...offered.subarray(4, 4 + hashes)].find((id): id is DhchapHashId => id in dhchapHashes);
    if (hashId === undefined) return this.#fail(FailureReason.HashUnusable);
    const offeredGroups = [...offered.subarray(34, 34 + groups)];
    const group = [this.parties.group, ...offeredGroups].find((id): id is 0 | FfdheGroup => offeredGroups.includes(id) && (id === 0 || isFfdheGroup(id)));
    if (group === undefined) return this.#fail(FailureReason.GroupUnusable);

    const key = group === 0 ? undefined : await ffdheKey(group);
    const hashBytes = dhchapHashes[hashId].bytes;
    this.#challenge = { hashId, sequence: (randomBytes(4).readUInt32LE(0) % 0xffffffff) + 1, value: randomBytes(hashBytes), key };
    const head = header(dhchapMessages, MessageId.Challenge, this.#transaction);
    head.writeUInt8(hashBytes, 6);
    head.writeUInt8(hashId, 8);
    head.writeUInt8(group, 9);
    head.writeUInt16LE(key?.publicValue.length ?? 0, 10);
    head.writeUInt32LE(this.#challenge.sequence, 12);
    this.#expects = 'reply';
    return { outcome: 'more', reply: Buffer.concat([head, this.#challenge.value, key?.publicValue ?? Buffer.alloc(0)]) };
  }

  #reply(bytes: Buffer, challenge: Challenge): DhchapStep {
    const { bytes: hashBytes } = dhchapHashes[challenge.hashId];
    const valueBytes = bytes.readUInt16LE(10);
    if (bytes.readUInt8(6) !== hashBytes || bytes.length < 16 + 2 * hashBytes + valueBytes || valueBytes !== (challenge.key?.publicValue.length ?? 0)) return this.#fail(FailureReason.IncorrectPayload);
    const response = bytes.subarray(16, 16 + hashBytes);
    const counterChallenge = bytes.subarray(16 + hashBytes, 16 + 2 * hashBytes);
    let session: Buffer | undefined;
    try {
      session = challenge.key?.secretWith(bytes.subarray(16 + 2 * hashBytes, 16 + 2 * hashBytes + valueBytes));
    } catch {
      return this.#fail(FailureReason.GroupUnusable);
    }
    const { hostNqn, subsystemNqn, host } = this.parties;
    const expected = this.#response(challenge.hashId, dhchapKeyOf(host.secret, hostNqn), session, challenge.value, challenge.sequence, ['HostHost', hostNqn, '\0', subsystemNqn]);
    if (!timingSafeEqual(expected, response)) return this.#fail(FailureReason.Failed);

    const bothWays = bytes.readUInt8(8) === 1;
    if (bothWays && !host.controllerSecret) return this.#fail(FailureReason.Failed);
    const head = header(dhchapMessages, MessageId.Success1, this.#transaction);
    head.writeUInt8(hashBytes, 6);
    let own = Buffer.alloc(hashBytes);
    if (bothWays && host.controllerSecret) {
      head.writeUInt8(1, 8);
      own = this.#response(challenge.hashId, dhchapKeyOf(host.controllerSecret, subsystemNqn), session, counterChallenge, bytes.readUInt32LE(12), ['Controller', subsystemNqn, '\0', hostNqn]);
    }
    this.#challenge = undefined;
    this.#expects = bothWays ? 'success2' : 'nothing';
    return { outcome: bothWays ? 'more' : 'proved', reply: Buffer.concat([head, own]) };
  }

  /** HMAC over the (with a session key: augmented) challenge and what binds it to this transaction and these parties. */
  #response(hashId: DhchapHashId, key: Buffer, session: Buffer | undefined, challenge: Buffer, sequence: number, names: readonly string[]): Buffer<ArrayBuffer> {
    const { name } = dhchapHashes[hashId];
    const value = session ? createHmac(name, createHash(name).update(session).digest()).update(challenge).digest() : challenge;
    const bound = Buffer.alloc(7);
    bound.writeUInt32LE(sequence, 0);
    bound.writeUInt16LE(this.#transaction, 4);
    return names.reduce((hmac, part) => hmac.update(part), createHmac(name, key).update(value).update(bound)).digest() as Buffer<ArrayBuffer>;
  }

  #fail(reason: Reason): DhchapStep {
    const message = header(commonMessages, MessageId.Failure1, this.#transaction);
    const authenticationFailure = 0x01;
    message.writeUInt8(authenticationFailure, 6);
    message.writeUInt8(reason, 7);
    this.#expects = 'nothing';
    return { outcome: 'failed', reply: message };
  }

  #end(outcome: 'proved' | 'failed'): DhchapStep {
    this.#expects = 'nothing';
    return { outcome, reply: Buffer.alloc(0) };
  }
}

function header(type: number, id: number, transaction: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt8(type, 0);
  bytes.writeUInt8(id, 1);
  bytes.writeUInt16LE(transaction, 4);
  return bytes;
}
