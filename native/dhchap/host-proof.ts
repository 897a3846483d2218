import { randomBytes, timingSafeEqual } from 'node:crypto';
import { ffdheKey, isFfdheGroup } from './ffdhe.js';
import { FailureReason, MessageId, commonMessages, controllerNames, dhchapMessages, header, hostNames, response } from './messages.js';
import { type DhchapHashId, type DhchapSecret, dhchapHashes, dhchapKeyOf } from './secret.js';

export interface HostProof {
  readonly hostNqn: string;
  readonly subsystemNqn: string;
  readonly secret: DhchapSecret;
  /** Given: the controller has to prove who it is as well. */
  readonly controllerSecret?: DhchapSecret;
}

/** Authentication Send and Receive of one connection. */
export interface ProofLine {
  send(message: Buffer): Promise<void>;
  receive(): Promise<Buffer>;
}

const groups = [0, 1, 2, 3, 4, 5];
const reasons: Readonly<Record<number, string>> = {
  [FailureReason.Failed]: 'the secret is not the one it has for this host', [FailureReason.HashUnusable]: 'it uses none of the hash functions', [FailureReason.GroupUnusable]: 'it uses none of the Diffie-Hellman groups',
  [FailureReason.IncorrectPayload]: 'it could not read a message', [FailureReason.IncorrectMessage]: 'it expected another message', [FailureReason.ConcatenationMismatch]: 'it wants a secure channel',
};

/** The host's side of DH-HMAC-CHAP on one connection. Throws an Error with a sentence, which never has a secret in it. */
export async function proveHost(line: ProofLine, { hostNqn, subsystemNqn, secret, controllerSecret }: HostProof): Promise<void> {
  const transaction = randomBytes(2).readUInt16LE(0);
  await line.send(negotiation(transaction));
  const challenge = await expected(line, MessageId.Challenge, transaction);
  const hashId = challenge.readUInt8(8);
  const hash = hashId in dhchapHashes ? dhchapHashes[hashId as DhchapHashId] : undefined;
  const group = challenge.readUInt8(9);
  const valueBytes = challenge.readUInt16LE(10);
  if (!hash || challenge.readUInt8(6) !== hash.bytes || challenge.length < 16 + hash.bytes + valueBytes || !(group === 0 || isFfdheGroup(group)) || (group === 0) !== (valueBytes === 0)) throw new Error('the controller sent a challenge that is none');
  const own = group === 0 ? undefined : await ffdheKey(group);
  const session = own?.secretWith(challenge.subarray(16 + hash.bytes, 16 + hash.bytes + valueBytes));
  const asked = { hashId: hashId as DhchapHashId, session, transaction };
  const counter = { challenge: randomBytes(hash.bytes), sequence: controllerSecret ? (randomBytes(4).readUInt32LE(0) % 0xffffffff) + 1 : 0 };
  const reply = header(dhchapMessages, MessageId.Reply, transaction);
  reply.writeUInt8(hash.bytes, 6);
  reply.writeUInt8(controllerSecret ? 1 : 0, 8);
  reply.writeUInt16LE(own?.publicValue.length ?? 0, 10);
  reply.writeUInt32LE(counter.sequence, 12);
  const answer = response({ ...asked, key: dhchapKeyOf(secret, hostNqn), challenge: challenge.subarray(16, 16 + hash.bytes), sequence: challenge.readUInt32LE(12) }, hostNames(hostNqn, subsystemNqn));
  await line.send(Buffer.concat([reply, answer, counter.challenge, own?.publicValue ?? Buffer.alloc(0)]));
  const success = await expected(line, MessageId.Success1, transaction);
  if (!controllerSecret) return;
  const proof = response({ ...asked, ...counter, key: dhchapKeyOf(controllerSecret, subsystemNqn) }, controllerNames(hostNqn, subsystemNqn));
  if (success.readUInt8(8) !== 1 || success.length < 16 + hash.bytes || !timingSafeEqual(success.subarray(16, 16 + hash.bytes), proof)) throw new Error('the controller did not prove who it is: its secret is another');
  await line.send(header(dhchapMessages, MessageId.Success2, transaction));
}

function negotiation(transaction: number): Buffer {
  const message = Buffer.concat([header(commonMessages, MessageId.Negotiate, transaction).subarray(0, 8), Buffer.alloc(64)]);
  const hashes = Object.keys(dhchapHashes).map(Number);
  const descriptor = message.subarray(8);
  message.writeUInt8(1, 7); // descriptors of protocols
  descriptor.writeUInt8(1, 0); // DH-HMAC-CHAP
  descriptor.writeUInt8(hashes.length, 2);
  descriptor.writeUInt8(groups.length, 3);
  descriptor.set(hashes, 4);
  descriptor.set(groups, 34);
  return message;
}

async function expected(line: ProofLine, id: number, transaction: number): Promise<Buffer> {
  const message = await line.receive();
  if (message.readUInt8(0) === commonMessages && message.readUInt8(1) === MessageId.Failure1) throw new Error(`the controller refused this host: ${reasons[message.readUInt8(7)] ?? `reason ${message.readUInt8(7)}`}`);
  if (message.readUInt8(0) !== dhchapMessages || message.readUInt8(1) !== id || message.readUInt16LE(4) !== transaction) throw new Error('the controller sent a message out of turn');
  return message;
}
