import { Fid, GuestFault, Nsid, Opcode, type Status } from '../../pushdown/runtime/wire.gen.js';
import { kernel, sumParts } from '../kernels/wat.js';
import type { Case, Entry, Step, Word } from './case.js';
import { reservedCases } from './reserved.js';

type StatusName = keyof typeof Status;
const all = 0xffffffff;
const slmBytes = 64 << 20;
const one = (name: string, ...steps: Step[]): Case => ({ command: 'Execute Program', name, steps });
const admin = (entry: Entry, more: Partial<Step> = {}): Step => ({ queue: 0, entry, status: 'Success', ...more });
const io = (entry: Entry, status: StatusName, more: Partial<Step> = {}): Step => ({ queue: 1, entry, status, ...more });

/** The sum of a column of i32 values as one i64: the program of these cases, as words. */
const module = await kernel(sumParts);
const padded = new DataView(new ArrayBuffer(Math.ceil(module.length / 4) * 4));
new Uint8Array(padded.buffer).set(module);
const code: readonly Word[] = Array.from({ length: padded.byteLength / 4 }, (_, i) => [4 * i, padded.getUint32(4 * i, true)] as const);

const load = (put: readonly Word[], bytes: number): Step => admin({ opc: Opcode.AdminLoadProgram, nsid: Nsid.Compute, cdw10: 1, cdw11: bytes, cdw14: bytes }, { bytes: padded.byteLength, put });
const select = (how: number): Step => admin({ opc: Opcode.AdminActivateProgram, nsid: Nsid.Compute, cdw10: 1 | (how << 16) });
const ready = [load(code, module.length), select(1)];
const values = io({ opc: Opcode.MemoryWrite, nsid: Nsid.Slm, cdw12: 64 }, 'Success', { bytes: 64, put: [[0, 40], [4, 4], [60, -2]] });
const result = (low: number): Step => io({ opc: Opcode.MemoryRead, nsid: Nsid.Slm, cdw10: 4096, cdw12: 8 }, 'Success', { bytes: 8, get: [[0, low], [4, 0]] });
const clear = io({ opc: Opcode.MemoryFill, nsid: Nsid.Slm, cdw10: 4096, cdw12: 64 }, 'Success');

const range = (start: number, length: number, at: number, nsid: number = Nsid.Slm): Word[] => [[at, nsid], [at + 4, length], [at + 8, start]];
const inOut: readonly Word[] = [...range(0, 64, 0), ...range(4096, 64, 32)];
const set = (put: readonly Word[] = inOut, count = 2): Step => admin({ opc: Opcode.AdminMemoryRangeSet, nsid: Nsid.Compute, cdw11: count }, { bytes: 32 * count, put, dw0: 1 });
const run = (count: number, more: Partial<Entry> = {}): Entry => ({ opc: Opcode.Execute, nsid: Nsid.Compute, cdw3: count, cdw10: 16, ...more, cdw2: 1 | (more.cdw2 ?? 0) });
const bySet = (more: Partial<Entry> = {}, id = 1): Entry => run(0, { ...more, cdw2: id << 16 });
const inline = (put: readonly Word[], status: StatusName, more: Partial<Entry> = {}, step: Partial<Step> = {}): Step => io(run(2, more), status, { bytes: 64, put, ...step });
const valid = inline(inOut, 'Success', {}, { dw0: 8 });

// For a device whose media is memory, and a host that may write the upper half of namespace 1 (8 MiB on): ranges of namespace 6.
const media = Nsid.Pmem;
const mediaBytes = 16 << 20;
const ownFrom = mediaBytes / 2;
const mediaValues = io({ opc: Opcode.MemoryWrite, nsid: media, cdw10: ownFrom + 64, cdw12: 64 }, 'Success', { bytes: 64, put: [[0, 40], [4, 4], [60, -2]] });
const mediaResult = (at: number, low: number): Step => io({ opc: Opcode.MemoryRead, nsid: media, cdw10: at, cdw12: 8 }, 'Success', { bytes: 8, get: [[0, low], [4, 0]] });
const clearMedia = io({ opc: Opcode.MemoryFill, nsid: media, cdw10: ownFrom + 4096, cdw12: 64 }, 'Success');
const noCache = admin({ opc: Opcode.AdminSetFeatures, cdw10: Fid.VolatileWriteCache, cdw11: 0 });
const fromMedia = [...range(ownFrom + 64, 64, 0, media), ...range(4096, 64, 32)];
const toMedia = [...range(0, 64, 0), ...range(ownFrom + 4096, 64, 32, media)];
const inMedia = [...range(ownFrom + 64, 64, 0, media), ...range(ownFrom + 4096, 64, 32, media)];
export const executeOnMediaCases: readonly Case[] = [
  one('persistent memory in', ...ready, mediaValues, clear, inline(fromMedia, 'Success', {}, { dw0: 8 }), result(42)),
  one('persistent memory out', ...ready, values, clearMedia, inline(toMedia, 'Success', {}, { dw0: 8 }), mediaResult(ownFrom + 4096, 42)),
  one('persistent memory in and out', ...ready, mediaValues, clearMedia, inline(inMedia, 'Success', {}, { dw0: 8 }), mediaResult(ownFrom + 4096, 42)),
  one('persistent memory by a set', ...ready, mediaValues, clearMedia, set(inMedia), io(bySet(), 'Success', { dw0: 8 }), mediaResult(ownFrom + 4096, 42)),
  one('persistent memory out, without a volatile write cache', noCache, ...ready, values, clearMedia, inline(toMedia, 'Success', {}, { dw0: 8 }), mediaResult(ownFrom + 4096, 42)),
  one('persistent memory that is protected in', ...ready, inline([...range(0, 64, 0, media), ...range(4096, 64, 32)], 'Success', {}, { dw0: 8 })),
  one('persistent memory that is protected out', ...ready, inline([...range(0, 64, 0), ...range(4096, 64, 32, media)], 'NamespaceWriteProtected')),
  one('output across the end of what is protected', ...ready, inline([...range(0, 64, 0), ...range(ownFrom - 32, 64, 32, media)], 'NamespaceWriteProtected')),
  one('a set with an output that is protected', ...ready, set([...range(0, 64, 0), ...range(4096, 64, 32, media)]), io(bySet(), 'NamespaceWriteProtected')),
  one('persistent memory to the last byte', ...ready, inline([...range(mediaBytes - 64, 64, 0, media), ...range(4096, 64, 32)], 'Success', {}, { dw0: 8 })),
  one('persistent memory past the end', ...ready, inline([...range(mediaBytes, 64, 0, media), ...range(4096, 64, 32)], 'InvalidMemoryRangeSet')),
  one('persistent memory over the end', ...ready, inline([...range(mediaBytes - 32, 64, 0, media), ...range(4096, 64, 32)], 'InvalidMemoryRangeSet')),
  one('an output in persistent memory over the end', ...ready, inline([...range(0, 64, 0), ...range(mediaBytes - 32, 64, 32, media)], 'InvalidMemoryRangeSet')),
  one('persistent memory from a start of 2^63', ...ready, inline([...range(0, 64, 0, media), [12, 0x80000000], ...range(4096, 64, 32)], 'InvalidMemoryRangeSet')),
  one('persistent memory from a start that is no dword', ...ready, inline([...range(ownFrom + 2, 64, 0, media), ...range(4096, 64, 32)], 'InvalidMemoryRangeSet')),
  one('no bytes of persistent memory', ...ready, inline([...range(ownFrom, 0, 0, media), ...range(4096, 64, 32)], 'InvalidMemoryRangeSet')),
  one('the same bytes of two namespaces', ...ready, io(run(2), 'Success', { bytes: 64, put: [...range(4096, 64, 0, media), ...range(4096, 64, 32)], dw0: 8 })),
  one('an output over its input in persistent memory', ...ready, inline([...range(ownFrom, 64, 0, media), ...range(ownFrom + 60, 64, 32, media)], 'OverlappingMemoryRanges')),
  one('output longer than its range of persistent memory', ...ready, values, clearMedia, inline([...range(0, 64, 0), ...range(ownFrom + 4096, 4, 32, media)], 'GuestFault', {}, { dw0: GuestFault.OutputLimit }), mediaResult(ownFrom + 4096, 0)),
];

/** For a device whose media is no memory. */
export const executeWithoutMediaCases: readonly Case[] = [
  one('persistent memory where there is none', ...ready, inline(fromMedia, 'InvalidMemoryNamespace')),
  one('an output to persistent memory where there is none', ...ready, inline(toMedia, 'InvalidMemoryNamespace')),
  one('a set of persistent memory where there is none', { ...set(fromMedia), status: 'InvalidMemoryNamespace', dw0: 0 }),
];

export const executeCases: readonly Case[] = [
  one('ranges it brings along', ...ready, values, clear, valid, result(42)),
  one('ranges of a set', ...ready, values, clear, set(), io(bySet(), 'Success', { dw0: 8 }), result(42)),
  one('the set and the program are free afterwards', ...ready, set(), io(bySet(), 'Success'), admin({ opc: Opcode.AdminMemoryRangeSet, nsid: Nsid.Compute, cdw10: 0x10001 }), select(0)),
  one('DLEN says the length', ...ready, inline(inOut, 'Success', { cdw4: 64 })),
  one('DLEN less than the ranges', ...ready, inline(inOut, 'InvalidField', { cdw4: 32 })),
  one('DLEN more than the data', ...ready, inline(inOut, 'DataSglLengthInvalid', { cdw4: 128 })),
  one('DLEN with a set', ...ready, set(), io(bySet({ cdw4: 64 }), 'InvalidField')),
  one('a set and ranges', ...ready, set(), io({ ...bySet(), cdw3: 2 }, 'InvalidField', { bytes: 64, put: inOut })),
  one('neither a set nor ranges', ...ready, io(run(0), 'InvalidMemoryRangeSet')),
  ...[2, 0xffff].map((id) => one(`set ${id}`, ...ready, set(), io(bySet({}, id), 'InvalidMemoryRangeSetIdentifier'))),
  one('a deleted set', ...ready, set(), admin({ opc: Opcode.AdminMemoryRangeSet, nsid: Nsid.Compute, cdw10: 0x10001 }), io(bySet(), 'InvalidMemoryRangeSetIdentifier')),
  one('33 ranges', ...ready, io(run(33), 'MaximumMemoryRangesExceeded', { bytes: 33 * 32 })),
  one('less data than ranges', ...ready, inline(range(0, 64, 0), 'DataSglLengthInvalid', {}, { bytes: 32 })),
  one('no data', ...ready, io(run(2), 'DataSglLengthInvalid')),
  one('an output only', ...ready, io(run(1, { cdw10: 0 }), 'Success', { bytes: 32, put: range(4096, 64, 0), dw0: 8 })),
  ...[0, Nsid.Nvm, Nsid.Compute, Nsid.Raw, 99, all].map((nsid) => one(`memory of namespace ${nsid.toString(16)}h`, ...ready, inline([...range(0, 64, 0, nsid), ...range(4096, 64, 32)], 'InvalidMemoryNamespace'))),
  ...[0, Nsid.Nvm, 99].map((nsid) => one(`output to namespace ${nsid}`, ...ready, inline([...range(0, 64, 0), ...range(4096, 64, 32, nsid)], 'InvalidMemoryNamespace'))),
  one('a range past the end', ...ready, inline([...range(slmBytes, 64, 0), ...range(4096, 64, 32)], 'InvalidMemoryRangeSet')),
  one('an output over the end', ...ready, inline([...range(0, 64, 0), ...range(slmBytes - 32, 64, 32)], 'InvalidMemoryRangeSet')),
  one('a start of 2^63', ...ready, inline([...range(0, 64, 0), [12, 0x80000000], ...range(4096, 64, 32)], 'InvalidMemoryRangeSet')),
  one('an empty range', ...ready, inline([...range(0, 0, 0), ...range(4096, 64, 32)], 'InvalidMemoryRangeSet')),
  one('an empty output', ...ready, inline([...range(0, 64, 0), ...range(4096, 0, 32)], 'InvalidMemoryRangeSet')),
  one('a start that is no dword', ...ready, inline([...range(2, 64, 0), ...range(4096, 64, 32)], 'InvalidMemoryRangeSet')),
  one('a length that is no dword', ...ready, inline([...range(0, 63, 0), ...range(4096, 64, 32)], 'InvalidMemoryRangeSet', { cdw10: 63 })),
  one('an output over its input', ...ready, inline([...range(0, 64, 0), ...range(60, 64, 32)], 'OverlappingMemoryRanges')),
  one('a set that is not of dwords', ...ready, set([...range(2, 64, 0), ...range(4096, 64, 32)]), io(bySet(), 'InvalidMemoryRangeSet')),
  ...[3, 5, 2, 65, all].map((rows) => one(`64 bytes of ${rows} rows`, ...ready, inline(inOut, 'InvalidField', { cdw10: rows }))),
  one('columns of other lengths', ...ready, io(run(3), 'InvalidField', { bytes: 96, put: [...range(0, 64, 0), ...range(128, 60, 32), ...range(4096, 64, 64)] })),
  one('output longer than its range', ...ready, values, clear, inline([...range(0, 64, 0), ...range(4096, 4, 32)], 'GuestFault', {}, { dw0: GuestFault.OutputLimit }), result(0)),
  one('a program that is none', load([[0, 0]], 8), select(1), inline(inOut, 'GuestFault', {}, { dw0: GuestFault.ModuleRejected })),
  one('no program', inline(inOut, 'InvalidProgramIndex')),
  one('a half loaded program', { ...load(code, module.length), entry: { ...load(code, module.length).entry, cdw14: 8 } }, inline(inOut, 'InvalidProgramIndex')),
  one('a loaded program', load(code, module.length), inline(inOut, 'ProgramNotActivated')),
  one('a deactivated program', ...ready, select(0), inline(inOut, 'ProgramNotActivated')),
  ...[2, 62].map((more) => one(`program ${1 | more}`, ...ready, io({ ...run(2), cdw2: 1 | more }, 'InvalidProgramIndex', { bytes: 64, put: inOut }))),
  ...[64, 0xffff].map((index) => one(`program ${index}`, ...ready, io({ ...run(2), cdw2: index }, 'InvalidProgramIndex', { bytes: 64, put: inOut }))),
  ...[0, 99].map((nsid) => one(`namespace ${nsid}`, ...ready, inline(inOut, 'InvalidNamespace', { nsid }))),
  ...reservedCases('Execute Program', [...ready, valid], { cdw2: all, cdw3: 0xff, cdw4: all, cdw10: all }),
];
