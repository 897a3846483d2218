import { Cqe, Opcode, QueueHeader, Sqe } from '../pushdown/runtime/wire.gen.js';
import { MillraceError } from '../pushdown/types/error.js';
import { type Completion, expectSuccess } from './command-status.js';
import type { CommandFields } from './queue.js';
import type { Region } from './region.js';

/** QPRIO of Create I/O Submission Queue: how the device takes turns where the host asked for weighted round robin. */
const priorities = { urgent: 0, high: 1, medium: 2, low: 3 } as const;
/** Entries of a queue are 16 bits in the command; the device takes powers of two to 4096. */
const ENTRIES_MAX = 65536;

export interface IoQueueOptions {
  /** Commands at once: a power of two from 2 to 4096. */
  readonly entries: number;
  /** Absent: medium, as the queue an association begins with. */
  readonly priority?: keyof typeof priorities;
}

/** A pair of I/O queues made beside the one an association begins with. Its commands wait for no other queue's. */
export interface IoQueue {
  readonly id: number;
  /** As CommandQueue.send. On a deleted queue: AbortedQueueDeletion. */
  send(fields: CommandFields, region?: Region, signal?: AbortSignal): Promise<Completion>;
  /**
   * Resolves when both queues are gone, their number and memory free. What the device had begun ends as ever, what waits there for
   * something else (a scan's frames) or was not begun with AbortedQueueDeletion; all of it before this resolves.
   */
  delete(): Promise<void>;
}

/** What a pair needs of its association. */
export interface IoQueueHost {
  acquire(bytes: number): Promise<Region>;
  release(region: Region): void;
  admin(fields: CommandFields, region?: Region): Promise<Completion>;
  send(queueId: number, fields: CommandFields, region?: Region, signal?: AbortSignal): Promise<Completion>;
  /** The device serves the pair from now on. */
  opened(queueId: number, sq: Region, cq: Region, entries: number): void;
  /** It no longer does: what it answered is handed out, what it did not ends. */
  ended(queueId: number): void;
}

export async function createIoQueue(host: IoQueueHost, id: number, { entries, priority = 'medium' }: IoQueueOptions, gone: () => void): Promise<IoQueue> {
  if (!Number.isInteger(entries) || entries < 1 || entries > ENTRIES_MAX) throw new MillraceError('MR_QUEUE_ARGUMENT', `A queue of ${entries} entries cannot be asked for.`);
  const size = (id | ((entries - 1) << 16)) >>> 0;
  const cq = await host.acquire(entries * Cqe.bytes);
  let sq: Region | undefined;
  try {
    sq = await host.acquire(QueueHeader.bytes + entries * Sqe.bytes);
    expectSuccess(await host.admin({ opc: Opcode.AdminCreateIoCq, cdw10: size, cdw11: 1 }, cq), 'Creating an I/O completion queue');
    const made = await host.admin({ opc: Opcode.AdminCreateIoSq, cdw10: size, cdw11: 1 | (priorities[priority] << 1) | (id << 16) }, sq);
    if (made.status !== 0) await host.admin({ opc: Opcode.AdminDeleteIoCq, cdw10: id });
    expectSuccess(made, 'Creating an I/O submission queue');
  } catch (error) {
    if (sq) host.release(sq);
    host.release(cq);
    throw error;
  }
  const memory = [sq, cq];
  host.opened(id, sq, cq, entries);
  let deleted: Promise<void> | undefined;
  const remove = async () => {
    expectSuccess(await host.admin({ opc: Opcode.AdminDeleteIoSq, cdw10: id }), 'Deleting an I/O submission queue');
    host.ended(id);
    expectSuccess(await host.admin({ opc: Opcode.AdminDeleteIoCq, cdw10: id }), 'Deleting an I/O completion queue');
    for (const region of memory) host.release(region);
    gone();
  };
  return {
    id,
    send: (fields, region, signal) => host.send(id, fields, region, signal),
    delete: () => (deleted ??= remove()),
  };
}
