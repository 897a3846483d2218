import { Fid, Nsid, Opcode } from '../../pushdown/runtime/wire.gen.js';
import type { Case, Entry, Step, Word } from './case.js';
import { all, block, blocks, copyRange, io, mark, memoryRange, on, one, readBack, type StatusName, slmBytes, write } from './entries.js';
import { reservedCases } from './reserved.js';

const mdtsBlocks = 512;

const fua = 1 << 30;
const limitedRetry = 2 ** 31;

/** What holds for every command that names a run of blocks. */
function rangeCases(command: string, opc: number, data: boolean, limitBlocks: number): Case[] {
  const bytes = (count: number) => (data ? { bytes: count * block } : {});
  const cases = [
    one(command, 'one block', io(on(opc, 3, 1), 'Success', bytes(1))),
    one(command, 'the last block', io(on(opc, blocks - 1, 1), 'Success', bytes(1))),
    one(command, 'the largest transfer', io(on(opc, 0, Math.min(limitBlocks, blocks)), 'Success', bytes(Math.min(limitBlocks, blocks)))),
    one(command, 'FUA', io(on(opc, 3, 1, { cdw12: fua }), 'Success', bytes(1))),
    one(command, 'limited retry', io(on(opc, 3, 1, { cdw12: limitedRetry }), 'Success', bytes(1))),
    one(command, 'a block past the end', io(on(opc, blocks, 1), 'LbaOutOfRange', bytes(1))),
    one(command, 'over the end', io(on(opc, blocks - 1, 2), 'LbaOutOfRange', bytes(2))),
    one(command, 'LBA 2^32', io(on(opc, 0, 1, { cdw11: 1 }), 'LbaOutOfRange', bytes(1))),
    one(command, 'LBA 2^64 - 1', io(on(opc, all, 1, { cdw11: all }), 'LbaOutOfRange', bytes(1))),
    one(command, 'a run that wraps', io(on(opc, all, 65536, { cdw11: all }), 'LbaOutOfRange', bytes(1))),
    ...[0, 99, all].map((nsid) => one(command, `namespace ${nsid.toString(16)}h`, io({ ...on(opc, 0, 1), nsid }, 'InvalidNamespace', bytes(1)))),
    ...[26, 27, 28, 29].map((bit) => one(command, `protection information bit ${bit}`, io(on(opc, 3, 1, { cdw12: 1 << bit }), 'InvalidField', bytes(1)))),
  ];
  if (limitBlocks < blocks) cases.push(one(command, 'more than a transfer', io(on(opc, 0, limitBlocks + 1), 'InvalidField', bytes(1))));
  if (!data) return cases;
  return [...cases, one(command, 'less data than blocks', io(on(opc, 3, 2), 'DataSglLengthInvalid', { bytes: block })), one(command, 'no data', io(on(opc, 3, 1), 'DataSglLengthInvalid')), one(command, 'more data than blocks', io(on(opc, 3, 1), 'Success', { bytes: 2 * block }))];
}

const range = (slba: number, count: number, at: number): Word[] => [[at + 4, count], [at + 8, slba]];
const discard = (count: number, more: Partial<Entry> = {}): Entry => ({ opc: Opcode.DatasetManagement, nsid: Nsid.Raw, cdw10: count - 1, cdw11: 4, ...more });
const copy = (to: number, count: number, format: number, more: Partial<Entry> = {}): Entry => ({ opc: Opcode.Copy, nsid: Nsid.Raw, cdw10: to, ...more, cdw12: (count - 1) | (format << 8) | (more.cdw12 ?? 0) });
const withFormat2: Step = { queue: 0, entry: { opc: Opcode.AdminSetFeatures, cdw10: Fid.HostBehavior }, bytes: 512, put: [[4, 4]], status: 'Success' };
const noCache: Step = { queue: 0, entry: { opc: Opcode.AdminSetFeatures, cdw10: Fid.VolatileWriteCache, cdw11: 0 }, status: 'Success' };

const blockCases: Case[] = [
  ...rangeCases('Read', Opcode.Read, true, mdtsBlocks),
  ...rangeCases('Write', Opcode.Write, true, mdtsBlocks),
  ...rangeCases('Verify', Opcode.Verify, false, mdtsBlocks),
  ...rangeCases('Write Zeroes', Opcode.WriteZeroes, false, 8192),
  one('Write', 'is read back', write(40, 2, [...mark, [8188, 9]]), readBack(40, 2, [...mark, [8188, 9]])),
  one('Write', 'is durable when it completes without a volatile write cache', noCache, write(42, 1, mark), readBack(42, 1, mark)),
  one('Write', 'on datasets without a ticket', io({ ...on(Opcode.Write, 0, 1), nsid: Nsid.Nvm }, 'NamespaceWriteProtected', { bytes: block })),
  one('Read', 'datasets', io({ ...on(Opcode.Read, 0, 1), nsid: Nsid.Nvm }, 'Success', { bytes: block })),
  ...[0, 0x7, 0x80].map((hints) => one('Read', `dataset hints ${hints.toString(16)}h`, io(on(Opcode.Read, 0, 1, { cdw13: hints }), 'Success', { bytes: block }))),
  one('Write', 'a directive', io(on(Opcode.Write, 3, 1, { cdw12: 1 << 20 }), 'InvalidField', { bytes: block })),
  one('Compare', 'equal', write(50, 2, mark), io(on(Opcode.Compare, 50, 2), 'Success', { bytes: 2 * block, put: mark })),
  one('Compare', 'one bit differs', write(50, 2, mark), io(on(Opcode.Compare, 50, 2), 'CompareFailure', { bytes: 2 * block, put: [...mark, [8188, 1]] })),
  one('Compare', 'a block past the end', io(on(Opcode.Compare, blocks, 1), 'LbaOutOfRange', { bytes: block })),
  one('Compare', 'more than a transfer', io(on(Opcode.Compare, 0, mdtsBlocks + 1), 'InvalidField', { bytes: block })),
  one('Compare', 'less data than blocks', io(on(Opcode.Compare, 3, 2), 'DataSglLengthInvalid', { bytes: block })),
  ...[0, 99, all].map((nsid) => one('Compare', `namespace ${nsid.toString(16)}h`, io({ ...on(Opcode.Compare, 0, 1), nsid }, 'InvalidNamespace', { bytes: block }))),
  one('Write Zeroes', 'reads as zeros', write(60, 1, mark), io(on(Opcode.WriteZeroes, 60, 1), 'Success'), readBack(60, 1, [[0, 0], [4092, 0]])),
  one('Write Zeroes', 'deallocating', write(61, 1, mark), io(on(Opcode.WriteZeroes, 61, 1, { cdw12: 1 << 25 }), 'Success'), readBack(61, 1, [[0, 0], [4092, 0]])),
  one('Write Zeroes', 'on datasets without a ticket', io({ ...on(Opcode.WriteZeroes, 0, 1), nsid: Nsid.Nvm }, 'NamespaceWriteProtected')),
  one('Flush', 'namespace 1', io({ opc: Opcode.Flush, nsid: Nsid.Nvm }, 'Success')),
  one('Flush', 'namespace 4', io({ opc: Opcode.Flush, nsid: Nsid.Raw }, 'Success')),
  one('Flush', 'all namespaces', io({ opc: Opcode.Flush, nsid: all }, 'Success')),
  ...[0, 99, 0xfffffffe].map((nsid) => one('Flush', `namespace ${nsid.toString(16)}h`, io({ opc: Opcode.Flush, nsid }, 'InvalidNamespace'))),
  one('Dataset Management', 'deallocates', write(70, 4, mark), io(discard(2), 'Success', { bytes: 32, put: [...range(70, 1, 0), ...range(72, 2, 16)] }), readBack(70, 1, [[0, 0], [4092, 0]])),
  one('Dataset Management', 'hints only', write(70, 1, mark), io(discard(1, { cdw11: 3 }), 'Success', { bytes: 16, put: range(70, 1, 0) }), readBack(70, 1, mark)),
  one('Dataset Management', '256 ranges', io(discard(256), 'Success', { bytes: 4096 })),
  one('Dataset Management', 'an empty range', io(discard(1), 'Success', { bytes: 16, put: range(0, 0, 0) })),
  one('Dataset Management', 'a range over the end', io(discard(1), 'LbaOutOfRange', { bytes: 16, put: range(blocks - 1, 2, 0) })),
  one('Dataset Management', 'the second range over the end', io(discard(2), 'LbaOutOfRange', { bytes: 32, put: [...range(0, 1, 0), ...range(blocks, 1, 16)] })),
  one('Dataset Management', 'less data than ranges', io(discard(2), 'DataSglLengthInvalid', { bytes: 16 })),
  one('Dataset Management', 'on datasets without a ticket', io(discard(1, { nsid: Nsid.Nvm }), 'NamespaceWriteProtected', { bytes: 16, put: range(0, 1, 0) })),
  ...[0, 99, all].map((nsid) => one('Dataset Management', `namespace ${nsid.toString(16)}h`, io(discard(1, { nsid }), 'InvalidNamespace', { bytes: 16 }))),
  one('Copy', 'format 0h', write(80, 2, mark), io(copy(90, 1, 0), 'Success', { bytes: 32, put: copyRange(80, 2, 0) }), readBack(90, 2, mark)),
  one('Copy', 'two ranges in order', write(80, 1, mark), write(85, 1, [[0, 7]]), io(copy(90, 2, 0), 'Success', { bytes: 64, put: [...copyRange(85, 1, 0), ...copyRange(80, 1, 32)] }), readBack(90, 2, [[0, 7], [4096, mark[0]![1]]])),
  one('Copy', 'over itself', write(80, 2, [[0, 1], [4096, 2]]), io(copy(81, 1, 0), 'Success', { bytes: 32, put: copyRange(80, 2, 0) }), readBack(81, 2, [[0, 1], [4096, 2]])),
  one('Copy', 'FUA', io(copy(90, 1, 0, { cdw12: fua }), 'Success', { bytes: 32, put: copyRange(80, 1, 0) })),
  one('Copy', 'format 2h that was not asked for', io(copy(90, 1, 2), 'InvalidField', { bytes: 32, put: copyRange(80, 1, 0, Nsid.Raw) })),
  one('Copy', 'format 2h', withFormat2, io(copy(90, 1, 2), 'Success', { bytes: 32, put: copyRange(80, 1, 0, Nsid.Raw) })),
  one('Copy', 'format 2h from datasets', withFormat2, io(copy(90, 1, 2), 'Success', { bytes: 32, put: copyRange(1, 1, 0, Nsid.Nvm) })),
  ...[0, Nsid.Slm, Nsid.Compute, 99, all].map((nsid) => one('Copy', `format 2h from namespace ${nsid.toString(16)}h`, withFormat2, io(copy(90, 1, 2), 'InvalidNamespace', { bytes: 32, put: copyRange(0, 1, 0, nsid) }))),
  ...[1, 3, 4, 5, 15].map((format) => one('Copy', `format ${format.toString(16)}h`, io(copy(90, 1, format), 'InvalidField', { bytes: 32 }))),
  one('Copy', '33 ranges', io(copy(90, 33, 0), 'CommandSizeLimitExceeded', { bytes: 33 * 32 })),
  one('Copy', 'a range longer than MSSRL', io(copy(90, 1, 0), 'CommandSizeLimitExceeded', { bytes: 32, put: copyRange(0, mdtsBlocks + 1, 0) })),
  one('Copy', 'ranges longer than MCL', io(copy(90, 2, 0), 'CommandSizeLimitExceeded', { bytes: 64, put: [...copyRange(0, mdtsBlocks, 0), ...copyRange(0, 1, 32)] })),
  one('Copy', 'from past the end', io(copy(90, 1, 0), 'LbaOutOfRange', { bytes: 32, put: copyRange(blocks, 1, 0) })),
  one('Copy', 'to past the end', io(copy(blocks - 1, 1, 0), 'LbaOutOfRange', { bytes: 32, put: copyRange(0, 2, 0) })),
  one('Copy', 'less data than ranges', io(copy(90, 2, 0), 'DataSglLengthInvalid', { bytes: 32 })),
  one('Copy', 'to datasets without a ticket', io(copy(0, 1, 0, { nsid: Nsid.Nvm }), 'NamespaceWriteProtected', { bytes: 32, put: copyRange(0, 1, 0) })),
  ...reservedCases('Read', [io(on(Opcode.Read, 0, 1), 'Success', { bytes: block })], { cdw10: all, cdw11: all, cdw12: 0xc000ffff, cdw13: 0xff }),
  ...reservedCases('Write', [io(on(Opcode.Write, 3, 1), 'Success', { bytes: block })], { cdw10: all, cdw11: all, cdw12: 0xc000ffff, cdw13: 0xff }),
  ...reservedCases('Compare', [io(on(Opcode.Compare, 3, 1), 'Success', { bytes: block })], { cdw10: all, cdw11: all, cdw12: 0xc000ffff }),
  ...reservedCases('Verify', [io(on(Opcode.Verify, 0, 1), 'Success')], { cdw10: all, cdw11: all, cdw12: 0xc000ffff }),
  ...reservedCases('Write Zeroes', [io(on(Opcode.WriteZeroes, 3, 1), 'Success')], { cdw10: all, cdw11: all, cdw12: 0xc200ffff }),
  ...reservedCases('Flush', [io({ opc: Opcode.Flush, nsid: Nsid.Raw }, 'Success')], {}),
  ...reservedCases('Dataset Management', [io(discard(1), 'Success', { bytes: 16 })], { cdw10: 0xff, cdw11: 7 }),
  ...reservedCases('Copy', [io(copy(90, 1, 0), 'Success', { bytes: 32 })], { cdw10: all, cdw11: all, cdw12: 0xc0000fff }),
  ...([['Write Uncorrectable', 0x04], ['Reservation Register', 0x0d], ['Reservation Report', 0x0e], ['Zone Append', 0x7d], ['Fabrics', 0x7f], ['vendor', 0x80], ['vendor', 0xff]] as const).flatMap(([name, opc]) =>
    [Nsid.Nvm, Nsid.Raw].map((nsid) => one('I/O opcode not supported', `${name} ${opc.toString(16)}h on namespace ${nsid}`, io({ opc, nsid }, 'InvalidOpcode'))),
  ),
];

// Compute

const load = (index: number, total: number, offset: number, part: number, more: Partial<Entry> = {}): Entry => ({ opc: Opcode.AdminLoadProgram, nsid: Nsid.Compute, cdw11: total, cdw14: part, cdw15: offset, ...more, cdw10: (index | (more.cdw10 ?? 0)) >>> 0 });
const activate = (index: number, select = 1, more: Partial<Entry> = {}): Entry => ({ opc: Opcode.AdminActivateProgram, nsid: Nsid.Compute, ...more, cdw10: index | (select << 16) });
const admin = (entry: Entry, status: StatusName, more: Partial<Step> = {}): Step => ({ queue: 0, entry, status, ...more });
const UNLOAD = 1 << 24;
const unload = (index: number) => load(index, 0, 0, 0, { cdw10: UNLOAD });
const loaded = admin(load(1, 8, 0, 8), 'Success', { bytes: 8 });
const activated = admin(activate(1), 'Success');
const half = admin(load(1, 8, 0, 4), 'Success', { bytes: 4 });
const programCases: Case[] = [
  one('Load Program', 'whole', loaded),
  one('Load Program', 'in two chunks', half, admin(load(1, 8, 4, 4), 'Success', { bytes: 4 }), activated),
  one('Load Program', 'again from the start', half, loaded, activated),
  one('Load Program', 'over a loaded one', loaded, admin(load(1, 4, 0, 4), 'Success', { bytes: 4 })),
  one('Load Program', 'over an activated one', loaded, activated, admin(load(1, 8, 0, 8), 'ProgramInUse', { bytes: 8 })),
  one('Load Program', 'a PUID', admin(load(1, 8, 0, 8, { cdw10: 1 << 25, cdw12: 7, cdw13: 8 }), 'Success', { bytes: 8 })),
  one('Load Program', 'a PID without its type', admin(load(1, 8, 0, 8, { cdw12: 7 }), 'InvalidField', { bytes: 8 })),
  ...[2, 3, 7].map((type) => one('Load Program', `identifier type ${type}`, admin(load(1, 8, 0, 8, { cdw10: type << 25 }), 'InvalidField', { bytes: 8 }))),
  ...[1, 0xff].map((type) => one('Load Program', `program type ${type}`, admin(load(1, 8, 0, 8, { cdw10: type << 16 }), 'InvalidProgramType', { bytes: 8 }))),
  ...[64, 0xffff].map((index) => one('Load Program', `index ${index}`, admin(load(index, 8, 0, 8), 'InvalidProgramIndex', { bytes: 8 }))),
  one('Load Program', 'larger than the device takes', admin(load(1, (4 << 20) + 1, 0, 8), 'ProgramTooBig', { bytes: 8 })),
  one('Load Program', 'of no bytes', admin(load(1, 0, 0, 0), 'InvalidField', { bytes: 8 })),
  one('Load Program', 'a chunk of no bytes', admin(load(1, 8, 0, 0), 'InvalidField', { bytes: 8 })),
  one('Load Program', 'a chunk beyond the program', admin(load(1, 8, 4, 8), 'InvalidField', { bytes: 8 })),
  one('Load Program', 'less data than the chunk', admin(load(1, 8, 0, 8), 'DataSglLengthInvalid', { bytes: 4 })),
  one('Load Program', 'a second chunk first', admin(load(1, 8, 4, 4), 'CommandSequenceError', { bytes: 4 })),
  one('Load Program', 'a chunk twice', half, admin(load(1, 12, 4, 4), 'InvalidProgramData', { bytes: 4 })),
  one('Load Program', 'a chunk out of order', admin(load(1, 12, 0, 4), 'Success', { bytes: 4 }), admin(load(1, 12, 8, 4), 'CommandSequenceError', { bytes: 4 })),
  one('Load Program', 'a chunk of another program', half, admin(load(1, 8, 4, 4, { cdw10: 1 << 25, cdw12: 1 }), 'InvalidProgramData', { bytes: 4 })),
  one('Load Program', 'a chunk after the last', loaded, admin(load(1, 8, 4, 4), 'CommandSequenceError', { bytes: 4 })),
  one('Load Program', 'unload a loaded one', loaded, admin(unload(1), 'Success')),
  one('Load Program', 'unload a half loaded one', half, admin(unload(1), 'Success')),
  one('Load Program', 'unload an activated one', loaded, activated, admin(unload(1), 'ProgramInUse')),
  one('Load Program', 'unload nothing', admin(unload(1), 'NoProgram')),
  one('Load Program', 'unload index 64', admin(unload(64), 'InvalidProgramIndex')),
  one('Load Program', 'unload with a size', loaded, admin(load(1, 8, 0, 0, { cdw10: UNLOAD }), 'InvalidField')),
  ...[0, Nsid.Nvm, Nsid.Slm, 99, all].map((nsid) => one('Load Program', `namespace ${nsid.toString(16)}h`, admin(load(1, 8, 0, 8, { nsid }), 'InvalidNamespace', { bytes: 8 }))),
  ...reservedCases('Load Program', [loaded], { cdw10: 0x0fffffff, cdw11: all, cdw12: all, cdw13: all, cdw14: all, cdw15: all }),
  one('Program Activation Management', 'activate', loaded, activated),
  one('Program Activation Management', 'activate twice', loaded, activated, activated),
  one('Program Activation Management', 'deactivate', loaded, activated, admin(activate(1, 0), 'Success'), admin(unload(1), 'Success')),
  one('Program Activation Management', 'deactivate what is not activated', loaded, admin(activate(1, 0), 'ProgramNotActivated')),
  one('Program Activation Management', 'activate a half loaded one', half, admin(activate(1), 'CommandSequenceError')),
  ...[0, 1].map((select) => one('Program Activation Management', `selected by ${select}, nothing is there`, admin(activate(1, select), 'NoProgram'))),
  ...[0, 1].map((select) => one('Program Activation Management', `selected by ${select}, index 64`, admin(activate(64, select), 'InvalidProgramIndex'))),
  ...[2, 7, 15].map((select) => one('Program Activation Management', `selected by ${select}`, loaded, admin(activate(1, select), 'InvalidField'))),
  ...[0, Nsid.Nvm, 99, all].map((nsid) => one('Program Activation Management', `namespace ${nsid.toString(16)}h`, admin(activate(1, 1, { nsid }), 'InvalidNamespace'))),
  ...reservedCases('Program Activation Management', [loaded, activated], { cdw10: 0x000fffff }),
];

const sets = (select: number, id: number, count: number, more: Partial<Entry> = {}): Entry => ({ opc: Opcode.AdminMemoryRangeSet, nsid: Nsid.Compute, cdw10: select | (id << 16), cdw11: count, ...more });
const made = admin(sets(0, 0, 1), 'Success', { bytes: 32, put: memoryRange(0, 4096, 0), dw0: 1 });
const rangeSetCases: Case[] = [
  one('Memory Range Set Management', 'create', made),
  one('Memory Range Set Management', 'create two', made, { ...made, dw0: 2 }),
  one('Memory Range Set Management', 'of two ranges', admin(sets(0, 0, 2), 'Success', { bytes: 64, put: [...memoryRange(0, 64, 0), ...memoryRange(64, 64, 32)] })),
  one('Memory Range Set Management', 'delete', made, admin(sets(1, 1, 0), 'Success')),
  one('Memory Range Set Management', 'delete twice', made, admin(sets(1, 1, 0), 'Success'), admin(sets(1, 1, 0), 'InvalidMemoryRangeSetIdentifier')),
  one('Memory Range Set Management', 'delete what is not there', admin(sets(1, 9, 0), 'InvalidMemoryRangeSetIdentifier')),
  one('Memory Range Set Management', 'delete with ranges', made, admin(sets(1, 1, 1), 'InvalidField')),
  one('Memory Range Set Management', 'create with an identifier', admin(sets(0, 3, 1), 'InvalidMemoryRangeSetIdentifier', { bytes: 32, put: memoryRange(0, 64, 0) })),
  one('Memory Range Set Management', 'no range', admin(sets(0, 0, 0), 'InvalidMemoryRangeSet', { bytes: 32 })),
  one('Memory Range Set Management', '33 ranges', admin(sets(0, 0, 33), 'MaximumMemoryRangesExceeded', { bytes: 33 * 32 })),
  one('Memory Range Set Management', 'an empty range', admin(sets(0, 0, 1), 'InvalidMemoryRangeSet', { bytes: 32, put: memoryRange(0, 0, 0) })),
  one('Memory Range Set Management', 'past the end', admin(sets(0, 0, 1), 'InvalidMemoryRangeSet', { bytes: 32, put: memoryRange(slmBytes, 4, 0) })),
  one('Memory Range Set Management', 'over the end', admin(sets(0, 0, 1), 'InvalidMemoryRangeSet', { bytes: 32, put: memoryRange(slmBytes - 4, 8, 0) })),
  one('Memory Range Set Management', 'a start of 2^63', admin(sets(0, 0, 1), 'InvalidMemoryRangeSet', { bytes: 32, put: [...memoryRange(0, 64, 0), [12, 0x80000000]] })),
  ...[0, Nsid.Nvm, Nsid.Compute, Nsid.Raw, 99, all].map((nsid) => one('Memory Range Set Management', `memory of namespace ${nsid.toString(16)}h`, admin(sets(0, 0, 1), 'InvalidMemoryNamespace', { bytes: 32, put: memoryRange(0, 64, 0, nsid) }))),
  one('Memory Range Set Management', 'ranges that overlap', admin(sets(0, 0, 2), 'OverlappingMemoryRanges', { bytes: 64, put: [...memoryRange(0, 64, 0), ...memoryRange(60, 64, 32)] })),
  one('Memory Range Set Management', 'less data than ranges', admin(sets(0, 0, 2), 'DataSglLengthInvalid', { bytes: 32 })),
  one('Memory Range Set Management', '65 sets', ...Array.from({ length: 64 }, (_, i): Step => ({ ...made, dw0: i + 1 })), { ...made, status: 'MaximumMemoryRangeSetsExceeded', dw0: 0 }),
  ...[2, 7, 15].map((select) => one('Memory Range Set Management', `selected by ${select}`, admin(sets(select, 0, 1), 'InvalidField', { bytes: 32 }))),
  ...[0, Nsid.Slm, 99, all].map((nsid) => one('Memory Range Set Management', `namespace ${nsid.toString(16)}h`, admin(sets(0, 0, 1, { nsid }), 'InvalidNamespace', { bytes: 32 }))),
  ...reservedCases('Memory Range Set Management', [made], { cdw10: 0xffff000f, cdw11: 0xff }),
];

// Queues made by commands (rings in the data region)

const createCq = (id: number, entries: number, more: Partial<Entry> = {}): Entry => ({ opc: Opcode.AdminCreateIoCq, cdw11: 1, ...more, cdw10: ((id | ((entries - 1) << 16)) >>> 0) });
const createSq = (id: number, entries: number, completion = id, more: Partial<Entry> = {}): Entry => ({ opc: Opcode.AdminCreateIoSq, ...more, cdw10: ((id | ((entries - 1) << 16)) >>> 0), cdw11: ((1 | (completion << 16) | (more.cdw11 ?? 0)) >>> 0) });
const deleteQueue = (opc: number, id: number): Entry => ({ opc, cdw10: id });
const cqMade = admin(createCq(2, 16), 'Success', { bytes: 4096 });
const sqMade = admin(createSq(2, 16), 'Success', { bytes: 8192 });
export const queueCases: readonly Case[] = [
  one('Create I/O Completion Queue', 'valid', cqMade),
  one('Create I/O Completion Queue', 'the last one', admin(createCq(64, 2), 'Success', { bytes: 4096 })),
  ...[0, 1, 65, 0xffff].map((id) => one('Create I/O Completion Queue', `number ${id}`, admin(createCq(id, 16), 'InvalidQueueIdentifier', { bytes: 4096 }))),
  one('Create I/O Completion Queue', 'twice', cqMade, admin(createCq(2, 16), 'InvalidQueueIdentifier', { bytes: 4096 })),
  ...[1, 3, 100, 8192, 65536].map((entries) => one('Create I/O Completion Queue', `${entries} entries`, admin(createCq(2, entries), 'InvalidQueueSize', { bytes: 4096 }))),
  one('Create I/O Completion Queue', 'not contiguous', admin(createCq(2, 16, { cdw11: 0 }), 'InvalidField', { bytes: 4096 })),
  one('Create I/O Completion Queue', 'an interrupt vector', admin(createCq(2, 16, { cdw11: 0x10003 }), 'InvalidField', { bytes: 4096 })),
  one('Create I/O Completion Queue', 'less memory than entries', admin(createCq(2, 4096), 'DataSglLengthInvalid', { bytes: 4096 })),
  one('Create I/O Completion Queue', 'of a namespace', admin({ ...createCq(2, 16), nsid: 1 }, 'InvalidNamespace', { bytes: 4096 })),
  one('Create I/O Submission Queue', 'valid', cqMade, sqMade),
  ...[0, 1, 2, 3].map((priority) => one('Create I/O Submission Queue', `priority ${priority}`, cqMade, admin(createSq(2, 16, 2, { cdw11: priority << 1 }), 'Success', { bytes: 8192 }))),
  one('Create I/O Submission Queue', 'without a completion queue', admin(createSq(2, 16), 'CompletionQueueInvalid', { bytes: 8192 })),
  ...[0, 3, 65].map((completion) => one('Create I/O Submission Queue', `completion queue ${completion}`, cqMade, admin(createSq(2, 16, completion), 'CompletionQueueInvalid', { bytes: 8192 }))),
  ...[0, 1, 65].map((id) => one('Create I/O Submission Queue', `number ${id}`, cqMade, admin(createSq(id, 16, 2), 'InvalidQueueIdentifier', { bytes: 8192 }))),
  one('Create I/O Submission Queue', 'twice', cqMade, sqMade, admin(createSq(2, 16), 'InvalidQueueIdentifier', { bytes: 8192 })),
  ...[1, 3, 32].map((entries) => one('Create I/O Submission Queue', `${entries} entries before a completion queue of 16`, cqMade, admin(createSq(2, entries), 'InvalidQueueSize', { bytes: 8192 }))),
  one('Create I/O Submission Queue', 'less memory than entries', cqMade, admin(createSq(2, 16), 'DataSglLengthInvalid', { bytes: 4096 })),
  one('Create I/O Submission Queue', 'of a namespace', cqMade, admin({ ...createSq(2, 16), nsid: 1 }, 'InvalidNamespace', { bytes: 8192 })),
  one('Delete I/O Submission Queue', 'valid', cqMade, sqMade, admin(deleteQueue(Opcode.AdminDeleteIoSq, 2), 'Success')),
  one('Delete I/O Submission Queue', 'twice', cqMade, sqMade, admin(deleteQueue(Opcode.AdminDeleteIoSq, 2), 'Success'), admin(deleteQueue(Opcode.AdminDeleteIoSq, 2), 'InvalidQueueIdentifier')),
  ...[0, 2, 65].map((id) => one('Delete I/O Submission Queue', `number ${id}`, admin(deleteQueue(Opcode.AdminDeleteIoSq, id), 'InvalidQueueIdentifier'))),
  one('Delete I/O Completion Queue', 'valid', cqMade, admin(deleteQueue(Opcode.AdminDeleteIoCq, 2), 'Success')),
  one('Delete I/O Completion Queue', 'before its submission queue', cqMade, sqMade, admin(deleteQueue(Opcode.AdminDeleteIoCq, 2), 'InvalidQueueDeletion')),
  one('Delete I/O Completion Queue', 'after its submission queue', cqMade, sqMade, admin(deleteQueue(Opcode.AdminDeleteIoSq, 2), 'Success'), admin(deleteQueue(Opcode.AdminDeleteIoCq, 2), 'Success'), cqMade, sqMade),
  ...[0, 2, 65].map((id) => one('Delete I/O Completion Queue', `number ${id}`, admin(deleteQueue(Opcode.AdminDeleteIoCq, id), 'InvalidQueueIdentifier'))),
];

export const ioCases: readonly Case[] = [...blockCases, ...programCases, ...rangeSetCases];
