import type { LogicalType } from './logical.js';
import type { PhysicalType } from './physical.js';

/** A published dataset as REST and the catalog describe it. bigint bounds travel as decimal strings. */
export interface DatasetInfo {
  readonly name: string;
  /** Rises by one with every replace. */
  readonly version: number;
  /** The device's handle (u32); another one after every replace. */
  readonly handle: number;
  readonly rows: number;
  readonly rowGroups: number;
  readonly rowGroupRowsMax: number;
  /** Bytes on the namespace. */
  readonly storedBytes: number;
  readonly columns: readonly DatasetColumnInfo[];
}

export interface DatasetColumnInfo {
  readonly name: string;
  readonly type: LogicalType;
  readonly physical: PhysicalType;
  readonly nullable: boolean;
  readonly min?: string;
  readonly max?: string;
  readonly nullCount: number;
  /** Present for dictN columns. */
  readonly dictionaryEntries?: number;
}
