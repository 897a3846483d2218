import type { DatasetInfo } from '../../../pushdown/types/dataset-info.js';
import type { Frame } from '../scan/frame.js';

/** The way to a device's data: HTTP frames from the daemon, or the device's own queue in shared memory. */
export interface Transport {
  readonly kind: 'http' | 'shm';
  /** Makes the module known to the device; the answer is good until `programLost` says otherwise. */
  loadProgram(wasm: Uint8Array<ArrayBuffer>): Promise<number>;
  openScan(request: ScanRequest, signal: AbortSignal): Promise<Scan>;
  close(): Promise<void>;
}

export interface ScanRequest {
  readonly dataset: DatasetInfo;
  /** DatasetHeader and ChunkRecords: where chunks lie. */
  readonly layout: Uint8Array;
  /** Absent when the device does not run. */
  readonly program?: number;
  readonly columns: readonly number[];
  /** Ascending; morsel i is rowGroups[i]. */
  readonly rowGroups: readonly number[];
  readonly deviceRuns: boolean;
  readonly outputBytesMax: number;
  readonly deadlineMs?: number;
  readonly limitRows?: number;
  readonly feed?: 'resident' | 'window';
}

/** An open scan. Whoever opened it closes it, also after an error. */
export interface Scan {
  /** Bytes that crossed the link for this scan so far. */
  linkBytes(): number;
  /** Frames of morsels the device ran, until End (not yielded). One reader. */
  results(): AsyncIterable<Frame>;
  /** Claims up to `morsels` from the tail; undefined: nothing is left. */
  claim(morsels: number): Promise<Claim | undefined>;
  close(): Promise<void>;
}

/** A run of morsels that is the host's now. */
export interface Claim {
  /** How many morsels were got; known before the first chunk where the transport can tell, otherwise what was asked for. */
  readonly morselsMax: number;
  /** Chunks frames, one per morsel, in ascending order. Leaving early gives the rest back to the scan's pool. */
  chunks(): AsyncIterable<Frame>;
}
