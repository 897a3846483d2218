import { ChunkRecord, Nsid, Opcode, ScanDescriptor, ScanFlag, Status } from '../pushdown/runtime/wire.gen.js';
import { MillraceError } from '../pushdown/types/error.js';
import { type Completion, expectSuccess } from './command-status.js';
import type { CommandSender } from './command-sender.js';
import type { CommandQueue, Region } from './queue.js';

/** What ScanOpen takes (native/wire/scan.def). */
export interface ScanRequest {
  readonly datasetHandle: number;
  /** PIND of an activated program of this association; absent: the host runs everything. */
  readonly program?: number;
  /** ScanFlag bits. */
  readonly flags: number;
  /** Dataset column of each kernel input. */
  readonly columns: readonly number[];
  /** Row groups to scan, ascending; morsel i is rowGroups[i]. */
  readonly rowGroups: readonly number[];
  readonly outputBytesMax?: number;
  readonly deadlineMs?: number;
  readonly limitRows?: number;
  /** On whose behalf, where the association may act for others (AttachFlag, tickets); absent: the association's own tenant. */
  readonly tenant?: number;
  readonly actor?: number;
  /**
   * The program was generated here; of users it holds the modules of these SHA-256 digests (hex), which the tenant's list of kernels is
   * asked for in its place. Only where the association may act for others.
   */
  readonly madeOf?: readonly string[];
}

const NO_PROGRAM = 0xffffffff;
/** SEL[19:16] of Program Activation Management: activate. */
const ACTIVATE = 1 << 16;
/** SEL[24] of Load Program: unload. */
const UNLOAD = 1 << 24;

async function withRegion<T>(queue: CommandSender, bytes: number, use: (region: Region) => Promise<T>): Promise<T> {
  const region = await queue.acquire(bytes);
  try {
    return await use(region);
  } finally {
    queue.release(region);
  }
}

const u32 = (region: Region, count: number) => new Uint32Array(region.view.buffer, region.view.byteOffset, count);

/** Loads a module in chunks as program `index` (0..63) of this association and activates it. */
export async function loadProgram(queue: CommandSender, index: number, module: Uint8Array): Promise<void> {
  const step = 256 * 1024;
  await withRegion(queue, Math.min(step, Math.max(1, module.byteLength)), async (region) => {
    for (let at = 0; at < module.byteLength; at += step) {
      const part = module.subarray(at, at + step);
      region.view.set(part);
      const load = { opc: Opcode.AdminLoadProgram, nsid: Nsid.Compute, cdw10: index, cdw11: module.byteLength, cdw14: part.byteLength, cdw15: at };
      expectSuccess(await queue.send(0, load, region), 'Loading the program');
    }
  });
  expectSuccess(await queue.send(0, { opc: Opcode.AdminActivateProgram, nsid: Nsid.Compute, cdw10: index | ACTIVATE }), 'Activating the program');
}

/** Deactivates and unloads program `index`; nothing happens where there is none. Open scans with it end undisturbed. */
export async function unloadProgram(queue: CommandSender, index: number): Promise<void> {
  await queue.send(0, { opc: Opcode.AdminActivateProgram, nsid: Nsid.Compute, cdw10: index });
  const unloaded = await queue.send(0, { opc: Opcode.AdminLoadProgram, nsid: Nsid.Compute, cdw10: index | UNLOAD });
  if (unloaded.status !== Status.NoProgram) expectSuccess(unloaded, 'Unloading the program');
}

/** Opens a scan and takes a lease on the dataset; gives the scan id. */
export async function openScan(queue: CommandQueue, request: ScanRequest): Promise<number> {
  const { columns, rowGroups, madeOf } = request;
  const digestsAt = ScanDescriptor.bytes + 4 * (columns.length + rowGroups.length);
  const bytes = digestsAt + 32 * (madeOf?.length ?? 0);
  return withRegion(queue, bytes, async (region) => {
    const view = new DataView(region.view.buffer, region.view.byteOffset, bytes);
    region.view.fill(0);
    view.setUint32(ScanDescriptor.datasetHandle, request.datasetHandle, true);
    view.setUint32(ScanDescriptor.programIndex, request.program ?? NO_PROGRAM, true);
    view.setUint32(ScanDescriptor.flags, request.flags | (madeOf ? ScanFlag.Vouched : 0), true);
    view.setUint32(ScanDescriptor.columnCount, columns.length, true);
    view.setUint32(ScanDescriptor.morselCount, rowGroups.length, true);
    view.setUint32(ScanDescriptor.outputBytesMax, request.outputBytesMax ?? 0, true);
    view.setUint32(ScanDescriptor.deadlineMs, request.deadlineMs ?? 0, true);
    view.setBigUint64(ScanDescriptor.limitRows, BigInt(request.limitRows ?? 0), true);
    view.setUint32(ScanDescriptor.tenant, request.tenant ?? 0, true);
    view.setUint32(ScanDescriptor.actor, request.actor ?? 0, true);
    view.setUint32(ScanDescriptor.userModuleCount, madeOf?.length ?? 0, true);
    new Uint32Array(region.view.buffer, region.view.byteOffset + ScanDescriptor.bytes, columns.length).set(columns);
    new Uint32Array(region.view.buffer, region.view.byteOffset + ScanDescriptor.bytes + 4 * columns.length, rowGroups.length).set(rowGroups);
    for (const [i, digest] of (madeOf ?? []).entries()) region.view.set(Buffer.from(digest, 'hex'), digestsAt + 32 * i);
    return expectSuccess(await queue.send(1, { opc: Opcode.ScanOpen, nsid: Nsid.Compute }, region), 'Opening the scan').dw0;
  });
}

/**
 * Waits for frames of morsels the device ran and copies as many whole ones as fit into `region`. end: nothing follows.
 * More than one may wait at a time; frames are in completion order.
 */
export async function scanResult(queue: CommandQueue, scan: number, region: Region): Promise<{ readonly bytes: number; readonly end: boolean }> {
  const completion = await queue.send(1, { opc: Opcode.ScanResult, nsid: Nsid.Compute, cdw10: scan }, region);
  const { dw0, dw1 } = expectSuccess(completion, 'Fetching results');
  return { bytes: dw0, end: (dw1 & 1) !== 0 };
}

/** Takes up to `wanted` morsels from the tail for the host; their indices, ascending. Empty: nothing is left. */
export async function claimMorsels(queue: CommandQueue, scan: number, wanted: number): Promise<Uint32Array> {
  return withRegion(queue, Math.max(4, wanted * 4), async (region) => {
    const { dw0 } = expectSuccess(await queue.send(1, { opc: Opcode.ScanClaim, nsid: Nsid.Compute, cdw10: scan, cdw11: wanted }, region), 'Claiming morsels');
    return u32(region, dw0).slice();
  });
}

/** Gives claimed morsels back to the pool. */
export async function returnMorsels(queue: CommandQueue, scan: number, morsels: ArrayLike<number>): Promise<void> {
  if (morsels.length === 0) return;
  await withRegion(queue, morsels.length * 4, async (region) => {
    u32(region, morsels.length).set(morsels);
    expectSuccess(await queue.send(1, { opc: Opcode.ScanReturn, nsid: Nsid.Compute, cdw10: scan, cdw11: morsels.length }, region), 'Returning morsels');
  });
}

/** The host finished claimed morsels; rows[i]: how many rows it made of morsels[i] (counts toward limitRows). */
export async function finishMorsels(queue: CommandQueue, scan: number, morsels: ArrayLike<number>, rows?: ArrayLike<number>): Promise<void> {
  if (morsels.length === 0) return;
  await withRegion(queue, morsels.length * 8, async (region) => {
    const pairs = u32(region, morsels.length * 2);
    for (let i = 0; i < morsels.length; i++) {
      pairs[2 * i] = morsels[i];
      pairs[2 * i + 1] = rows?.[i] ?? 0;
    }
    expectSuccess(await queue.send(1, { opc: Opcode.ScanDone, nsid: Nsid.Compute, cdw10: scan, cdw11: morsels.length }, region), 'Finishing morsels');
  });
}

/** Ends the scan at the device: waiting ScanResults complete with AbortRequested, the lease ends. */
export async function closeScan(queue: CommandQueue, scan: number): Promise<void> {
  expectSuccess(await queue.send(1, { opc: Opcode.ScanClose, nsid: Nsid.Compute, cdw10: scan }), 'Closing the scan');
}

/** Pieces a checkpoint crosses the queue in. */
const checkpointPieceBytes = 4 << 20;

/**
 * Holds a stream (ScanFlag.Stream) at its next morsel boundary and gives its state: a checkpoint (native/wire/checkpoint.def) whose
 * `batches` is the morsel it would go on with. No slot runs it before restoreStream or resumeStream. Its results want to be fetched
 * meanwhile: a morsel that waits for room does not end. MR_STREAM_STATE: it has ended, or its state is asked for already.
 */
export async function checkpointStream(queue: CommandQueue, scan: number): Promise<Uint8Array<ArrayBuffer>> {
  return withRegion(queue, checkpointPieceBytes, async (region) => {
    let whole = new Uint8Array(0);
    for (let at = 0; at === 0 || at < whole.length; ) {
      const { dw0, dw1 } = expectStream(await queue.send(1, { opc: Opcode.ScanCheckpoint, nsid: Nsid.Compute, cdw10: scan, cdw11: at }, region), 'Taking the checkpoint');
      if (at === 0) whole = new Uint8Array(dw1);
      whole.set(region.view.subarray(0, dw0), at);
      at += dw0;
    }
    return whole;
  });
}

/**
 * A held stream goes on with this state at this morsel, in a slot that has looked at it. MR_CHECKPOINT_INVALID, MR_CHECKPOINT_MISMATCH,
 * MR_CHECKPOINT_TOO_BIG: it is held as before. MR_STREAM_STATE: it is not held.
 */
export async function restoreStream(queue: CommandQueue, scan: number, checkpoint: Uint8Array, morsel: number): Promise<void> {
  if (checkpoint.length === 0) throw new MillraceError('MR_CHECKPOINT_INVALID', 'Restoring the checkpoint: no bytes are no checkpoint.');
  await withRegion(queue, checkpointPieceBytes, async (region) => {
    for (let at = 0; at < checkpoint.length; at += region.bytes) {
      region.view.set(checkpoint.subarray(at, at + region.bytes));
      expectStream(await queue.send(1, { opc: Opcode.ScanRestore, nsid: Nsid.Compute, cdw10: scan, cdw11: at, cdw12: checkpoint.length, cdw13: morsel }, region), 'Restoring the checkpoint');
    }
  });
}

/** A held stream goes on from the state it is held in. MR_STREAM_STATE: it is not held. */
export async function resumeStream(queue: CommandQueue, scan: number): Promise<void> {
  expectStream(await queue.send(1, { opc: Opcode.ScanRestore, nsid: Nsid.Compute, cdw10: scan }), 'Resuming the stream');
}

function expectStream(completion: Completion, what: string): Completion {
  if (completion.status === Status.CommandSequenceError) throw new MillraceError('MR_STREAM_STATE', `${what}: the stream has ended, is not held, or is being moved already.`);
  return expectSuccess(completion, what);
}

/** ChunkRecord[rowGroups] of one column as bytes. rowGroups: how many the dataset has. */
export async function columnLayout(queue: CommandQueue, datasetHandle: number, column: number, rowGroups: number): Promise<Uint8Array> {
  return withRegion(queue, Math.max(1, rowGroups) * ChunkRecord.bytes, async (region) => {
    const { dw0 } = expectSuccess(await queue.send(1, { opc: Opcode.DatasetLayout, nsid: Nsid.Compute, cdw10: datasetHandle, cdw11: column }, region), 'Reading the layout');
    return region.view.slice(0, dw0);
  });
}
