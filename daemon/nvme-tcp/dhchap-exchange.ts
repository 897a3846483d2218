import { randomBytes, timingSafeEqual } from 'node:crypto';
import { type FfdheGroup, type FfdheKey, ffdheKey, isFfdheGroup } from '../../native/dhchap/ffdhe.js';
import { FailureReason, MessageId, type Reason, commonMessages, controllerNames, dhchapMessages, header, hostNames, response } from '../../native/dhchap/messages.js';
import { type DhchapHashId, type DhchapSecret, dhchapHashes, dhchapKeyOf } from '../../native/dhchap/secret.js';

export interface DhchapHost {
  readonly secret: DhchapSecret;
  /** The controller's own, for hosts that want it to prove who it is. */
  readonly controllerSecret?: DhchapSecret;
  /** Name of the token whose rights it has; absent: it is as good as the daemon's own user. */
  readonly token?: string;
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

  /** Instead of the proof: for another reason the host may not come in. */
  refuse(): Buffer {
    return this.#fail(FailureReason.Failed).reply;
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
    const given = bytes.subarray(16, 16 + hashBytes);
    const counterChallenge = bytes.subarray(16 + hashBytes, 16 + 2 * hashBytes);
    let session: Buffer | undefined;
    try {
      session = challenge.key?.secretWith(bytes.subarray(16 + 2 * hashBytes, 16 + 2 * hashBytes + valueBytes));
    } catch {
      return this.#fail(FailureReason.GroupUnusable);
    }
    const { hostNqn, subsystemNqn, host } = this.parties;
    const asked = { hashId: challenge.hashId, session, transaction: this.#transaction };
    const expected = response({ ...asked, key: dhchapKeyOf(host.secret, hostNqn), challenge: challenge.value, sequence: challenge.sequence }, hostNames(hostNqn, subsystemNqn));
    if (!timingSafeEqual(expected, given)) return this.#fail(FailureReason.Failed);

    const bothWays = bytes.readUInt8(8) === 1;
    if (bothWays && !host.controllerSecret) return this.#fail(FailureReason.Failed);
    const head = header(dhchapMessages, MessageId.Success1, this.#transaction);
    head.writeUInt8(hashBytes, 6);
    let own = Buffer.alloc(hashBytes);
    if (bothWays && host.controllerSecret) {
      head.writeUInt8(1, 8);
      own = response({ ...asked, key: dhchapKeyOf(host.controllerSecret, subsystemNqn), challenge: counterChallenge, sequence: bytes.readUInt32LE(12) }, controllerNames(hostNqn, subsystemNqn));
    }
    this.#challenge = undefined;
    this.#expects = bothWays ? 'success2' : 'nothing';
    return { outcome: bothWays ? 'more' : 'proved', reply: Buffer.concat([head, own]) };
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
