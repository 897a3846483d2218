// A process with a device and its raw namespace, or media that is memory, made to be killed: reports what every block holds, then
// writes, flushes and writes with FUA (memory: a write, then a Flush), one after the other.
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { native } from '../../native/index.js';
import { CommandQueue } from '../../native/queue.js';
import { Fid, Nsid, Opcode, Status } from '../../pushdown/runtime/wire.gen.js';
import { type BlocksHostOptions, type BlocksLine, blockCount, sectorBytes } from './blocks-model.js';

const { dir, steps, writeCache, memory } = JSON.parse(process.argv[2] ?? '') as BlocksHostOptions;
const say = (line: BlocksLine) => void writeSync(1, `${JSON.stringify(line)}\n`);
const device = native().openDevice({
  backingFile: join(dir, 'nvm'), capacityBytes: 1 << 20, rawFile: join(dir, 'raw'), rawBytes: blockCount * 4096, slmBytes: 16 << 20, ioThreads: 1, slots: 0,
  ...(memory ? { model: { media: { kind: 'memory', lineBytes: 256, modules: 1, loadNs: 1, loadBufferedNs: 1, storeNtNs: 1, storeFlushedNs: 1, lineReadNs: 0.001, lineWriteNs: 0.001 } } } : {}),
  slotNode: '', slotScript: '', slotLauncher: '', slotHeapBytesMax: 0, morselDeadlineMs: 1000,
});
const queue = new CommandQueue(device.attach({ dataBytes: 1 << 20, entries: 64 }), { entries: 64 });
const region = await queue.acquire(4096);
const words = new Uint32Array(region.view.buffer, region.view.byteOffset, 1024);
const must = async (queueId: 0 | 1, fields: Parameters<CommandQueue['send']>[1], data?: typeof region) => {
  const { status } = await queue.send(queueId, fields, data);
  if (status !== Status.Success) throw new Error(`opcode ${fields.opc} ended with status ${status.toString(16)}h`);
};

const bytesOf = (opc: number, block: number) => ({ opc, nsid: Nsid.Pmem, cdw10: block * 4096, cdw12: 4096 });
const flush = (all: boolean) => must(1, { opc: Opcode.Flush, nsid: all ? Nsid.All : memory ? Nsid.Nvm : Nsid.Raw });

const found: number[][] = [];
for (let block = 0; block < blockCount; block++) {
  await must(1, memory ? bytesOf(Opcode.MemoryRead, block) : { opc: Opcode.Read, nsid: Nsid.Raw, cdw10: block }, region);
  found.push(Array.from({ length: 4096 / sectorBytes }, (_, i) => words[(i * sectorBytes) / 4] ?? 0));
}
say({ kind: 'found', blocks: found });
if (!writeCache) await must(0, { opc: Opcode.AdminSetFeatures, cdw10: Fid.VolatileWriteCache, cdw11: 0 });
for (const step of steps) {
  say({ kind: 'begin', step });
  if (step.kind === 'flush') await flush(step.all);
  else {
    words.fill(step.version);
    if (memory) await must(1, bytesOf(Opcode.MemoryWrite, step.block), region);
    else await must(1, { opc: Opcode.Write, nsid: Nsid.Raw, cdw10: step.block, cdw12: step.kind === 'fua' ? 1 << 30 : 0 }, region);
    if (memory && step.kind === 'fua') await flush(false);
  }
  say({ kind: 'end', step });
}
queue.close();
await device.close();
process.exit(0);
