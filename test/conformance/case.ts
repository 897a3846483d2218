import type { Status } from '../../pushdown/runtime/wire.gen.js';

/** A submission queue entry as the host writes it; what is not named is 0. cid and the data pointer are the transport's. */
export interface Entry {
  readonly opc: number;
  /** FUSE and reserved bits; PSDT is the transport's. */
  readonly flags?: number;
  readonly nsid?: number;
  readonly cdw2?: number;
  readonly cdw3?: number;
  /** Lower and upper half of the metadata pointer. */
  readonly cdw4?: number;
  readonly cdw5?: number;
  readonly cdw10?: number;
  readonly cdw11?: number;
  readonly cdw12?: number;
  readonly cdw13?: number;
  readonly cdw14?: number;
  readonly cdw15?: number;
}

/** A 32-bit little-endian word at a byte offset of the data. */
export type Word = readonly [offset: number, value: number];

/** What only the device knows: the word at a byte offset of the data an earlier step (from 0) got back, or, without an offset, its dw0. */
export interface Answered {
  readonly step: number;
  readonly at?: number;
}

export interface Step {
  /** 0: admin queue, 1: an I/O queue. */
  readonly queue: 0 | 1;
  readonly entry: Entry;
  /** Dwords of the entry that are as answered before. */
  readonly take?: Partial<Record<'cdw10' | 'cdw11' | 'cdw12', Answered>>;
  /** The data before the command is what this step (from 0) got back, as much of it as there is room for; `put` goes over it. */
  readonly dataOf?: number;
  /** Bytes the data pointer describes; absent: no data. */
  readonly bytes?: number;
  /** Words of the data before the command; the rest is 0. */
  readonly put?: readonly Word[];
  readonly status: keyof typeof Status;
  readonly dw0?: number;
  /** Words the data must hold after the command. */
  readonly get?: readonly Word[];
}

/** Runs on a fresh association with a device in its first state, but for what earlier cases wrote to namespaces. */
export interface Case {
  readonly command: string;
  readonly name: string;
  /** All but the last bring about the state the last is tried in. */
  readonly steps: readonly Step[];
}
