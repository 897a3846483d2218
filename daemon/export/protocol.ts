import type { DatasetColumnInfo } from '../../pushdown/types/dataset-info.js';

/** To an export child (Node IPC, 'advanced' serialization), once. The Arrow IPC stream comes on its stdout. */
export interface StartExport {
  readonly socketPath: string;
  readonly ticket: string;
  readonly columns: readonly DatasetColumnInfo[];
  /** DatasetHeader and ChunkRecords. */
  readonly layout: Uint8Array;
}

export type FromExport = { readonly kind: 'done' } | { readonly kind: 'error'; readonly code: string; readonly detail: string };
