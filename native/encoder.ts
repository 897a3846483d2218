import type { PhysicalType } from '../pushdown/types/physical.js';
import type { DuckBatch } from './index.js';

/** How one column of the query is to be stored. */
export interface EncodeColumn {
  readonly name: string;
  readonly physical: PhysicalType;
  /** True: every chunk gets a validity buffer. False: a null is an error (MR_FILE_CHANGED). */
  readonly nullable: boolean;
  /** Proven bounds of the stored integer; a value outside is an error. Absent with integers: every row is null. */
  readonly min?: bigint;
  readonly max?: bigint;
  /** dictN: the values in code order as utf8 batches of a query. */
  readonly dictionary?: readonly DuckBatch[];
}

export interface EncodeLimits {
  readonly rowGroupRowsMax: number;
  /** Whole blocks of one row group; it ends early rather than exceed this. Up to 1 GiB. */
  readonly rowGroupBytesMax: number;
}

/** Rows of a query as row groups of column chunks (ChunkRecord, native/wire/scan.def), in the query's order. */
export interface NativeEncoder {
  /** Reads the next row group. rows 0: there are no more. MR_ROW_TOO_LARGE when one row exceeds the limit. */
  gather(): Promise<{ readonly rows: number; readonly bytes: number }>;
  /** Writes the gathered group into `out` (at least its bytes), to lie at block `slba`. Resolves to ChunkRecord[columns]. */
  encode(out: Uint8Array, slba: number): Promise<Uint8Array>;
  /** Bytes the dictionary of a column takes as a chunk, whole blocks. */
  dictionaryBytes(column: number): Promise<number>;
  /** Writes it. Resolves to one ChunkRecord. */
  encodeDictionary(column: number, out: Uint8Array, slba: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** The addon's functions behind NativeEncoder. */
export interface EncoderCalls {
  encoderOpen(sql: string, columns: readonly EncodeColumn[], rowGroupRowsMax: number, rowGroupBytesMax: number): Promise<number>;
  encoderGather(id: number): Promise<{ rows: number; bytes: number }>;
  encoderEncode(id: number, out: Uint8Array, slba: number): Promise<Uint8Array>;
  encoderDictionaryBytes(id: number, column: number): Promise<number>;
  encoderEncodeDictionary(id: number, column: number, out: Uint8Array, slba: number): Promise<Uint8Array>;
  encoderClose(id: number): Promise<void>;
}

/** Starts the query. `translated` gives errors their codes. */
export async function openEncoderWith(
  calls: EncoderCalls,
  sql: string,
  columns: readonly EncodeColumn[],
  limits: EncodeLimits,
  translated: <T>(work: () => Promise<T>) => Promise<T>,
): Promise<NativeEncoder> {
  const id = await translated(() => calls.encoderOpen(sql, columns, limits.rowGroupRowsMax, limits.rowGroupBytesMax));
  return {
    gather: () => translated(() => calls.encoderGather(id)),
    encode: (out, slba) => translated(() => calls.encoderEncode(id, out, slba)),
    dictionaryBytes: (column) => translated(() => calls.encoderDictionaryBytes(id, column)),
    encodeDictionary: (column, out, slba) => translated(() => calls.encoderEncodeDictionary(id, column, out, slba)),
    close: () => translated(() => calls.encoderClose(id)),
  };
}
