import type { BaseModule } from '../wasm/encoder/base-module.js';
import type { LogicalType } from './logical.js';
import type { PhysicalType } from './physical.js';

/** A column of a batch: input of a kernel, output of a kernel, column of a dataset. */
export interface Column {
  readonly name: string;
  readonly type: LogicalType;
  readonly physical: PhysicalType;
  /** True: a validity buffer is always present. False: never. */
  readonly nullable: boolean;
  /**
   * Dataset-wide bounds of the stored value (ints, decimals unscaled, days, microseconds, dictionary codes), inclusive,
   * nulls left out; absent when unknown or for utf8 and floats. Generators may rely on them: they are proven at ingest.
   */
  readonly min?: bigint;
  readonly max?: bigint;
  /** Values of dictN, sorted by UTF-8 bytes; code i is values[i]. Loaded when a plan needs them. */
  readonly dictionary?: readonly string[];
}

export interface Schema {
  readonly columns: readonly Column[];
  /** Modules of the user code a plan over this names, by the SHA-256 (hex) of their bytes. */
  readonly modules?: ReadonlyMap<string, BaseModule>;
}

/** What generators and planners know of a dataset. */
export interface DatasetSchema extends Schema {
  readonly name: string;
  /** Largest row group, rows: sizes output buffers of kernels. */
  readonly rowGroupRowsMax: number;
  readonly rows: number;
  readonly rowGroups: number;
}
