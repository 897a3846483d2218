import type { DatasetLayout } from '../../../native/dataset-layout.js';
import type { Frame } from '../../../pushdown/runtime/frame-read.js';
import type { DatasetInfo } from '../../../pushdown/types/dataset-info.js';

/** The way to a device's data: HTTP frames from the daemon, or the device's own queue in shared memory. */
export interface Transport {
  readonly kind: 'http' | 'shm';
  /** Cores of the machine where device and host share one; absent: not known to. */
  readonly coresShared?: number;
  /**
   * Makes the module known and opens the scan. MR_DATASET_CHANGED or MR_DATASET_NOT_FOUND: what the client knows of the
   * dataset is old.
   */
  openScan(request: ScanRequest): Promise<Scan>;
  close(): Promise<void>;
}

export interface ScanRequest {
  readonly dataset: DatasetInfo;
  readonly layout: DatasetLayout;
  /** Absent: the device does not run. */
  readonly wasm?: Uint8Array<ArrayBuffer>;
  /** wasm was generated from a plan; users' modules in it, SHA-256 in hex. Absent: it is a user's own. */
  readonly madeOf?: readonly string[];
  readonly columns: readonly number[];
  /** Ascending; morsel i is rowGroups[i]. */
  readonly rowGroups: readonly number[];
  readonly outputBytesMax: number;
  readonly deadlineMs?: number;
  readonly limitRows?: number;
  readonly feed?: 'resident' | 'window';
  /** The kernel keeps its state from morsel to morsel (docs/nvme.md, Streams): slots run them in order, hosts claim none. held: not before restore() or resume(). */
  readonly stream?: 'run' | 'held';
}

/** An open scan. Whoever opened it closes it, also after an error. */
export interface Scan {
  /** True: a result frame's buffers stay valid. False: only until the next frame is asked for. */
  readonly ownsFrames: boolean;
  /** Bytes of result frames and chunks that crossed the link so far. */
  linkBytes(): number;
  /** Result and Fault frames of morsels the device ran, until it runs nothing more. One reader. */
  results(): AsyncIterable<Frame>;
  /** Claims up to `morsels` from the tail; undefined: nothing is left now (claims that come back may bring more while results() runs). */
  claim(morsels: number): Promise<Claim | undefined>;
  /** The host finished these morsels: their claim cannot come back, and results() need not stay open for it. Never throws. */
  done(morsels: readonly number[]): Promise<void>;
  /**
   * Streams: holds it at its next morsel boundary and gives its state; `batches` of it is the morsel it would go on with. Results must be
   * read meanwhile. MR_STREAM_STATE: it has ended.
   */
  checkpoint(): Promise<Uint8Array<ArrayBuffer>>;
  /** Streams: one that is held goes on with this state at this morsel. MR_CHECKPOINT_INVALID, MR_CHECKPOINT_MISMATCH, MR_CHECKPOINT_TOO_BIG: it is held as before. */
  restore(checkpoint: Uint8Array<ArrayBuffer>, morsel: number): Promise<void>;
  /** Ends the scan at the device; running iterations end. Never throws. */
  close(): Promise<void>;
}

/** A run of morsels the host has claimed. */
export interface Claim {
  /** How many, or more where only the device knows. */
  readonly morsels: number;
  /**
   * Their Chunks frames in ascending order, each valid until the next is asked for. Leaving the iteration early gives what
   * was not delivered back to the scan's pool.
   */
  readonly frames: AsyncIterable<Frame>;
  /** Ends the iteration as if it were left now, also while it waits for a frame. */
  giveBack(): void;
}
