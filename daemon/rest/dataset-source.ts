import type { Readable } from 'node:stream';
import type { DatasetInfo } from '../../pushdown/types/dataset-info.js';

type MaybePromise<T> = T | Promise<T>;

/** What REST needs of the dataset store. Every method throws MillraceError (MR_DATASET_NOT_FOUND and so on). */
export interface DatasetSource {
  list(): MaybePromise<readonly DatasetInfo[]>;
  get(name: string): MaybePromise<DatasetInfo>;
  put(name: string, path: string, options: { readonly format: 'parquet' | 'arrow'; readonly replace: boolean; readonly signal?: AbortSignal }): Promise<DatasetInfo>;
  remove(name: string): Promise<void>;
  /** DatasetHeader + ChunkRecords. */
  layout(name: string): MaybePromise<Uint8Array>;
  dictionary(name: string, column: string): MaybePromise<readonly string[]>;
  /** Arrow IPC stream. */
  export(name: string): MaybePromise<Readable>;
}
