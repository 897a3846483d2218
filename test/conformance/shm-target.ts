import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type NativeDevice, type NativeQueue, native } from '../../native/index.js';
import { Cqe, Sqe } from '../../pushdown/runtime/wire.gen.js';
import type { Step } from './case.js';
import { registerOneDataset } from './one-dataset.js';
import { oneSlot } from './one-slot.js';
import type { Answer, Target } from './target.js';

const dataBytes = 8 << 20;
/** Byte-addressable, and fast enough not to be felt. */
const memoryMedia = { kind: 'memory', lineBytes: 256, modules: 1, loadNs: 1, loadBufferedNs: 1, storeNtNs: 1, storeFlushedNs: 1, lineReadNs: 0.001, lineWriteNs: 0.001 } as const;

/** A device of its own, reached by a local client over rings in shared memory. */
export class ShmTarget implements Target {
  readonly name = 'shared memory';
  readonly #dir = mkdtempSync(join(tmpdir(), 'millrace-conformance-'));
  readonly #device: NativeDevice;
  #queue: NativeQueue | undefined;
  #answered: ((cqe: DataView) => void) | undefined;

  /** memory: the media is memory, and the host may write the upper half of namespace 1. */
  constructor(private readonly memory = false) {
    this.#device = native().openDevice({
      backingFile: join(this.#dir, 'nvm'), capacityBytes: 16 << 20, rawFile: join(this.#dir, 'raw'), rawBytes: 16 << 20, kvFile: join(this.#dir, 'kv'), kvBytes: 4 << 20, slmBytes: 16 << 20, ioThreads: 1, ...oneSlot,
      socketPath: join(this.#dir, 'socket'), ...(memory ? { model: { media: memoryMedia } } : {}),
    });
    registerOneDataset(this.#device);
  }

  async reset(): Promise<void> {
    this.#queue?.close();
    const ticket = this.memory ? { ticket: this.#device.grantTicket([{ slba: 2048, blocks: 2048 }]) } : {};
    const queue = native().attachDevice(join(this.#dir, 'socket'), { dataBytes, entries: 16, ...ticket });
    queue.onCompletion((cqes) => this.#answered?.(new DataView(cqes.buffer, cqes.byteOffset, Cqe.bytes)));
    this.#queue = queue;
  }

  run(step: Step): Promise<Answer> {
    const queue = this.#queue;
    if (!queue) throw new Error('reset() comes first');
    const { entry } = step;
    const bytes = step.bytes ?? 0;
    const data = new Uint8Array(queue.data, 0, bytes);
    data.fill(0);
    const words = new DataView(queue.data);
    for (const [at, value] of step.put ?? []) words.setUint32(at, value >>> 0, true);
    const sqe = new DataView(new ArrayBuffer(Sqe.bytes));
    sqe.setUint8(Sqe.opc, entry.opc);
    sqe.setUint8(Sqe.flags, entry.flags ?? 0);
    sqe.setUint32(Sqe.nsid, (entry.nsid ?? 0) >>> 0, true);
    const { cdw2 = 0, cdw3 = 0, cdw4 = 0, cdw5 = 0, cdw10 = 0, cdw11 = 0, cdw12 = 0, cdw13 = 0, cdw14 = 0, cdw15 = 0 } = entry;
    for (const [at, value] of [[Sqe.cdw2, cdw2], [Sqe.cdw3, cdw3], [Sqe.mptr, cdw4], [Sqe.mptr + 4, cdw5], [Sqe.cdw10, cdw10], [Sqe.cdw11, cdw11], [Sqe.cdw12, cdw12], [Sqe.cdw13, cdw13], [Sqe.cdw14, cdw14], [Sqe.cdw15, cdw15]] as const)
      sqe.setUint32(at, value >>> 0, true);
    sqe.setBigUint64(Sqe.prp2, BigInt(bytes), true);
    return new Promise<Answer>((resolve) => {
      this.#answered = (cqe) => {
        queue.ref(false);
        resolve({ status: (cqe.getUint16(Cqe.status, true) >>> 1) & 0x7ff, dw0: cqe.getUint32(Cqe.dw0, true), data: data.slice() });
      };
      queue.ref(true);
      queue.submit(step.queue, new Uint8Array(sqe.buffer), 1);
    });
  }

  async close(): Promise<void> {
    this.#queue?.close();
    await this.#device.close();
    rmSync(this.#dir, { recursive: true });
  }
}
