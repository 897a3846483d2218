import { CheckpointHeader, Nsid, Opcode, ScanDescriptor, ScanFlag, type Status } from '../../pushdown/runtime/wire.gen.js';
import { kernel, sumParts } from '../kernels/wat.js';
import type { Case, Entry, Step, Word } from './case.js';
import { oneDataset } from './one-dataset.js';
import { reservedCases } from './reserved.js';

type StatusName = keyof typeof Status;
const all = 0xffffffff;
/** Room for the whole state of these kernels. */
const stateBytes = 64 << 10;
const pieceBytes = 4096;
const tooBig = (64 << 20) + 1;
const io = (entry: Entry, status: StatusName, more: Partial<Step> = {}): Step => ({ queue: 1, entry, status, ...more });

/** Steps that bring a program, 1 or 2, into the association. */
async function program(index: number): Promise<Step[]> {
  const module = await kernel({ ...sumParts, extra: `(global $kept (mut i64) (i64.const ${index}))` });
  const padded = new DataView(new ArrayBuffer(Math.ceil(module.length / 4) * 4));
  new Uint8Array(padded.buffer).set(module);
  const put: readonly Word[] = Array.from({ length: padded.byteLength / 4 }, (_, i) => [4 * i, padded.getUint32(4 * i, true)] as const);
  return [
    { queue: 0, entry: { opc: Opcode.AdminLoadProgram, nsid: Nsid.Compute, cdw10: index, cdw11: module.length, cdw14: module.length }, bytes: padded.byteLength, put, status: 'Success' },
    { queue: 0, entry: { opc: Opcode.AdminActivateProgram, nsid: Nsid.Compute, cdw10: index | (1 << 16) }, status: 'Success' },
  ];
}
const [first, second] = [await program(1), await program(2)];

const running = ScanFlag.DeviceRuns | ScanFlag.Stream;
const held = running | ScanFlag.Held;
function open(flags: number, index = 1, rowGroups = oneDataset.rowGroups): Step {
  const words: Word[] = [[ScanDescriptor.datasetHandle, oneDataset.handle], [ScanDescriptor.programIndex, index], [ScanDescriptor.flags, flags], [ScanDescriptor.columnCount, 1], [ScanDescriptor.morselCount, rowGroups]];
  const groups = Array.from({ length: rowGroups }, (_, i): Word => [ScanDescriptor.bytes + 4 + 4 * i, i]);
  return io({ opc: Opcode.ScanOpen, nsid: Nsid.Compute }, 'Success', { bytes: ScanDescriptor.bytes + 4 + 4 * rowGroups, put: [...words, ...groups] });
}
/** A stream that waits before its first morsel; the third step opens it. */
const waits = [...first, open(held)];
const opened = 2;
const scan = { cdw10: { step: opened } };

const take = (status: StatusName, more: Partial<Entry> = {}, step: Partial<Step> = {}): Step => io({ opc: Opcode.ScanCheckpoint, nsid: Nsid.Compute, ...more }, status, { bytes: stateBytes, take: scan, ...step });
const whole: readonly Word[] = [[CheckpointHeader.magic, 0x4b43524d], [CheckpointHeader.magic + 4, 0x31544e50], [CheckpointHeader.version, 1], [CheckpointHeader.batches, 0]];
const result = (more: Partial<Step> = {}) => io({ opc: Opcode.ScanResult, nsid: Nsid.Compute }, 'Success', { bytes: pieceBytes, take: scan, ...more });
const close = io({ opc: Opcode.ScanClose, nsid: Nsid.Compute }, 'Success', { take: scan });

/** The step behind `waits` that has the whole state. */
const taken = waits.length;
const total = { step: taken, at: CheckpointHeader.totalBytes };
/** Without `total` in what it takes, cdw12 is the entry's. */
const give = (status: StatusName, more: Partial<Entry> = {}, step: Partial<Step> = {}): Step => io({ opc: Opcode.ScanRestore, nsid: Nsid.Compute, ...more }, status, { take: scan, ...step });
const giveBack = (status: StatusName, more: Partial<Entry> = {}, step: Partial<Step> = {}): Step => give(status, more, { bytes: stateBytes, dataOf: taken, take: { ...scan, cdw12: total }, ...step });
const state = [...waits, take('Success')];
/** What it was held with is still there. */
const goesOn = give('Success');

const checkpoint = (name: string, ...steps: Step[]): Case => ({ command: 'Scan Checkpoint', name, steps });
const restore = (name: string, ...steps: Step[]): Case => ({ command: 'Scan Restore', name, steps });
const changed = (at: number, value: number, status: StatusName = 'CheckpointInvalid'): Case => restore(`word ${at} of the state changed to ${value}`, ...state, giveBack(status, {}, { put: [[at, value]] }), goesOn);

export const streamCases: readonly Case[] = [
  checkpoint('a stream nobody began', ...waits, take('Success', {}, { get: whole })),
  checkpoint('a second time', ...waits, take('Success', {}, { get: whole }), take('Success', {}, { get: whole })),
  checkpoint('as much as there is room for', ...waits, take('Success', {}, { bytes: pieceBytes, dw0: pieceBytes, get: whole })),
  checkpoint('from an offset', ...state, take('Success', { cdw11: CheckpointHeader.version }, { bytes: 64, dw0: 64, get: [[0, 1]] })),
  checkpoint('from its end', ...state, take('Success', {}, { take: { ...scan, cdw11: total }, dw0: 0 })),
  ...[tooBig, all].map((at) => checkpoint(`from offset ${at}`, ...waits, take('InvalidField', { cdw11: at }), goesOn)),
  checkpoint('no room', ...waits, take('InvalidField', {}, { bytes: 0 })),
  checkpoint('a stream that is over', ...first, open(running, 1, 1), result(), result(), take('CommandSequenceError')),
  checkpoint('a closed stream', ...waits, close, take('NoSuchScan')),
  checkpoint('a scan that is no stream', ...first, open(ScanFlag.DeviceRuns), take('InvalidField')),
  ...[0, all].map((id) => checkpoint(`scan ${id}`, ...waits, take('NoSuchScan', { cdw10: id }, { take: {} }))),
  ...[0, 99].map((nsid) => checkpoint(`namespace ${nsid}`, ...waits, take('InvalidNamespace', { nsid }))),
  ...[Nsid.Nvm, Nsid.Slm, Nsid.Raw].map((nsid) => checkpoint(`namespace ${nsid}`, ...waits, take('InvalidOpcode', { nsid }))),
  ...reservedCases('Scan Checkpoint', [...waits, take('Success')], { cdw10: all, cdw11: all }),

  restore('it goes on as it is', ...waits, goesOn),
  restore('it goes on with the state it gave', ...state, goesOn),
  restore('it goes on as it is, from an offset', ...waits, give('InvalidField', { cdw11: 64 }), goesOn),
  restore('it goes on as it is, with a morsel', ...waits, give('InvalidField', { cdw13: 1 }), goesOn),
  restore('the whole state', ...state, giveBack('Success')),
  restore('the whole state, in another stream of the kernel', ...state, close, open(held), giveBack('Success', {}, { take: { cdw10: { step: taken + 2 }, cdw12: total } })),
  restore('in pieces', ...waits, take('Success', {}, { bytes: pieceBytes }), take('Success', { cdw11: pieceBytes }), giveBack('Success', {}, { bytes: pieceBytes }), giveBack('Success', { cdw11: pieceBytes }, { dataOf: taken + 1 })),
  restore('the first piece again, then the whole', ...state, giveBack('Success', {}, { bytes: pieceBytes }), giveBack('Success', {}, { bytes: pieceBytes }), giveBack('Success')),
  restore('goes on in the middle of a state', ...state, giveBack('Success', {}, { bytes: pieceBytes }), goesOn),
  restore('a piece that is not the next', ...state, giveBack('CommandSequenceError', { cdw11: pieceBytes }), goesOn),
  restore('a gap between pieces', ...state, giveBack('Success', {}, { bytes: pieceBytes }), giveBack('CommandSequenceError', { cdw11: 2 * pieceBytes }), goesOn),
  restore('another length in a later piece', ...state, giveBack('Success', {}, { bytes: pieceBytes }), give('InvalidField', { cdw11: pieceBytes, cdw12: 2 * pieceBytes + 4 }, { bytes: pieceBytes }), goesOn),
  restore('a piece without bytes', ...state, giveBack('InvalidField', {}, { bytes: 0 }), goesOn),
  ...[tooBig, all].map((bytes) => restore(`${bytes} bytes`, ...waits, give('CheckpointTooBig', { cdw12: bytes }, { bytes: pieceBytes }), goesOn)),
  ...[oneDataset.rowGroups, all].map((morsel) => restore(`morsel ${morsel}`, ...state, giveBack('InvalidField', { cdw13: morsel }), goesOn)),
  ...[1, oneDataset.rowGroups - 1].map((morsel) => restore(`morsel ${morsel} of a state before the first`, ...state, giveBack('CheckpointMismatch', { cdw13: morsel }), goesOn)),
  ...[1, CheckpointHeader.bytes, pieceBytes].map((bytes) => restore(`${bytes} zero bytes`, ...waits, give('CheckpointInvalid', { cdw12: bytes }, { bytes: pieceBytes }), goesOn)),
  ...[1, CheckpointHeader.bytes - 1, CheckpointHeader.bytes, pieceBytes].map((bytes) => restore(`a state cut at ${bytes}`, ...state, give('CheckpointInvalid', { cdw12: bytes }, { bytes: stateBytes, dataOf: taken }), goesOn)),
  changed(CheckpointHeader.magic, 0), changed(CheckpointHeader.version, 2), changed(CheckpointHeader.phase, 3), changed(CheckpointHeader.digest, 0, 'CheckpointMismatch'), changed(CheckpointHeader.memoryPages, 0, 'CheckpointMismatch'),
  changed(CheckpointHeader.globalCount, all), changed(CheckpointHeader.pageCount, all), changed(CheckpointHeader.crc32c, 0), changed(CheckpointHeader.batches, 1), changed(CheckpointHeader.totalBytes, 0), changed(pieceBytes, 0x12345678),
  restore('a state of another kernel', ...state, ...second, open(held, 2), giveBack('CheckpointMismatch', {}, { take: { cdw10: { step: taken + 3 }, cdw12: total } })),
  restore('the right one after a wrong one', ...state, giveBack('CheckpointInvalid', {}, { put: [[CheckpointHeader.crc32c, 0]] }), giveBack('Success')),
  restore('a stream that runs', ...first, open(running), give('CommandSequenceError')),
  restore('a stream that goes on already', ...state, goesOn, giveBack('CommandSequenceError')),
  restore('a stream that is over', ...first, open(running, 1, 1), result(), result(), give('CommandSequenceError')),
  restore('a closed stream', ...waits, close, give('NoSuchScan')),
  restore('a scan that is no stream', ...first, open(ScanFlag.DeviceRuns), give('InvalidField')),
  ...[0, all].map((id) => restore(`scan ${id}`, ...waits, give('NoSuchScan', { cdw10: id }, { take: {} }))),
  ...[0, 99].map((nsid) => restore(`namespace ${nsid}`, ...waits, give('InvalidNamespace', { nsid }))),
  ...[Nsid.Nvm, Nsid.Slm, Nsid.Raw].map((nsid) => restore(`namespace ${nsid}`, ...waits, give('InvalidOpcode', { nsid }))),
  ...reservedCases('Scan Restore', [...state, giveBack('Success')], { cdw10: all, cdw11: all, cdw12: all, cdw13: all }),
];
