import { Fid, Nsid, Opcode } from '../../pushdown/runtime/wire.gen.js';
import type { Case, Entry, Step, Word } from './case.js';
import { all, block, blocks, copyRange, io, mark, memoryRange, on, one, readBack, slmBytes, write } from './entries.js';
import { reservedCases } from './reserved.js';

const noCache: Step = { queue: 0, entry: { opc: Opcode.AdminSetFeatures, cdw10: Fid.VolatileWriteCache, cdw11: 0 }, status: 'Success' };
const mem = (opc: number, start: number, length: number, more: Partial<Entry> = {}): Entry => ({ opc, nsid: Nsid.Slm, cdw10: start, cdw12: length, ...more });
const memCopy = (to: number, length: number, count: number, format: number, more: Partial<Entry> = {}): Entry => ({ opc: Opcode.MemoryCopy, nsid: Nsid.Slm, cdw2: length, cdw10: to, cdw12: (count - 1) | (format << 8), ...more });
/** Memory Copy from memory to blocks. */
const toBlocks = (slba: number, length: number, count = 1, nsid: number = Nsid.Raw, more: Partial<Entry> = {}): Entry => memCopy(slba, length, count, 3, { cdw13: nsid, ...more });
const memWrite = (start: number, put: readonly Word[], length = 64) => io(mem(Opcode.MemoryWrite, start, length), 'Success', { bytes: length, put });
const memRead = (start: number, get: readonly Word[], length = 64) => io(mem(Opcode.MemoryRead, start, length), 'Success', { bytes: length, get });
/** What holds for every command that names a run of bytes, in a namespace where 64 bytes from `at` on are the host's to change. */
const places = (command: string, opc: number, data: boolean, { nsid, end, at }: { nsid: number; end: number; at: number }): Case[] => {
  const bytes = (n: number) => (data ? { bytes: n } : {});
  const entry = (start: number, length: number, more: Partial<Entry> = {}) => mem(opc, start, length, { nsid, ...more });
  const named = (name: string, ...steps: Step[]) => one(command, nsid === Nsid.Slm ? name : `namespace ${nsid}: ${name}`, ...steps);
  return [
    named('64 bytes', io(entry(at, 64), 'Success', bytes(64))),
    named('the last dword', io(entry(end - 4, 4), 'Success', bytes(4))),
    named('past the end', io(entry(end, 4), 'LbaOutOfRange', bytes(4))),
    named('over the end', io(entry(end - 4, 8), 'LbaOutOfRange', bytes(8))),
    named('from 2^32', io(entry(0, 4, { cdw11: 1 }), 'LbaOutOfRange', bytes(4))),
    named('a range that wraps', io(entry(0xfffffffc, 8, { cdw11: all }), 'LbaOutOfRange', bytes(8))),
    named('no bytes', io(entry(at, 0), 'InvalidField', bytes(4))),
    named('an odd start', io(entry(at + 2, 4), 'InvalidField', bytes(4))),
    named('an odd length', io(entry(at, 6), 'InvalidField', bytes(8))),
    ...(data || nsid === Nsid.Pmem ? [named('more than a transfer', io(entry(at, (2 << 20) + 4), 'InvalidField', bytes(64)))] : []),
    ...(data ? [named('less data than bytes', io(entry(at, 64), 'DataSglLengthInvalid', { bytes: 60 }))] : []),
    ...reservedCases(command, [io(entry(at, 64), 'Success', bytes(64))], { cdw10: all, cdw11: all, cdw12: all }).map((one) => (nsid === Nsid.Slm ? one : { ...one, name: `namespace ${nsid}: ${one.name}` })),
  ];
};
const slm = { nsid: Nsid.Slm, end: slmBytes, at: 128 };
export const memoryCases: readonly Case[] = [
  ...places('Memory Fill', Opcode.MemoryFill, false, slm),
  ...places('Memory Read', Opcode.MemoryRead, true, slm),
  ...places('Memory Write', Opcode.MemoryWrite, true, slm),
  one('Memory Write', 'is read back', memWrite(256, [[0, 5], [60, 6]]), memRead(256, [[0, 5], [60, 6]])),
  one('Memory Write', 'over a megabyte', memWrite((1 << 20) - 32, [[0, 5], [60, 6]]), memRead((1 << 20) - 32, [[0, 5], [60, 6]])),
  one('Memory Read', 'of what nobody wrote', memRead(32 << 20, [[0, 0], [60, 0]])),
  one('Memory Fill', 'reads as zeros', memWrite(256, [[0, 5], [60, 6]]), io(mem(Opcode.MemoryFill, 256, 32), 'Success'), memRead(256, [[0, 0], [60, 6]])),
  one('Memory Copy', 'from SLM', memWrite(0, [[0, 5], [60, 6]]), io(memCopy(128, 64, 1, 4), 'Success', { bytes: 32, put: memoryRange(0, 64, 0) }), memRead(128, [[0, 5], [60, 6]])),
  one('Memory Copy', 'from SLM in two pieces', memWrite(0, [[0, 5], [60, 6]]), io(memCopy(128, 8, 2, 4), 'Success', { bytes: 64, put: [...memoryRange(60, 4, 0), ...memoryRange(0, 4, 32)] }), memRead(128, [[0, 6], [4, 5]])),
  one('Memory Copy', 'over itself', memWrite(0, [[0, 5], [4, 6]]), io(memCopy(4, 8, 1, 4), 'Success', { bytes: 32, put: memoryRange(0, 8, 0) }), memRead(0, [[0, 5], [4, 5], [8, 6]])),
  one('Memory Copy', 'from blocks', write(100, 1, mark), io(memCopy(0, block, 1, 2), 'Success', { bytes: 32, put: copyRange(100, 1, 0, Nsid.Raw) }), memRead(0, mark.slice(0, 1)), memRead(4032, [[60, mark[1]![1]]])),
  one('Memory Copy', 'from datasets', io(memCopy(0, block, 1, 2), 'Success', { bytes: 32, put: copyRange(0, 1, 0, Nsid.Nvm) })),
  one('Memory Copy', 'to blocks', memWrite(0, [[0, 5], [60, 6]]), memWrite(4032, [[60, 7]]), io(toBlocks(110, block), 'Success', { bytes: 32, put: memoryRange(0, block, 0) }), readBack(110, 1, [[0, 5], [60, 6], [4092, 7]])),
  one('Memory Copy', 'to blocks from two pieces that overlap', memWrite(0, [[0, 5]]), io(toBlocks(111, block, 2), 'Success', { bytes: 64, put: [...memoryRange(0, block - 4, 0), ...memoryRange(0, 4, 32)] }), readBack(111, 1, [[0, 5], [4092, 5]])),
  one('Memory Copy', 'to the last block', io(toBlocks(blocks - 1, block), 'Success', { bytes: 32, put: memoryRange(0, block, 0) })),
  one('Memory Copy', 'the largest transfer to blocks', io(toBlocks(0, 2 << 20), 'Success', { bytes: 32, put: memoryRange(0, 2 << 20, 0) })),
  one('Memory Copy', 'to blocks, durable without a volatile write cache', noCache, memWrite(0, [[0, 8]]), io(toBlocks(112, block), 'Success', { bytes: 32, put: memoryRange(0, block, 0) }), readBack(112, 1, [[0, 8]])),
  one('Memory Copy', 'more than a transfer to blocks', io(toBlocks(0, (2 << 20) + block, 2), 'InvalidField', { bytes: 64, put: [...memoryRange(0, 2 << 20, 0), ...memoryRange(0, block, 32)] })),
  one('Memory Copy', 'to half a block', io(toBlocks(110, 2048), 'InvalidField', { bytes: 32, put: memoryRange(0, 2048, 0) })),
  one('Memory Copy', 'to blocks with a length that is not the ranges\'', io(toBlocks(110, block), 'InvalidField', { bytes: 32, put: memoryRange(0, 2 * block, 0) })),
  one('Memory Copy', 'to a block past the end', io(toBlocks(blocks, block), 'LbaOutOfRange', { bytes: 32, put: memoryRange(0, block, 0) })),
  one('Memory Copy', 'to blocks over the end', io(toBlocks(blocks - 1, 2 * block), 'LbaOutOfRange', { bytes: 32, put: memoryRange(0, 2 * block, 0) })),
  one('Memory Copy', 'to LBA 2^64 - 1', io(toBlocks(all, block, 1, Nsid.Raw, { cdw11: all }), 'LbaOutOfRange', { bytes: 32, put: memoryRange(0, block, 0) })),
  one('Memory Copy', 'to blocks of datasets without a ticket', io(toBlocks(0, block, 1, Nsid.Nvm), 'NamespaceWriteProtected', { bytes: 32, put: memoryRange(0, block, 0) })),
  one('Memory Copy', 'to blocks from past the end', io(toBlocks(110, block), 'LbaOutOfRange', { bytes: 32, put: memoryRange(slmBytes, block, 0) })),
  one('Memory Copy', 'to blocks from an odd start', io(toBlocks(110, block), 'InvalidField', { bytes: 32, put: memoryRange(2, block, 0) })),
  ...[0, Nsid.Slm, Nsid.Compute, Nsid.Kv, 99, all].map((nsid) => one('Memory Copy', `to blocks of namespace ${nsid.toString(16)}h`, io(toBlocks(110, block, 1, nsid), 'InvalidNamespace', { bytes: 32, put: memoryRange(0, block, 0) }))),
  ...[0, Nsid.Nvm, Nsid.Compute, Nsid.Raw, 99].map((nsid) => one('Memory Copy', `to blocks from memory of namespace ${nsid}`, io(toBlocks(110, block), 'InvalidMemoryNamespace', { bytes: 32, put: memoryRange(0, block, 0, nsid) }))),
  one('Memory Copy', '33 ranges to blocks', io(toBlocks(110, block, 33), 'InvalidField', { bytes: 33 * 32 })),
  one('Memory Copy', 'to blocks with less data than ranges', io(toBlocks(110, block, 2), 'DataSglLengthInvalid', { bytes: 32, put: memoryRange(0, block, 0) })),
  ...[2, 4].map((format) => one('Memory Copy', `format ${format}h with a namespace of blocks`, io(memCopy(0, block, 1, format, { cdw13: Nsid.Raw }), 'InvalidField', { bytes: 32, put: format === 2 ? copyRange(0, 1, 0, Nsid.Raw) : memoryRange(0, block, 0) }))),
  ...[3, 4].flatMap((format) => [16, 20, 24, 28].map((at) => one('Memory Copy', `format ${format}h, a reserved byte at ${at}`, io(memCopy(0, block, 1, format, format === 3 ? { cdw13: Nsid.Raw } : {}), 'InvalidField', { bytes: 32, put: [...memoryRange(0, block, 0), [at, 1 << 16]] })))),
  ...[4, 20, 24, 28].map((at) => one('Memory Copy', `format 2h, a reserved byte at ${at}`, io(memCopy(0, block, 1, 2), 'InvalidField', { bytes: 32, put: [...copyRange(0, 1, 0, Nsid.Raw), [at, 1]] }))),
  ...[0, 1, 5, 15].map((format) => one('Memory Copy', `format ${format.toString(16)}h`, io(memCopy(0, 64, 1, format), 'InvalidField', { bytes: 32 }))),
  one('Memory Copy', 'a length that is not the ranges\'', io(memCopy(128, 60, 1, 4), 'InvalidField', { bytes: 32, put: memoryRange(0, 64, 0) })),
  one('Memory Copy', 'no bytes', io(memCopy(128, 0, 1, 4), 'InvalidField', { bytes: 32 })),
  one('Memory Copy', '2^32 bytes', io({ ...memCopy(0, 0, 1, 4), cdw3: 1 }, 'InvalidField', { bytes: 32 })),
  one('Memory Copy', '33 ranges', io(memCopy(128, 64, 33, 4), 'InvalidField', { bytes: 33 * 32 })),
  one('Memory Copy', 'to past the end', io(memCopy(slmBytes, 64, 1, 4), 'LbaOutOfRange', { bytes: 32, put: memoryRange(0, 64, 0) })),
  one('Memory Copy', 'from past the end', io(memCopy(0, 64, 1, 4), 'LbaOutOfRange', { bytes: 32, put: memoryRange(slmBytes, 64, 0) })),
  one('Memory Copy', 'from blocks past the end', io(memCopy(0, block, 1, 2), 'LbaOutOfRange', { bytes: 32, put: copyRange(blocks, 1, 0, Nsid.Raw) })),
  ...[0, Nsid.Slm, Nsid.Compute, 99].map((nsid) => one('Memory Copy', `blocks of namespace ${nsid}`, io(memCopy(0, block, 1, 2), 'InvalidNamespace', { bytes: 32, put: copyRange(0, 1, 0, nsid) }))),
  ...[0, Nsid.Nvm, Nsid.Compute, 99].map((nsid) => one('Memory Copy', `memory of namespace ${nsid}`, io(memCopy(128, 64, 1, 4), 'InvalidMemoryNamespace', { bytes: 32, put: memoryRange(0, 64, 0, nsid) }))),
  one('Memory Copy', 'less data than ranges', io(memCopy(128, 128, 2, 4), 'DataSglLengthInvalid', { bytes: 32 })),
  ...reservedCases('Memory Copy', [io(memCopy(128, 64, 1, 4), 'Success', { bytes: 32, put: memoryRange(0, 64, 0) })], { cdw2: all, cdw3: all, cdw10: all, cdw11: all, cdw12: 0xfff, cdw13: all }),
  ...[0x03, 0x04, 0x06, 0x7f, 0x80, 0xff].map((opc) => one('I/O opcode not supported', `${opc.toString(16)}h on SLM`, io({ opc, nsid: Nsid.Slm }, 'InvalidOpcode'))),
];

// Namespace 6: the bytes of namespace 1, on a device whose media is memory

/** Its first byte that the host may write, as that block; the blocks before are protected. */
const own = { block: blocks / 2, byte: (blocks / 2) * block };
const pmem = (opc: number, start: number, length: number): Entry => mem(opc, start, length, { nsid: Nsid.Pmem });
const pmemWrite = (start: number, put: readonly Word[], length = 64) => io(pmem(Opcode.MemoryWrite, start, length), 'Success', { bytes: length, put });
const pmemRead = (start: number, get: readonly Word[], length = 64) => io(pmem(Opcode.MemoryRead, start, length), 'Success', { bytes: length, get });
const readDatasets = (slba: number, get: readonly Word[]) => io({ ...on(Opcode.Read, slba, 1), nsid: Nsid.Nvm }, 'Success', { bytes: block, get });
const clear = (start: number) => io(pmem(Opcode.MemoryFill, start, block), 'Success');
const media = { nsid: Nsid.Pmem, end: blocks * block, at: own.byte };

/** For a device whose media is memory, and a host that may write the upper half of namespace 1. */
export const persistentMemoryCases: readonly Case[] = [
  ...places('Memory Fill', Opcode.MemoryFill, false, media),
  ...places('Memory Read', Opcode.MemoryRead, true, media),
  ...places('Memory Write', Opcode.MemoryWrite, true, media),
  one('Memory Write', 'is read as a block', clear(own.byte), pmemWrite(own.byte + 4032, [[0, 5], [60, 6]]), readDatasets(own.block, [[4032, 5], [4092, 6]])),
  one('Memory Read', 'of blocks that are protected', pmemRead(0, [])),
  ...([['Memory Write', Opcode.MemoryWrite, { bytes: 8 }], ['Memory Fill', Opcode.MemoryFill, {}]] as const).flatMap(([command, opc, data]) => [
    one(command, 'to blocks that are protected', io(pmem(opc, 0, 8), 'NamespaceWriteProtected', data)),
    one(command, 'across the end of what is protected', io(pmem(opc, own.byte - 4, 8), 'NamespaceWriteProtected', data)),
  ]),
  one('Memory Write', 'without a volatile write cache', noCache, pmemWrite(own.byte, [[0, 7]]), pmemRead(own.byte, [[0, 7]])),
  one('Memory Copy', 'from persistent memory', pmemWrite(own.byte + 60, [[0, 5], [60, 6]]), io(memCopy(128, 64, 1, 4), 'Success', { bytes: 32, put: memoryRange(own.byte + 60, 64, 0, Nsid.Pmem) }), memRead(128, [[0, 5], [60, 6]])),
  one('Memory Copy', 'from SLM to persistent memory', memWrite(0, [[0, 8], [60, 9]]), io(memCopy(own.byte + 64, 64, 1, 4, { nsid: Nsid.Pmem }), 'Success', { bytes: 32, put: memoryRange(0, 64, 0) }), pmemRead(own.byte + 64, [[0, 8], [60, 9]])),
  one('Memory Copy', 'inside persistent memory, over itself', pmemWrite(own.byte, [[0, 5], [4, 6]]), io(memCopy(own.byte + 4, 8, 1, 4, { nsid: Nsid.Pmem }), 'Success', { bytes: 32, put: memoryRange(own.byte, 8, 0, Nsid.Pmem) }), pmemRead(own.byte, [[0, 5], [4, 5], [8, 6]])),
  one('Memory Copy', 'from both memories', pmemWrite(own.byte, [[0, 5]]), memWrite(0, [[0, 6]]), io(memCopy(128, 8, 2, 4), 'Success', { bytes: 64, put: [...memoryRange(own.byte, 4, 0, Nsid.Pmem), ...memoryRange(0, 4, 32)] }), memRead(128, [[0, 5], [4, 6]])),
  one('Memory Copy', 'from blocks to persistent memory', write(100, 1, mark), io(memCopy(own.byte, block, 1, 2, { nsid: Nsid.Pmem }), 'Success', { bytes: 32, put: copyRange(100, 1, 0, Nsid.Raw) }), readDatasets(own.block, mark)),
  one('Memory Copy', 'from persistent memory to raw blocks', clear(own.byte), pmemWrite(own.byte, [[0, 5], [60, 6]]), io(toBlocks(120, block), 'Success', { bytes: 32, put: memoryRange(own.byte, block, 0, Nsid.Pmem) }), readBack(120, 1, [[0, 5], [60, 6], [4092, 0]])),
  one('Memory Copy', 'by namespace 6 to raw blocks', memWrite(0, [[0, 5]]), io(toBlocks(121, block, 1, Nsid.Raw, { nsid: Nsid.Pmem }), 'Success', { bytes: 32, put: memoryRange(0, block, 0) }), readBack(121, 1, [[0, 5]])),
  one('Memory Copy', 'from persistent memory to the blocks it lies in', clear(own.byte), pmemWrite(own.byte, [[0, 5]]), io(toBlocks(own.block, block, 2, Nsid.Nvm), 'Success', { bytes: 64, put: [...memoryRange(own.byte + 4, block - 4, 0, Nsid.Pmem), ...memoryRange(own.byte, 4, 32, Nsid.Pmem)] }), pmemRead(own.byte, [[0, 0]]), pmemRead(own.byte + 4032, [[60, 5]])),
  one('Memory Copy', 'to blocks of a ticket without a volatile write cache', noCache, memWrite(0, [[0, 5]]), io(toBlocks(own.block, block, 1, Nsid.Nvm), 'Success', { bytes: 32, put: memoryRange(0, block, 0) }), pmemRead(own.byte, [[0, 5]])),
  one('Memory Copy', 'to persistent memory that is protected', io(memCopy(0, 64, 1, 4, { nsid: Nsid.Pmem }), 'NamespaceWriteProtected', { bytes: 32, put: memoryRange(0, 64, 0) })),
  one('Memory Copy', 'to blocks that are protected', io(toBlocks(own.block - 1, 2 * block, 1, Nsid.Nvm), 'NamespaceWriteProtected', { bytes: 32, put: memoryRange(0, 2 * block, 0) })),
  one('Memory Copy', 'to blocks of namespace 6', io(toBlocks(own.block, block, 1, Nsid.Pmem), 'InvalidNamespace', { bytes: 32, put: memoryRange(0, block, 0) })),
  one('Memory Copy', 'from persistent memory past the end', io(memCopy(0, 64, 1, 4), 'LbaOutOfRange', { bytes: 32, put: memoryRange(blocks * block - 32, 64, 0, Nsid.Pmem) })),
  one('Memory Copy', 'to persistent memory past the end', io(memCopy(blocks * block, 64, 1, 4, { nsid: Nsid.Pmem }), 'LbaOutOfRange', { bytes: 32, put: memoryRange(0, 64, 0) })),
];
