import { blockBytes, type ChunkPlace } from '../../../native/dataset-layout.js';
import type { CommandQueue, Region } from '../../../native/queue.js';
import { checkpointStream, claimMorsels, closeScan, finishMorsels, restoreStream, returnMorsels, scanResult } from '../../../native/scan-commands.js';
import { type Frame, readFrames } from '../../../pushdown/runtime/frame-read.js';
import { FrameKind } from '../../../pushdown/runtime/wire.gen.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import type { Claim, Scan, ScanRequest } from './transport.js';

const resultRegionBytesMin = 4 << 20;
/** One transfer of the device at most. */
const resultRegionBytesMax = 32 << 20;
/** Morsels whose chunks are read ahead of the kernel. */
const morselsAheadMax = 2;

const none = new Uint8Array(0);

/** A scan over the device's queue; frames are views of the shared region. */
export class ShmScan implements Scan {
  readonly ownsFrames = false;
  readonly #queue: CommandQueue;
  readonly #id: number;
  readonly #request: ScanRequest;
  readonly #release: () => void;
  #bytes = 0;
  #closed: Promise<void> | undefined;

  constructor(queue: CommandQueue, id: number, request: ScanRequest, release: () => void) {
    this.#queue = queue;
    this.#id = id;
    this.#request = request;
    this.#release = release;
  }

  linkBytes(): number {
    return this.#bytes;
  }

  /** Two regions take turns: the device fills one while the other is read. */
  async *results(): AsyncGenerator<Frame, void, void> {
    const bytes = Math.min(Math.max(this.#request.outputBytesMax + blockBytes, resultRegionBytesMin), resultRegionBytesMax);
    const regions: [Region, Region] = [await this.#queue.acquire(bytes), await this.#queue.acquire(bytes)];
    const ask = (region: Region) => observed(scanResult(this.#queue, this.#id, region));
    let waiting = ask(regions[0]);
    try {
      for (let turn = 0; ; turn ^= 1) {
        const answer = await waiting;
        if (!answer.end) waiting = ask(regions[turn ^ 1]!); // turn is 0 or 1
        this.#bytes += answer.bytes;
        const { frames, usedBytes } = readFrames(regions[turn]!.view.subarray(0, answer.bytes));
        if (usedBytes !== answer.bytes) throw new MillraceError('MR_FRAME_INVALID', 'The device sent a piece of a frame.');
        for (const frame of frames) if (frame.kind !== FrameKind.End) yield frame;
        if (answer.end) return;
      }
    } catch (error) {
      if (!this.#closed) throw error;
    } finally {
      // A waiting command keeps its region until the scan's end completes it.
      for (const region of regions) this.#queue.release(region);
    }
  }

  async claim(morsels: number): Promise<Claim | undefined> {
    const claimed = [...(await claimMorsels(this.#queue, this.#id, morsels))].sort((a, b) => a - b);
    if (claimed.length === 0) return undefined;
    const left = { early: false };
    return { morsels: claimed.length, frames: this.#chunks(claimed, left), giveBack: () => { left.early = true; } };
  }

  async done(morsels: readonly number[]): Promise<void> {
    if (!this.#closed) await finishMorsels(this.#queue, this.#id, morsels).catch(() => undefined); // the scan was closed, or the association ended
  }

  checkpoint(): Promise<Uint8Array<ArrayBuffer>> {
    return checkpointStream(this.#queue, this.#id);
  }

  restore(checkpoint: Uint8Array<ArrayBuffer>, morsel: number): Promise<void> {
    return restoreStream(this.#queue, this.#id, checkpoint, morsel);
  }

  close(): Promise<void> {
    this.#closed ??= closeScan(this.#queue, this.#id)
      .catch(() => undefined) // the association ended: then the scan did too
      .then(this.#release);
    return this.#closed;
  }

  async *#chunks(morsels: readonly number[], left: { readonly early: boolean }): AsyncGenerator<Frame, void, void> {
    const reading: Promise<Morsel>[] = [];
    let next = 0;
    let delivered = 0;
    try {
      while (delivered < morsels.length && !left.early) {
        while (next < morsels.length && reading.length < morselsAheadMax) reading.push(observed(this.#read(morsels[next++]!))); // next is in bounds
        const morsel = await reading.shift()!; // one is always being read here
        if (left.early) {
          morsel.release();
          return;
        }
        delivered++;
        try {
          this.#bytes += morsel.frame.buffers.reduce((sum, buffer) => sum + buffer.byteLength, 0);
          yield morsel.frame;
        } finally {
          morsel.release();
        }
      }
    } finally {
      for (const read of await Promise.allSettled(reading)) if (read.status === 'fulfilled') read.value.release();
      if (delivered < morsels.length && !this.#closed) await returnMorsels(this.#queue, this.#id, morsels.slice(delivered)).catch(() => undefined); // a lost association gives them back itself
    }
  }

  async #read(morsel: number): Promise<Morsel> {
    const { layout, dataset, rowGroups, columns } = this.#request;
    const rowGroup = rowGroups[morsel];
    if (rowGroup === undefined) throw new MillraceError('MR_FRAME_INVALID', `The device handed out morsel ${morsel} of ${rowGroups.length}.`);
    const regions: Region[] = [];
    const release = (): void => {
      for (const region of regions.splice(0)) this.#queue.release(region);
    };
    try {
      const places: ChunkPlace[] = columns.map((column) => layout.chunk(column, rowGroup, dataset.columns[column]?.physical === 'utf8'));
      for (const place of places) regions.push(await this.#queue.acquire(Math.max(place.blocks, 1) * blockBytes));
      const reads = places.map((place, i) => (place.blocks === 0 ? undefined : this.#queue.readBlocks(place.slba, place.blocks, regions[i]!))); // one region per place
      // Every read has ended before a region goes back, also when one failed.
      for (const read of await Promise.allSettled(reads)) if (read.status === 'rejected') throw read.reason;
      const buffers = places.flatMap((place, i) => place.buffers.map(({ offset, bytes }) => (bytes === 0 ? none : regions[i]!.view.subarray(offset, offset + bytes)))); // one region per place
      return { release, frame: { kind: FrameKind.Chunks, last: true, scan: this.#id, morsel, sequence: 0, rows: layout.rows(rowGroup), code: 0, place: 0, elapsedNs: 0n, buffers } };
    } catch (error) {
      release();
      throw error;
    }
  }
}

interface Morsel {
  readonly frame: Frame;
  readonly release: () => void;
}

/** A promise whose rejection is looked at later. */
function observed<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
