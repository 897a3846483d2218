import { Fabrics, Sqe } from '../pushdown/runtime/wire.gen.js';
import { MillraceError } from '../pushdown/types/error.js';
import { type Completion, statusName } from './command-status.js';
import type { CommandFields, CommandSender } from './command-sender.js';
import { proveHost } from './dhchap/host-proof.js';
import type { DhchapSecret } from './dhchap/secret.js';
import type { Region } from './region.js';
import { TcpQueue } from './tcp-queue.js';

export interface TcpEndpoint {
  readonly address: string;
  readonly port: number;
  readonly subsystemNqn: string;
  readonly hostNqn: string;
  /** What this host proves itself with, where the controller wants it. */
  readonly secret?: DhchapSecret;
  /** The controller has to prove who it is by this. */
  readonly controllerSecret?: DhchapSecret;
}

const adminEntries = 32;
const ioEntries = 16;
const anyController = 0xffff;
const configurationAt = 0x14;
/** CC: enabled, all I/O command sets, entries of 64 and 16 bytes. */
const enabled = 0x00460061;
const authenticationRequired = 1 << 17;
/** NVMe base specification 2.0, 8.13: security protocol E9h, both protocol-specific fields 1. */
const authenticationProtocol = 0xe9_0101_00;
/** Longer than any message: a hash's value and the public value of the largest group. */
const messageBytesMax = 4096;

/** A controller reached over NVMe/TCP: an admin queue and one I/O queue, one command after the other on each. */
export class TcpHost implements CommandSender {
  readonly #queues: readonly [TcpQueue, TcpQueue];
  readonly #last: [Promise<unknown>, Promise<unknown>] = [Promise.resolve(), Promise.resolve()];

  private constructor(admin: TcpQueue, io: TcpQueue) {
    this.#queues = [admin, io];
  }

  /** @throws MillraceError MR_ATTACH */
  static async connect(to: TcpEndpoint): Promise<TcpHost> {
    const opened: TcpQueue[] = [];
    const names = { subsystem: to.subsystemNqn, host: to.hostNqn };
    const accepted = <T extends { readonly status: number }>(answer: T, what: string): T => {
      if (answer.status !== 0) throw new Error(`${what} was refused: ${statusName(answer.status)}, NVMe status 0x${answer.status.toString(16)}`);
      return answer;
    };
    try {
      const admin = await TcpQueue.open(to.port, to.address);
      opened.push(admin);
      const { dw0 } = accepted(await admin.connect(names, 0, adminEntries, anyController), 'Connect');
      await prove(admin, dw0, to);
      accepted(await admin.fabrics(Fabrics.PropertySet, { cdw11: configurationAt, cdw12: enabled }), 'enabling the controller');
      const io = await TcpQueue.open(to.port, to.address);
      opened.push(io);
      await prove(io, accepted(await io.connect(names, 1, ioEntries, dw0 & 0xffff), 'Connect of the I/O queue').dw0, to);
      return new TcpHost(admin, io);
    } catch (cause) {
      for (const queue of opened) queue.close();
      throw new MillraceError('MR_ATTACH', `The device at ${to.address}:${to.port} cannot be connected to: ${(cause as Error).message}.`, { cause });
    }
  }

  async acquire(bytes: number): Promise<Region> {
    return { offset: 0, bytes, view: new Uint8Array(bytes) };
  }
  release(): void {}

  /** @throws MillraceError MR_ASSOCIATION_LOST */
  send(queueId: 0 | 1, fields: CommandFields, region?: Region): Promise<Completion> {
    const run = async (): Promise<Completion> => {
      try {
        return await this.#queues[queueId].run(entryOf(fields), region?.view ?? new Uint8Array());
      } catch (cause) {
        throw new MillraceError('MR_ASSOCIATION_LOST', `The device ended the connection: ${(cause as Error).message}.`, { cause });
      }
    };
    const done = this.#last[queueId].then(run, run);
    this.#last[queueId] = done;
    return done;
  }

  close(): void {
    for (const queue of this.#queues) queue.close();
  }
}

/** After Connect, on each connection for itself. */
async function prove(queue: TcpQueue, connected: number, { hostNqn, subsystemNqn, secret, controllerSecret }: TcpEndpoint): Promise<void> {
  if ((connected & authenticationRequired) === 0) {
    if (controllerSecret) throw new Error('the controller proves nothing, and was to prove who it is');
    return;
  }
  if (!secret) throw new Error('hosts must prove who they are (DH-HMAC-CHAP): give the secret of this host');
  const words = (bytes: number) => ({ cdw10: authenticationProtocol, cdw11: bytes });
  const expectDone = ({ status }: { readonly status: number }, what: string) => {
    if (status !== 0) throw new Error(`${what} was refused: ${statusName(status)}, NVMe status 0x${status.toString(16)}`);
  };
  await proveHost({
    send: async (message) => expectDone(await queue.fabrics(Fabrics.AuthenticationSend, words(message.length), Uint8Array.from(message)), 'Authentication Send'),
    receive: async () => {
      const message = Buffer.alloc(messageBytesMax);
      expectDone(await queue.fabrics(Fabrics.AuthenticationReceive, words(message.length), message), 'Authentication Receive');
      return message;
    },
  }, { hostNqn, subsystemNqn, secret, ...(controllerSecret ? { controllerSecret } : {}) });
}

function entryOf(fields: CommandFields): Buffer {
  const sqe = Buffer.alloc(Sqe.bytes);
  sqe.writeUInt8(fields.opc, Sqe.opc);
  for (const word of ['nsid', 'cdw2', 'cdw3', 'cdw10', 'cdw11', 'cdw12', 'cdw13', 'cdw14', 'cdw15'] as const) sqe.writeUInt32LE((fields[word] ?? 0) >>> 0, Sqe[word]);
  return sqe;
}
