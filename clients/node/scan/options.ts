/** Who runs the kernels: the device, the client, or whoever is faster while the query runs. */
export type Pushdown = 'auto' | 'always' | 'never';

export interface QueryOptions {
  readonly pushdown?: Pushdown;
  readonly signal?: AbortSignal;
  /** Wall deadline of one morsel in a slot, milliseconds; the device's default otherwise. */
  readonly morselDeadlineMs?: number;
  /** Which way chunks reach device kernels; the device decides otherwise. */
  readonly feed?: 'resident' | 'window';
}

/** What one query cost and where it ran. */
export interface QueryStats {
  /** Bytes that crossed the link for this query: result frames and chunks, counted at the transport. */
  readonly linkBytes: number;
  /** Rows of the morsels that were run (row groups pruned by zone maps are not among them). */
  readonly rowsScanned: number;
  readonly morselsDevice: number;
  readonly morselsHost: number;
  /** Row groups that zone maps or a limit left out. */
  readonly morselsPruned: number;
  readonly rows: number;
  /** Wall time of the query in the client, milliseconds. */
  readonly ms: number;
  /** What kernels took in slots by the slots' clocks, summed over their morsels, milliseconds: waits for the host left out, the writing of results in. */
  readonly kernelMs: number;
  /** Milliseconds the link the daemon models takes for linkBytes at least, by the model; absent: no link is modelled. Part of nothing else. */
  readonly linkModelMs?: number;
  readonly place: 'device' | 'host' | 'both' | 'none';
  readonly transport: 'http' | 'shm';
}
