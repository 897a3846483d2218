import { Sqe } from '../pushdown/runtime/wire.gen.js';
import type { Completion } from './command-status.js';
import type { CommandFields } from './queue.js';
import type { Region } from './region.js';

/** A command from send() to its completion. */
export interface Pending {
  readonly fields: CommandFields;
  readonly region: Region | undefined;
  readonly resolve: (completion: Completion) => void;
  readonly reject: (error: unknown) => void;
  readonly done: () => void;
}

/** Command identifiers of one ring and what waits for each. */
export class CommandRing {
  readonly waiting: Pending[] = [];
  readonly running: (Pending | undefined)[];
  readonly free: number[];
  readonly staging: Uint8Array;
  readonly words: DataView;
  constructor(readonly queueId: number, entries: number) {
    this.running = new Array<Pending | undefined>(entries).fill(undefined);
    this.free = Array.from({ length: entries }, (_, i) => entries - 1 - i);
    this.staging = new Uint8Array(entries * Sqe.bytes);
    this.words = new DataView(this.staging.buffer);
  }

  /** Everything that waits or runs, which from now on is not this ring's. */
  take(): Pending[] {
    const left = [...this.running.filter((pending) => pending !== undefined), ...this.waiting];
    this.running.fill(undefined);
    this.waiting.length = 0;
    return left;
  }

  /** The entry at byte `at` of the staging area. */
  encode(at: number, cid: number, f: CommandFields, region: Region | undefined): void {
    const { words } = this;
    words.setUint32(at, f.opc | (cid << 16), true);
    words.setUint32(at + Sqe.nsid, f.nsid ?? 0, true);
    words.setUint32(at + Sqe.cdw2, f.cdw2 ?? 0, true);
    words.setUint32(at + Sqe.cdw3, f.cdw3 ?? 0, true);
    words.setBigUint64(at + Sqe.mptr, 0n, true);
    words.setBigUint64(at + Sqe.prp1, BigInt(region?.offset ?? 0), true);
    words.setBigUint64(at + Sqe.prp2, BigInt(region?.bytes ?? 0), true);
    words.setUint32(at + Sqe.cdw10, f.cdw10 ?? 0, true);
    words.setUint32(at + Sqe.cdw11, f.cdw11 ?? 0, true);
    words.setUint32(at + Sqe.cdw12, f.cdw12 ?? 0, true);
    words.setUint32(at + Sqe.cdw13, f.cdw13 ?? 0, true);
    words.setUint32(at + Sqe.cdw14, f.cdw14 ?? 0, true);
    words.setUint32(at + Sqe.cdw15, f.cdw15 ?? 0, true);
  }
}
