import { Nsid, Opcode, type Status } from '../../pushdown/runtime/wire.gen.js';
import type { Case, Entry, Step, Word } from './case.js';

export type StatusName = keyof typeof Status;
export const all = 0xffffffff;
export const block = 4096;
/** Blocks of namespaces 1 and 4 (16 MiB each). */
export const blocks = 4096;
/** Bytes of namespace 2. */
export const slmBytes = 64 << 20;

export const io = (entry: Entry, status: StatusName, more: Partial<Step> = {}): Step => ({ queue: 1, entry, status, ...more });
export const on = (opc: number, slba: number, count: number, more: Partial<Entry> = {}): Entry => ({ opc, nsid: Nsid.Raw, cdw10: slba, ...more, cdw12: ((count - 1) | (more.cdw12 ?? 0)) >>> 0 });
export const one = (command: string, name: string, ...steps: Step[]): Case => ({ command, name, steps });
export const write = (slba: number, count: number, put: readonly Word[]) => io(on(Opcode.Write, slba, count), 'Success', { bytes: count * block, put });
export const readBack = (slba: number, count: number, get: readonly Word[]) => io(on(Opcode.Read, slba, count), 'Success', { bytes: count * block, get });
/** What blocks hold before they are moved. */
export const mark: readonly Word[] = [[0, 0x11223344], [4092, 0x55667788]];

/** A source of Copy or Memory Copy at a byte of the data: blocks, or bytes of memory. */
export const copyRange = (slba: number, count: number, at: number, nsid = 0): Word[] => [[at, nsid], [at + 8, slba], [at + 16, count - 1]];
export const memoryRange = (start: number, length: number, at: number, nsid: number = Nsid.Slm): Word[] => [[at, nsid], [at + 4, length], [at + 8, start]];
