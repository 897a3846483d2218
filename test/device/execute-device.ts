// What a host of the compute namespace does, over shared memory: its memory, range sets, Execute Program.
import { expectSuccess } from '../../native/command-status.js';
import type { CommandSender } from '../../native/command-sender.js';
import { MemoryRange, Nsid, Opcode } from '../../pushdown/runtime/wire.gen.js';

export interface Range {
  readonly start: number;
  readonly length: number;
  readonly nsid?: number;
}

async function withRegion<T>(queue: CommandSender, bytes: number, use: (region: Awaited<ReturnType<CommandSender['acquire']>>) => Promise<T>): Promise<T> {
  const region = await queue.acquire(bytes);
  try {
    return await use(region);
  } finally {
    queue.release(region);
  }
}

export const writeMemory = (queue: CommandSender, start: number, bytes: Uint8Array): Promise<void> =>
  withRegion(queue, bytes.length, async (region) => {
    region.view.set(bytes);
    expectSuccess(await queue.send(1, { opc: Opcode.MemoryWrite, nsid: Nsid.Slm, cdw10: start, cdw12: bytes.length }, region), 'Memory Write');
  });

export const readMemory = (queue: CommandSender, start: number, length: number): Promise<Uint8Array> =>
  withRegion(queue, length, async (region) => {
    expectSuccess(await queue.send(1, { opc: Opcode.MemoryRead, nsid: Nsid.Slm, cdw10: start, cdw12: length }, region), 'Memory Read');
    return region.view.slice(0, length);
  });

function put(view: Uint8Array, ranges: readonly Range[]): void {
  const words = new DataView(view.buffer, view.byteOffset, view.byteLength);
  view.fill(0, 0, ranges.length * MemoryRange.bytes);
  for (const [i, range] of ranges.entries()) {
    words.setUint32(i * MemoryRange.bytes + MemoryRange.nsid, range.nsid ?? Nsid.Slm, true);
    words.setUint32(i * MemoryRange.bytes + MemoryRange.length, range.length, true);
    words.setBigUint64(i * MemoryRange.bytes + MemoryRange.start, BigInt(range.start), true);
  }
}

export const makeRangeSet = (queue: CommandSender, ranges: readonly Range[]): Promise<number> =>
  withRegion(queue, ranges.length * MemoryRange.bytes, async (region) => {
    put(region.view, ranges);
    const made = await queue.send(0, { opc: Opcode.AdminMemoryRangeSet, nsid: Nsid.Compute, cdw11: ranges.length }, region);
    expectSuccess(made, 'Memory Range Set Management');
    return made.dw0;
  });

/** By the set's identifier, or with the ranges brought along. */
export const execute = (queue: CommandSender, program: number, ranges: number | readonly Range[], rows = 0): Promise<{ status: number; dw0: number }> =>
  typeof ranges === 'number'
    ? queue.send(1, { opc: Opcode.Execute, nsid: Nsid.Compute, cdw2: program | (ranges << 16), cdw10: rows })
    : withRegion(queue, ranges.length * MemoryRange.bytes, async (region) => {
        put(region.view, ranges);
        return queue.send(1, { opc: Opcode.Execute, nsid: Nsid.Compute, cdw2: program, cdw3: ranges.length, cdw10: rows }, region);
      });
