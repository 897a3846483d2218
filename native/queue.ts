import { setMaxListeners } from 'node:events';
import { Cqe, Nsid, Opcode, Sqe, Status } from '../pushdown/runtime/wire.gen.js';
import { MillraceError, invariant } from '../pushdown/types/error.js';
import { CommandRing, type Pending } from './command-ring.js';
import { type Completion, expectSuccess } from './command-status.js';
import type { NativeQueue } from './index.js';
import { createIoQueue, type IoQueue, type IoQueueOptions } from './io-queue.js';
import { type Region, RegionAllocator } from './region.js';

export type { Completion } from './command-status.js';
export type { IoQueue, IoQueueOptions } from './io-queue.js';
export type { Region } from './region.js';

/** The fields of a submission queue entry a caller sets; cid and the data pointer are the queue's. */
export interface CommandFields {
  readonly opc: number;
  readonly nsid?: number;
  readonly cdw2?: number;
  readonly cdw3?: number;
  readonly cdw10?: number;
  readonly cdw11?: number;
  readonly cdw12?: number;
  readonly cdw13?: number;
  readonly cdw14?: number;
  readonly cdw15?: number;
}

export const BLOCK_BYTES = 4096;
/** One Read or Write at most; longer ones are split so that a neighbour's 4 KiB never waits behind them. */
const TRANSFER_BYTES_MAX = 2 << 20;
const ADMIN_ENTRIES = 32;
/** I/O queue pairs of one association, its first among them. */
const IO_QUEUES_MAX = 64;

/** What a command ends with that its deleted queue never gave to the device. */
const deletedUnder: Completion = { status: Status.AbortedQueueDeletion, dw0: 0, dw1: 0 };

/**
 * Commands as promises over one association. Submissions of one microtask turn go out together with one doorbell; more
 * commands than the ring has entries wait here, in order.
 */
export class CommandQueue {
  readonly #native: NativeQueue;
  /** By queue number; 0 and 1 are there from the start. */
  readonly #rings: (CommandRing | undefined)[];
  /** Numbers of created queues, from before they are made until both queues of the pair are gone. */
  readonly #created = new Set<number>();
  readonly #regions: RegionAllocator;
  #flushScheduled = false;
  #outstanding = 0;
  #closed: string | undefined;
  #onClose: ((reason: string) => void)[] = [];

  /** entries: those the association was attached with. */
  constructor(native: NativeQueue, options: { readonly entries: number }) {
    this.#native = native;
    this.#rings = [new CommandRing(0, ADMIN_ENTRIES), new CommandRing(1, options.entries)];
    this.#regions = new RegionAllocator(native.data);
    native.ref(false);
    native.onCompletion((cqes, count) => this.#complete(cqes, count));
    native.onClose((reason) => this.#end(reason));
  }

  get dataBytes(): number {
    return this.#native.data.byteLength;
  }
  get closed(): boolean {
    return this.#closed !== undefined;
  }
  /** Called once when the device ends the association; not by close(). */
  onClose(callback: (reason: string) => void): void {
    this.#onClose.push(callback);
  }

  /** Memory for the data of commands; waits until there is enough. Give it back with release(). */
  acquire(bytes: number, signal?: AbortSignal): Promise<Region> {
    return this.#regions.acquire(bytes, signal);
  }
  release(region: Region): void {
    this.#regions.release(region);
  }

  /**
   * One command on queue 0 (admin) or 1 (I/O), data in or out through `region`. Resolves with its status whatever that is;
   * rejects when the association is gone (MR_ASSOCIATION_LOST) or `signal` aborts. An aborted command still runs to its end
   * at the device: end a waiting ScanResult by ScanClose.
   */
  send(queueId: 0 | 1, fields: CommandFields, region?: Region, signal?: AbortSignal): Promise<Completion> {
    return this.#enqueue(queueId, fields, region, region, signal);
  }

  /** A further pair of I/O queues, with rings in the data region. Rejects with what the device answered when it makes none. */
  async createQueue(options: IoQueueOptions): Promise<IoQueue> {
    let id = 2;
    while (this.#created.has(id)) id++;
    if (id > IO_QUEUES_MAX) throw new MillraceError('MR_DEVICE_LIMIT', `An association has at most ${IO_QUEUES_MAX} pairs of I/O queues: delete one.`);
    this.#created.add(id);
    const gone = () => void this.#created.delete(id);
    try {
      return await createIoQueue({
        acquire: (bytes) => this.acquire(bytes),
        release: (region) => this.release(region),
        admin: (fields, region) => this.#enqueue(0, fields, region, region),
        send: (queueId, fields, region, signal) => this.#enqueue(queueId, fields, region, region, signal),
        opened: (queueId, sq, cq, entries) => this.#open(queueId, sq, cq, entries),
        ended: (queueId) => this.#abandon(queueId),
      }, id, options, gone);
    } catch (error) {
      gone();
      throw error;
    }
  }

  /** Reads `blocks` blocks of namespace 1 into the start of `region`. */
  async readBlocks(slba: number, blocks: number, region: Region, signal?: AbortSignal): Promise<void> {
    await this.#transfer(Opcode.Read, slba, blocks, region, signal);
  }
  /** Writes `blocks` blocks of namespace 1 from the start of `region`. Durable after flush(). */
  async writeBlocks(slba: number, blocks: number, region: Region, signal?: AbortSignal): Promise<void> {
    await this.#transfer(Opcode.Write, slba, blocks, region, signal);
  }
  /** Everything written before, by any association, is on the media when this resolves. */
  async flush(): Promise<void> {
    expectSuccess(await this.send(1, { opc: Opcode.Flush, nsid: Nsid.Nvm }), 'Flush');
  }

  close(): void {
    if (this.#closed !== undefined) return;
    this.#onClose = [];
    this.#end('closed by this side');
    this.#native.close();
  }

  async #transfer(opc: number, slba: number, blocks: number, region: Region, signal?: AbortSignal): Promise<void> {
    invariant(blocks * BLOCK_BYTES <= region.bytes, 'the blocks fit into the region');
    const step = TRANSFER_BYTES_MAX / BLOCK_BYTES;
    const parts: Promise<Completion>[] = [];
    for (let at = 0; at < blocks; at += step) {
      const n = Math.min(step, blocks - at);
      const part: Region = { offset: region.offset + at * BLOCK_BYTES, bytes: n * BLOCK_BYTES, view: region.view };
      const fields = { opc, nsid: Nsid.Nvm, cdw10: (slba + at) >>> 0, cdw11: Math.floor((slba + at) / 2 ** 32), cdw12: n - 1 };
      parts.push(this.#enqueue(1, fields, region, part, signal));
    }
    const what = `${opc === Opcode.Read ? 'Reading' : 'Writing'} blocks ${slba}..${slba + blocks - 1}`;
    for (const completion of await Promise.all(parts)) expectSuccess(completion, what);
  }

  /** `part`: what the data pointer names; `whole`: the held region it lies in. */
  #enqueue(queueId: number, fields: CommandFields, whole: Region | undefined, part: Region | undefined, signal?: AbortSignal): Promise<Completion> {
    if (this.#closed !== undefined) return Promise.reject(this.#lost());
    if (signal?.aborted) return Promise.reject(signal.reason);
    const ring = this.#rings[queueId];
    if (!ring) return Promise.resolve(deletedUnder);
    return new Promise<Completion>((resolve, reject) => {
      const leave = whole && this.#regions.use(whole);
      const onAbort = () => reject(signal?.reason);
      if (signal) setMaxListeners(0, signal); // one listener per command in flight is no leak
      signal?.addEventListener('abort', onAbort, { once: true });
      const done = () => {
        signal?.removeEventListener('abort', onAbort);
        leave?.();
      };
      ring.waiting.push({ fields, region: part, resolve, reject, done });
      if (this.#outstanding++ === 0) this.#native.ref(true);
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    queueMicrotask(() => {
      this.#flushScheduled = false;
      if (this.#closed !== undefined) return;
      for (const ring of this.#rings) if (ring) this.#submit(ring);
    });
  }

  #submit(ring: CommandRing): void {
    const count = Math.min(ring.waiting.length, ring.free.length);
    if (count === 0) return;
    for (let i = 0; i < count; i++) {
      const pending = ring.waiting[i];
      const cid = ring.free.pop();
      invariant(cid !== undefined, 'a command identifier is free');
      ring.running[cid] = pending;
      ring.encode(i * Sqe.bytes, cid, pending.fields, pending.region);
    }
    ring.waiting.splice(0, count);
    const fitted = this.#native.submit(ring.queueId, ring.staging, count);
    invariant(fitted === count, 'the ring has an entry for every free command identifier');
  }

  #complete(cqes: Uint8Array, count: number): void {
    const view = new DataView(cqes.buffer, cqes.byteOffset, count * Cqe.bytes);
    for (let i = 0; i < count; i++) {
      const at = i * Cqe.bytes;
      const ring = this.#rings[view.getUint16(at + Cqe.sqid, true)];
      const cid = view.getUint16(at + Cqe.cid, true);
      const pending = ring?.running[cid];
      if (!ring || !pending) continue; // a lying device: nothing waits for this
      ring.running[cid] = undefined;
      ring.free.push(cid);
      this.#settle(pending, { status: (view.getUint16(at + Cqe.status, true) >>> 1) & 0x7ff, dw0: view.getUint32(at + Cqe.dw0, true), dw1: view.getUint32(at + Cqe.dw1, true) });
    }
    for (const ring of this.#rings) if (ring && ring.waiting.length > 0) this.#schedule();
  }

  #settle(pending: Pending, completion: Completion): void {
    pending.done();
    pending.resolve(completion);
    if (--this.#outstanding === 0) this.#native.ref(false);
  }

  #open(queueId: number, sq: Region, cq: Region, entries: number): void {
    this.#native.addQueue(queueId, sq.offset, cq.offset, entries);
    this.#rings[queueId] = new CommandRing(queueId, entries);
  }

  /** The device deleted the submission queue, and before it said so it answered all that it had begun. */
  #abandon(queueId: number): void {
    const cqes = new Uint8Array(64 * Cqe.bytes);
    for (let count = this.#native.poll(cqes); count > 0; count = this.#native.poll(cqes)) this.#complete(cqes, count);
    const ring = this.#rings[queueId];
    this.#rings[queueId] = undefined;
    this.#native.removeQueue(queueId);
    for (const pending of ring?.take() ?? []) this.#settle(pending, deletedUnder);
  }

  #end(reason: string): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    this.#native.ref(false);
    for (const ring of this.#rings)
      for (const pending of ring?.take() ?? []) {
        pending.done();
        pending.reject(this.#lost());
      }
    this.#outstanding = 0;
    for (const callback of this.#onClose) callback(reason);
  }

  #lost(): MillraceError {
    return new MillraceError('MR_ASSOCIATION_LOST', `The association with the device ended: ${this.#closed}. Attach again.`);
  }
}
