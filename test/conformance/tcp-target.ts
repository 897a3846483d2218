import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type NativeDevice, native } from '../../native/index.js';
import { TcpQueue } from '../../native/tcp-queue.js';
import { Fabrics } from '../../pushdown/runtime/wire.gen.js';
import type { Case, Step } from './case.js';
import { entryBytes } from './entry-bytes.js';
import { registerOneDataset } from './one-dataset.js';
import { oneSlot } from './one-slot.js';
import type { Answer, Target } from './target.js';

const names = { subsystem: 'nqn.2026-11.dev.millrace:conformance', host: 'nqn.2014-08.org.nvmexpress:uuid:2d7d1d7e-54a4-4f23-8a5e-5d1b8f0f3d11' };

/** Over a fabric the host identifier comes by Connect (Set Features is refused then), opcode 7Fh is a command, and data past MDTS is refused before the command is looked at. */
export const otherOverFabrics = ({ command, name }: Case): boolean =>
  (command === 'Set Features' && name.startsWith('Host Identifier')) || name.startsWith('Fabrics 7fh') || (command === 'KV Store' && name === 'a value one byte too long');

/** A device of its own, reached over NVMe/TCP with digests. */
export class TcpTarget implements Target {
  readonly name = 'NVMe/TCP';
  readonly #dir = mkdtempSync(join(tmpdir(), 'millrace-conformance-'));
  readonly #device: NativeDevice;
  #queues: readonly TcpQueue[] = [];

  constructor() {
    this.#device = native().openDevice({
      backingFile: join(this.#dir, 'nvm'), capacityBytes: 16 << 20, rawFile: join(this.#dir, 'raw'), rawBytes: 16 << 20, kvFile: join(this.#dir, 'kv'), kvBytes: 4 << 20, slmBytes: 16 << 20, ioThreads: 1, ...oneSlot,
      nqn: names.subsystem, nvmeTcp: { address: '127.0.0.1', port: 0 },
    });
    registerOneDataset(this.#device);
  }

  async reset(): Promise<void> {
    for (const queue of this.#queues) queue.close();
    // The controller of the case before ends when the device sees its connections do: its memory is needed.
    while (this.#device.stats().associations > 0) await new Promise((resolve) => { setImmediate(resolve); });
    const port = this.#device.stats().nvmeTcp?.port ?? 0;
    const admin = await TcpQueue.open(port);
    const { dw0: controller } = await admin.connect(names, 0, 32, 0xffff);
    await admin.fabrics(Fabrics.PropertySet, { cdw11: 0x14, cdw12: 0x00460061 });
    const io = await TcpQueue.open(port);
    const { status } = await io.connect(names, 1, 16, controller & 0xffff);
    if (status !== 0) throw new Error(`the I/O queue was refused with ${status.toString(16)}h`);
    this.#queues = [admin, io];
  }

  async run(step: Step): Promise<Answer> {
    const queue = this.#queues[step.queue];
    if (!queue) throw new Error('reset() comes first');
    const data = new Uint8Array(step.bytes ?? 0);
    const words = new DataView(data.buffer);
    for (const [at, value] of step.put ?? []) words.setUint32(at, value >>> 0, true);
    return { ...(await queue.run(entryBytes(step.entry), data)), data };
  }

  async close(): Promise<void> {
    for (const queue of this.#queues) queue.close();
    await this.#device.close();
    rmSync(this.#dir, { recursive: true });
  }
}
