import { type Socket, connect } from 'node:net';
import { CapsuleCmd, ConnectData, Cqe, DataPdu, Fabrics, IcReq, PduFlag, PduHeader, PduType, SglType, Sqe } from '../pushdown/runtime/wire.gen.js';
import { native } from './index.js';

export interface TcpAnswer {
  readonly status: number;
  readonly dw0: number;
  readonly dw1: number;
}

const digestBytes = 4;
const inCapsuleBytesMax = 8192;

/** A host's end of one NVMe/TCP queue, one command at a time, with both digests. Written from the specification, apart from the native initiator. Fails with an Error when the connection does. */
export class TcpQueue {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #wake: (() => void) | undefined;
  #ended: string | undefined;
  #nextCid = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => { this.#received = Buffer.concat([this.#received, bytes]); this.#wake?.(); });
    socket.on('close', () => { this.#ended ??= 'the controller closed the connection'; this.#wake?.(); });
    socket.on('error', (error) => { this.#ended ??= error.message; });
  }

  /** Rejects with what the socket says when nobody listens there. */
  static async open(port: number, address = '127.0.0.1'): Promise<TcpQueue> {
    const socket = connect(port, address);
    await new Promise<void>((resolve, reject) => { socket.once('connect', resolve); socket.once('error', reject); });
    const queue = new TcpQueue(socket);
    const request = Buffer.alloc(IcReq.bytes);
    request.writeUInt8(PduType.IcReq, IcReq.type);
    request.writeUInt8(IcReq.bytes, IcReq.hlen);
    request.writeUInt32LE(IcReq.bytes, IcReq.plen);
    request.writeUInt8(PduFlag.HeaderDigest | PduFlag.DataDigest, IcReq.digests);
    socket.write(request);
    const response = await queue.#pdu();
    if (response.readUInt8(0) !== PduType.IcResp) throw new Error('no ICResp came');
    return queue;
  }

  async connect(names: { readonly subsystem: string; readonly host: string }, queueId: number, entries: number, controllerId: number): Promise<TcpAnswer> {
    const data = Buffer.alloc(ConnectData.bytes);
    data.writeUInt8(1, ConnectData.hostid);
    data.writeUInt16LE(controllerId, ConnectData.cntlid);
    data.write(names.subsystem, ConnectData.subnqn);
    data.write(names.host, ConnectData.hostnqn);
    return this.fabrics(Fabrics.Connect, { cdw10: queueId << 16, cdw11: (entries - 1) | (4 << 16) }, data);
  }

  fabrics(type: number, words: { readonly cdw10?: number; readonly cdw11?: number; readonly cdw12?: number }, data = new Uint8Array()): Promise<TcpAnswer> {
    const sqe = Buffer.alloc(Sqe.bytes);
    sqe.writeUInt8(Fabrics.Opcode, Sqe.opc);
    sqe.writeUInt32LE(type, Sqe.nsid);
    sqe.writeUInt32LE(words.cdw10 ?? 0, Sqe.cdw10);
    sqe.writeUInt32LE(words.cdw11 ?? 0, Sqe.cdw11);
    sqe.writeUInt32LE(words.cdw12 ?? 0, Sqe.cdw12);
    return this.run(sqe, data);
  }

  /** `sqe` without cid, PSDT and data pointer; `data` goes out, or is filled, as the opcode says. */
  async run(sqe: Buffer, data: Uint8Array): Promise<TcpAnswer> {
    const cid = this.#nextCid++ & 0xffff;
    const bits = (sqe.readUInt8(Sqe.opc) === Fabrics.Opcode ? sqe.readUInt8(Sqe.nsid) : sqe.readUInt8(Sqe.opc)) & 3;
    const inCapsule = (bits & 1) === 1 && data.length > 0 && data.length <= inCapsuleBytesMax;
    sqe.writeUInt16LE(cid, Sqe.cid);
    sqe.writeUInt8(sqe.readUInt8(Sqe.flags) | 0x40, Sqe.flags);
    sqe.writeUInt32LE(data.length, Sqe.prp2);
    sqe.writeUInt8(inCapsule ? SglType.InCapsule : SglType.Transport, Sqe.prp2 + 7);
    const capsule = Buffer.alloc(CapsuleCmd.bytes);
    capsule.writeUInt8(PduType.CapsuleCmd, 0);
    sqe.copy(capsule, CapsuleCmd.sqe);
    this.#send(capsule, inCapsule ? data : new Uint8Array());
    for (;;) {
      const pdu = await this.#pdu();
      switch (pdu.readUInt8(PduHeader.type)) {
        case PduType.CapsuleResp: {
          const cqe = pdu.subarray(8, 8 + Cqe.bytes);
          if (cqe.readUInt16LE(Cqe.cid) !== cid) throw new Error('a completion of another command came');
          return { status: (cqe.readUInt16LE(Cqe.status) >>> 1) & 0x7ff, dw0: cqe.readUInt32LE(Cqe.dw0), dw1: cqe.readUInt32LE(Cqe.dw1) };
        }
        case PduType.C2hData: {
          const bytes = pdu.readUInt32LE(DataPdu.length);
          const from = pdu.readUInt8(PduHeader.pdo);
          const payload = pdu.subarray(from, from + bytes);
          if (pdu.readUInt32LE(from + bytes) !== native().crc32c(payload)) throw new Error('the data digest does not match');
          data.set(payload, pdu.readUInt32LE(DataPdu.offset));
          if (pdu.readUInt8(PduHeader.flags) & PduFlag.Success) return { status: 0, dw0: 0, dw1: 0 };
          break;
        }
        case PduType.R2t: {
          const offset = pdu.readUInt32LE(DataPdu.offset);
          const bytes = pdu.readUInt32LE(DataPdu.length);
          const step = 65_536;
          for (let sent = 0; sent < bytes; sent += step) {
            const n = Math.min(step, bytes - sent);
            const head = Buffer.alloc(DataPdu.bytes);
            head.writeUInt8(PduType.H2cData, 0);
            head.writeUInt8(sent + n === bytes ? PduFlag.LastPdu : 0, PduHeader.flags);
            pdu.copy(head, DataPdu.cccid, DataPdu.cccid, DataPdu.offset);
            head.writeUInt32LE(offset + sent, DataPdu.offset);
            head.writeUInt32LE(n, DataPdu.length);
            this.#send(head, data.subarray(offset + sent, offset + sent + n));
          }
          break;
        }
        default: throw new Error(`a PDU of type ${pdu.readUInt8(PduHeader.type)} came: ${pdu.toString('hex')}`);
      }
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  #send(head: Buffer, data: Uint8Array): void {
    const before = head.length + digestBytes;
    head.writeUInt8(head.readUInt8(PduHeader.flags) | PduFlag.HeaderDigest | (data.length > 0 ? PduFlag.DataDigest : 0), PduHeader.flags);
    head.writeUInt8(head.length, PduHeader.hlen);
    head.writeUInt8(data.length > 0 ? before : 0, PduHeader.pdo);
    head.writeUInt32LE(before + (data.length > 0 ? data.length + digestBytes : 0), PduHeader.plen);
    this.#socket.write(head);
    this.#socket.write(digestOf(head));
    if (data.length === 0) return;
    this.#socket.write(Uint8Array.from(data));
    this.#socket.write(digestOf(data));
  }

  async #pdu(): Promise<Buffer> {
    for (;;) {
      const plen = this.#received.length >= PduHeader.bytes ? this.#received.readUInt32LE(PduHeader.plen) : Number.POSITIVE_INFINITY;
      if (this.#received.length >= plen) {
        const pdu = this.#received.subarray(0, plen);
        this.#received = this.#received.subarray(plen);
        const hlen = pdu.readUInt8(PduHeader.hlen);
        if (pdu.readUInt8(PduHeader.flags) & PduFlag.HeaderDigest && pdu.readUInt32LE(hlen) !== native().crc32c(pdu.subarray(0, hlen))) throw new Error('the header digest does not match');
        return pdu;
      }
      if (this.#ended !== undefined) throw new Error(this.#ended);
      await new Promise<void>((resolve) => { this.#wake = resolve; });
    }
  }
}

function digestOf(bytes: Uint8Array): Buffer {
  const digest = Buffer.alloc(digestBytes);
  digest.writeUInt32LE(native().crc32c(bytes));
  return digest;
}
