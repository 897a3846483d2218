import { createHash } from 'node:crypto';
import { closeScan, loadProgram, openScan, resumeStream, scanResult, unloadProgram } from '../native/scan-commands.js';
import { readFrames } from '../pushdown/runtime/frame-read.js';
import { CheckpointHeader, FrameKind, Nsid, Opcode, ScanFlag, Status } from '../pushdown/runtime/wire.gen.js';
import { SlotDevice } from '../test/device/slot-device.js';
import { kernel, type KernelParts, sumParts } from '../test/kernels/wat.js';
import { quantile } from './harness/pairs.js';
import { type BenchResult, limitResult } from './harness/report.js';
import { slotColumn } from './slots-data.js';

const mib = 1 << 20;
const wasmPageBytes = 65_536;
/** Below lie a kernel's static parts and what it allocates. */
const heapAt = 524_288;
const rows = 1000;
/** Of one size: on a slow machine there are fewer moves. */
const budgetMs = 60_000;

interface Size {
  readonly name: string;
  /** Of the kernel's memory, and of those bytes that are not zero. A checkpoint has 64 MiB at most, tables included. */
  readonly memoryMib: number;
  readonly writtenBytes: number;
}
const sizes: readonly Size[] = [
  { name: '64 KiB written', memoryMib: 1, writtenBytes: 64 << 10 },
  { name: '16 MiB written', memoryMib: 17, writtenBytes: 16 * mib },
  { name: '63 MiB written', memoryMib: 64, writtenBytes: 63 * mib },
  { name: '64 KiB of 256 MiB written', memoryMib: 256, writtenBytes: 64 << 10 },
];

/** Fills its heap at the first batch, then gives each batch's sum, how many batches it had, and a byte of both ends of the heap. */
const stateful = (size: Size): KernelParts => ({
  ...sumParts,
  memory: `(import "millrace" "memory" (memory ${(size.memoryMib * mib) / wasmPageBytes} 65536))`,
  extra: '(global $kept (mut i64) (i64.const 0))',
  process: `(if (i64.eqz (global.get $kept)) (then (memory.fill (i32.const ${heapAt}) (i32.const 7) (i32.const ${Math.min(size.writtenBytes, size.memoryMib * mib - heapAt)}))))
    (global.set $kept (i64.add (global.get $kept) (i64.const 1)))
    (local.set $s (i64.add (global.get $kept) (i64.add (i64.load8_u (i32.const ${heapAt})) (i64.load8_u (i32.const ${heapAt + Math.min(size.writtenBytes, size.memoryMib * mib - heapAt) - 1})))))
    ${sumParts.process}`,
});

/** What it takes to move a running stream from one slot to the other, by how much its kernel keeps. */
export async function moves(quick: boolean, log: (line: string) => void): Promise<BenchResult[]> {
  const results: BenchResult[] = [];
  for (const size of quick ? sizes.slice(0, 2) : sizes) results.push(...(await movesOf(size, quick ? 3 : 100, quick ? 64 : 2048, log)));
  return results;
}

async function movesOf(size: Size, wanted: number, groups: number, log: (line: string) => void): Promise<BenchResult[]> {
  // Half of a slot's heap lies below the window: there is the kernel's memory. A capture looks at all of it.
  const device = new SlotDevice({ slots: 2, slmBytes: 16 * mib, slotHeapBytesMax: 2 * size.memoryMib * mib + 2 * mib });
  try {
    const handle = await device.putColumn(Array.from({ length: groups }, (_, g) => slotColumn(g, rows)));
    await device.ready();
    await loadProgram(device.queue, 0, await kernel(stateful(size)));
    const undisturbed = await Stream.open(device, handle, groups, false);
    await undisturbed.over;
    const moved: number[] = [];
    let stateBytes = 0;
    let attempts = 0;
    const until = performance.now() + budgetMs;
    while (moved.length < wanted && (moved.length < 3 || performance.now() < until)) {
      const stream = await Stream.open(device, handle, groups, true);
      while (moved.length < wanted) {
        const start = performance.now();
        const held = await stream.hold();
        if (!held) break;
        const from = stream.place;
        const next = stream.first(held.batches);
        await resumeStream(device.queue, stream.scan);
        const { at, place } = await next;
        attempts++;
        // Either slot may be the quicker to take it up; where it was it has moved nowhere. And the first hold is a beginning.
        if (from === undefined || place === from) continue;
        moved.push(at - start);
        stateBytes = held.bytes;
      }
      await stream.over;
      if (stream.hash !== undisturbed.hash) throw new Error(`${size.name}: a stream that was moved gave ${stream.hash}, one that was not ${undisturbed.hash}`);
    }
    await unloadProgram(device.queue, 0);
    log(`${size.name}: ${moved.length} of ${attempts} captures went on in the other slot`);
    const name = `move of a running stream, ${size.name}`;
    return [
      { ...limitResult(name, 'asked to first batch in the other slot, median', 'ms', moved), resultHash: undisturbed.hash },
      { ...limitResult(name, 'asked to first batch in the other slot, p99', 'ms', [quantile(moved, 0.99)]), runs: moved.length, resultHash: undisturbed.hash },
      limitResult(name, 'checkpoint', 'MiB', [stateBytes / mib]),
    ];
  } finally {
    await device.close();
  }
}

/** A stream whose results are fetched all the time. */
class Stream {
  readonly over: Promise<void>;
  /** The slot whose frames came last. */
  place: number | undefined;
  hash = '';
  readonly #hash = createHash('sha256');
  #waits: { morsel: number; resolve: (first: { at: number; place: number }) => void; reject: (error: unknown) => void } | undefined;

  private constructor(readonly device: SlotDevice, readonly scan: number) {
    this.over = this.#read();
    this.over.catch((error: unknown) => this.#waits?.reject(error));
  }

  static async open(device: SlotDevice, handle: number, groups: number, held: boolean): Promise<Stream> {
    const flags = ScanFlag.DeviceRuns | ScanFlag.Stream | (held ? ScanFlag.Held : 0);
    return new Stream(device, await openScan(device.queue, { datasetHandle: handle, program: 0, flags, columns: [0], rowGroups: Array.from({ length: groups }, (_, g) => g) }));
  }

  /** Its state is out of the slot: how much it is, and the morsel it goes on with. Nothing: it was over before. */
  async hold(): Promise<{ bytes: number; batches: number } | undefined> {
    const region = await this.device.queue.acquire(4096);
    try {
      const { status, dw1 } = await this.device.queue.send(1, { opc: Opcode.ScanCheckpoint, nsid: Nsid.Compute, cdw10: this.scan }, region);
      if (status === Status.CommandSequenceError) return undefined;
      if (status !== Status.Success) throw new Error(`ScanCheckpoint gave status ${status.toString(16)}h`);
      return { bytes: dw1, batches: Number(new DataView(region.view.buffer, region.view.byteOffset).getBigUint64(CheckpointHeader.batches, true)) };
    } finally {
      this.device.queue.release(region);
    }
  }

  /** When and from where the first frame of the morsel comes. */
  first(morsel: number): Promise<{ at: number; place: number }> {
    return new Promise((resolve, reject) => { this.#waits = { morsel, resolve, reject }; });
  }

  async #read(): Promise<void> {
    const region = await this.device.queue.acquire(4 * mib);
    try {
      for (let over = false; !over; ) {
        const { bytes, end } = await scanResult(this.device.queue, this.scan, region);
        for (const frame of readFrames(region.view.subarray(0, bytes)).frames) {
          if (frame.kind === FrameKind.End) continue;
          if (frame.kind === FrameKind.Fault) throw new Error(`the stream failed: fault ${frame.code}`);
          if (this.#waits?.morsel === frame.morsel) {
            this.#waits.resolve({ at: performance.now(), place: frame.place });
            this.#waits = undefined;
          }
          this.place = frame.place;
          this.#hash.update(`${frame.morsel}:`).update(frame.buffers[1] as Uint8Array);
        }
        over = end;
      }
      this.hash = this.#hash.digest('hex').slice(0, 16);
    } finally {
      this.device.queue.release(region);
      await closeScan(this.device.queue, this.scan);
    }
  }
}
