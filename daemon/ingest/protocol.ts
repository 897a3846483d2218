import type { DatasetColumnInfo } from '../../pushdown/types/dataset-info.js';
import type { SourceFormat, SourceOptions } from '../../pushdown/types/source-options.js';

/** Messages between the daemon and an ingest child (Node IPC, 'advanced' serialization). The child is not trusted: the daemon checks every field. */
export type ToIngest =
  | {
      readonly kind: 'start';
      /** Files of one dataset, in the order of its rows. */
      readonly paths: readonly string[];
      readonly format: SourceFormat;
      readonly options: SourceOptions;
      /** The dataset the rows are appended to, as an Arrow stream of the daemon's own: all rows are encoded, its and the new ones. */
      readonly basePath?: string;
      /** The dataset the rows are appended to, as it is stored: only the new rows are encoded, where they fit it. */
      readonly extend?: Extended;
      /** Where rows of text files lie between parsing and encoding; made by the child, removed by the daemon. */
      readonly stagePath: string;
      readonly socketPath: string;
      readonly ticket: string;
      readonly rowGroupRows: number;
      readonly memoryLimitBytes: number;
      readonly threads: number;
    }
  /** Answer to 'extent': blocks the child may write now. */
  | { readonly kind: 'extent'; readonly id: number; readonly slba: number; readonly blocks: number }
  | { readonly kind: 'refused'; readonly id: number; readonly code: string; readonly detail: string };

export interface Extended {
  readonly columns: readonly DatasetColumnInfo[];
  /** Values of dictionary columns, code i first to last. */
  readonly dictionaries: readonly (readonly string[] | undefined)[];
}

export type FromIngest =
  /** After the statistics pass, before any write. */
  | { readonly kind: 'schema'; readonly columns: readonly DatasetColumnInfo[]; readonly rows: number }
  | { readonly kind: 'extent'; readonly id: number; readonly blocks: number }
  | { readonly kind: 'progress'; readonly rows: number }
  /** Everything is written and flushed. layout: DatasetHeader (handle 0) and ChunkRecords. */
  | { readonly kind: 'done'; readonly rows: number; readonly rowGroups: number; readonly columns: readonly DatasetColumnInfo[]; readonly layout: Uint8Array }
  /** The same for `extend`. columns: of the new rows alone; rewritten: columns whose dictionary is a new one and lies in the layout. */
  | { readonly kind: 'extended'; readonly rows: number; readonly rowGroups: number; readonly columns: readonly DatasetColumnInfo[]; readonly rewritten: readonly number[]; readonly layout: Uint8Array }
  /** The new rows cannot be stored as the dataset is: nothing was written. */
  | { readonly kind: 'unfit'; readonly column: string; readonly reason: string }
  | { readonly kind: 'error'; readonly code: string; readonly detail: string; /** The column it is about. */ readonly field?: string };
