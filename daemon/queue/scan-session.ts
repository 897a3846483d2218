import { FrameFlag, FrameKind } from '../../pushdown/runtime/wire.gen.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { type ChunkPiece, chunkPieces } from '../../native/chunk-pieces.js';
import { blockBytes, type DatasetLayout } from '../../native/dataset-layout.js';
import type { CommandQueue, Region } from '../../native/queue.js';
import { checkpointStream, claimMorsels, closeScan, finishMorsels, restoreStream, returnMorsels, scanResult } from '../../native/scan-commands.js';
import { frameHeader } from './frame-header.js';

/** Where frames go: a response body. write() resolves when the memory may be reused, rejects when the reader left. */
export interface FrameTarget {
  write(parts: readonly Uint8Array[]): Promise<void>;
  end(scan: number, rows: number): Promise<void>;
  readonly broken: boolean;
  onBroken(callback: () => void): void;
}

export interface ScanShape {
  readonly layout: DatasetLayout;
  readonly columns: readonly { readonly index: number; readonly utf8: boolean }[];
  readonly rowGroups: readonly number[];
  readonly outputBytesMax: number;
  readonly deviceRuns: boolean;
}

/** Reads in flight ahead of the socket, per claim. */
const piecesAheadMax = 4;
const resultRegionBytesMin = 2 << 20;
/** One transfer of the device at most. */
const resultRegionBytesMax = 32 << 20;

/** One scan opened over REST: carries whole regions of frames from the device to sockets; no work per morsel on results. */
export class ScanSession {
  readonly #queue: CommandQueue;
  readonly #shape: ScanShape;
  /** Open claims, each with the run it came in. */
  readonly #claimed = new Map<number, object>();
  readonly #onClosed: () => void;
  readonly #idleMs: number;
  #resultsRead = false;
  #active = 0;
  #idle: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;

  constructor(queue: CommandQueue, readonly id: number, shape: ScanShape, options: { readonly idleMs: number; readonly onClosed: () => void }) {
    this.#queue = queue;
    this.#shape = shape;
    this.#idleMs = options.idleMs;
    this.#onClosed = options.onClosed;
    this.#restartIdle();
  }

  /** All result frames, then End, with which the scan is over and closed. One reader: when it leaves early, the scan is closed too. */
  async results(target: FrameTarget): Promise<void> {
    await this.#use(async () => {
      target.onBroken(() => void this.close());
      const bytes = Math.min(Math.max(this.#shape.outputBytesMax + blockBytes, resultRegionBytesMin), resultRegionBytesMax);
      const regions = [await this.#queue.acquire(bytes), await this.#queue.acquire(bytes)] as const;
      let flushed = Promise.resolve();
      try {
        for (let turn = 0; ; turn ^= 1) {
          const region: Region = turn === 0 ? regions[0] : regions[1];
          const { bytes: frameBytes, end } = await scanResult(this.#queue, this.id, region);
          // Before its reader hears of the end: whoever looks then finds no scan open.
          if (end) await this.#over();
          await flushed;
          if (frameBytes > 0) flushed = observed(target.write([region.view.subarray(0, frameBytes)]));
          if (end) break;
        }
        await flushed;
        await target.end(this.id, 0);
      } finally {
        for (const region of regions) this.#queue.release(region);
      }
    });
  }

  /** Refuses a second reader before the answer's first byte. */
  reserveResults(): void {
    if (this.#resultsRead) throw new MillraceError('MR_SCAN_RESULTS_TAKEN', 'The results of this scan have a reader already: open another scan.', { httpStatus: 409 });
    this.#resultsRead = true;
  }

  /** Claims from the tail and streams the chunks; what was not delivered when the reader leaves goes back to the pool. */
  async claim(wanted: number, target: FrameTarget): Promise<void> {
    await this.#use(async () => {
      const morsels = [...(await claimMorsels(this.#queue, this.id, Math.min(wanted, this.#shape.rowGroups.length)))].sort((a, b) => a - b);
      const run = {};
      for (const morsel of morsels) this.#claimed.set(morsel, run);
      let delivered = 0;
      try {
        for (const morsel of morsels) {
          await this.#writeChunks(morsel, target);
          delivered++;
        }
        await target.end(this.id, morsels.length);
      } finally {
        if (delivered < morsels.length) await this.giveBack(morsels.slice(delivered).filter((morsel) => this.#claimed.get(morsel) === run)).catch(() => undefined); // the scan may be closed: then nothing is owed
      }
    });
  }

  /** rows[i]: how many rows the host made of morsels[i]. */
  async done(morsels: readonly number[], rows: readonly number[] | undefined): Promise<void> {
    await this.#use(async () => {
      await finishMorsels(this.#queue, this.id, this.#mine(morsels), rows);
      for (const morsel of morsels) this.#claimed.delete(morsel);
    });
  }

  async giveBack(morsels: readonly number[]): Promise<void> {
    // Deleted first: two askers must not give the same claim back twice.
    const mine = morsels.filter((morsel) => this.#claimed.delete(morsel));
    await returnMorsels(this.#queue, this.id, mine);
  }

  /** Gives every open claim back but these. */
  giveBackExcept(morsels: readonly number[]): Promise<void> {
    const kept = new Set(morsels);
    return this.giveBack([...this.#claimed.keys()].filter((morsel) => !kept.has(morsel)));
  }

  /** Streams: holds it at its next boundary; its state. */
  checkpoint(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#use(() => checkpointStream(this.#queue, this.id));
  }

  /** Streams: one that is held goes on with this state. */
  async restore(checkpoint: Uint8Array, morsel: number): Promise<void> {
    await this.#use(() => restoreStream(this.#queue, this.id, checkpoint, morsel));
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      clearTimeout(this.#idle);
      try {
        await closeScan(this.#queue, this.id);
      } finally {
        this.#onClosed();
      }
    })();
    return this.#closing;
  }

  /** Where the device ran nothing its end says nothing: the host's claims are the scan. */
  async #over(): Promise<void> {
    if (this.#shape.deviceRuns) await this.close();
  }

  async #writeChunks(morsel: number, target: FrameTarget): Promise<void> {
    const rowGroup = this.#shape.rowGroups[morsel]!; // the device gives indices into the list the scan was opened with
    const places = this.#shape.columns.map((column) => this.#shape.layout.chunk(column.index, rowGroup, column.utf8));
    const pieces = places.flatMap(chunkPieces);
    const sizes = places.flatMap((place) => place.buffers.map((buffer) => buffer.bytes));
    const list = new Uint8Array((sizes.length * 8 + 63) & ~63);
    const view = new DataView(list.buffer);
    for (const [i, size] of sizes.entries()) view.setBigUint64(i * 8, BigInt(size), true);
    const bodyBytes = pieces.reduce((sum, piece) => sum + piece.bytes, list.byteLength);
    await target.write([chunkHeader({ scan: this.id, morsel, rows: this.#shape.layout.rows(rowGroup), bufferCount: sizes.length, bodyBytes }), list]);
    const reading: Promise<Region>[] = [];
    try {
      for (let next = 0, written = 0; written < pieces.length; written++) {
        while (next < pieces.length && reading.length < piecesAheadMax) reading.push(observed(this.#read(pieces[next++]!))); // next is in bounds
        const region = await reading.shift()!; // one is always in flight here
        const { skip, bytes } = pieces[written]!; // written < length
        try {
          await target.write([region.view.subarray(skip, skip + bytes)]);
        } finally {
          this.#queue.release(region);
        }
      }
    } finally {
      for (const region of await Promise.allSettled(reading)) if (region.status === 'fulfilled') this.#queue.release(region.value);
    }
  }

  async #read(piece: ChunkPiece): Promise<Region> {
    const region = await this.#queue.acquire(piece.blocks * blockBytes);
    try {
      await this.#queue.readBlocks(piece.slba, piece.blocks, region);
      return region;
    } catch (error) {
      this.#queue.release(region);
      throw error;
    }
  }

  #mine(morsels: readonly number[]): readonly number[] {
    const strange = morsels.find((morsel) => !this.#claimed.has(morsel));
    if (strange !== undefined) throw new MillraceError('MR_MORSEL_NOT_CLAIMED', `Morsel ${strange} is not claimed by this scan's host.`, { field: 'morsels' });
    return morsels;
  }

  async #use<T>(work: () => Promise<T>): Promise<T> {
    this.#active++;
    clearTimeout(this.#idle);
    try {
      return await work();
    } finally {
      this.#active--;
      this.#restartIdle();
    }
  }

  #restartIdle(): void {
    clearTimeout(this.#idle);
    if (this.#active === 0 && !this.#closing) this.#idle = setTimeout(() => void this.close().catch(() => undefined), this.#idleMs).unref();
  }
}

const chunkHeader = (fields: { scan: number; morsel: number; rows: number; bufferCount: number; bodyBytes: number }): Uint8Array =>
  frameHeader({ kind: FrameKind.Chunks, flags: FrameFlag.Last, ...fields });

/** A promise whose rejection is awaited later. */
function observed<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
