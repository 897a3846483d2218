import type { DatasetColumnInfo } from '../../pushdown/types/dataset-info.js';
import { valueBytes } from '../../pushdown/types/physical.js';
import { ChunkRecord, DatasetHeader } from '../../pushdown/runtime/wire.gen.js';
import { blockBytes, type Extent } from './extents.js';

/** One chunk as native/wire/scan.def lists it, in numbers; bounds (minBits, maxBits) stay in the bytes. */
export interface Chunk {
  readonly slba: number;
  readonly usedBytes: number;
  readonly crc32c: number;
  readonly rows: number;
  readonly nullCount: number;
  readonly zoneFlags: number;
  readonly validity: BufferRange;
  readonly offsets: BufferRange;
  readonly data: BufferRange;
}
/** Bytes from the start of the chunk; 0 bytes: the buffer is absent. */
export interface BufferRange {
  readonly offset: number;
  readonly bytes: number;
}

/** DatasetHeader, then ChunkRecord[columns][rowGroups], then one ChunkRecord per dictionary column. */
export interface Layout {
  readonly rowGroups: number;
  readonly rowGroupRowsMax: number;
  /** The chunk records of one column, one blob each: row groups in order. */
  readonly columns: readonly Uint8Array[];
  /** The record of the column's dictionary; undefined for columns that have none. */
  readonly dictionaries: readonly (Uint8Array | undefined)[];
}

const rowGroupsMax = 1 << 20;

export function hasDictionary(column: DatasetColumnInfo): boolean {
  return column.physical === 'dict8' || column.physical === 'dict16' || column.physical === 'dict32';
}

export function readChunk(records: Uint8Array, index: number): Chunk {
  const at = new DataView(records.buffer, records.byteOffset + index * ChunkRecord.bytes, ChunkRecord.bytes);
  const u32 = (offset: number) => at.getUint32(offset, true);
  return {
    slba: Number(at.getBigUint64(ChunkRecord.slba, true)),
    usedBytes: Number(at.getBigUint64(ChunkRecord.usedBytes, true)),
    crc32c: u32(ChunkRecord.crc32c),
    rows: u32(ChunkRecord.rows),
    nullCount: u32(ChunkRecord.nullCount),
    zoneFlags: u32(ChunkRecord.zoneFlags),
    validity: { offset: u32(ChunkRecord.validityOffsetBytes), bytes: u32(ChunkRecord.validityBytes) },
    offsets: { offset: u32(ChunkRecord.offsetsOffsetBytes), bytes: u32(ChunkRecord.offsetsBytes) },
    data: { offset: u32(ChunkRecord.dataOffsetBytes), bytes: u32(ChunkRecord.dataBytes) },
  };
}

export function chunkExtent(chunk: Chunk): Extent {
  return { slba: chunk.slba, blocks: Math.ceil(chunk.usedBytes / blockBytes) };
}

/** The bytes registerDataset and clients read. */
export function writeLayout(layout: Layout, handle: number): Uint8Array {
  const dictionaries = layout.dictionaries.filter((record) => record !== undefined);
  const bytes = new Uint8Array(DatasetHeader.bytes + (layout.columns.length * layout.rowGroups + dictionaries.length) * ChunkRecord.bytes);
  const header = new DataView(bytes.buffer);
  header.setUint32(DatasetHeader.handle, handle, true);
  header.setUint32(DatasetHeader.columns, layout.columns.length, true);
  header.setUint32(DatasetHeader.rowGroups, layout.rowGroups, true);
  header.setUint32(DatasetHeader.dictionaries, dictionaries.length, true);
  header.setUint32(DatasetHeader.rowGroupRowsMax, layout.rowGroupRowsMax, true);
  let at: number = DatasetHeader.bytes;
  for (const records of [...layout.columns, ...dictionaries]) {
    bytes.set(records, at);
    at += records.byteLength;
  }
  return bytes;
}

/** Every chunk of the layout, dictionaries included, with what it belongs to. */
export function* chunksOf(layout: Layout): Generator<{ readonly column: number; readonly rowGroup: number | 'dictionary'; readonly chunk: Chunk }> {
  for (const [column, records] of layout.columns.entries())
    for (let rowGroup = 0; rowGroup < layout.rowGroups; rowGroup++) yield { column, rowGroup, chunk: readChunk(records, rowGroup) };
  for (const [column, record] of layout.dictionaries.entries()) if (record) yield { column, rowGroup: 'dictionary', chunk: readChunk(record, 0) };
}

/**
 * Splits layout bytes as an ingest child sent them. A string says what is wrong; nothing of the contents is checked yet.
 * brings: whether the layout has the column's dictionary; a layout of rows to append has only those that changed.
 */
export function splitLayout(bytes: Uint8Array, columns: readonly DatasetColumnInfo[], brings: (column: DatasetColumnInfo, index: number) => boolean = hasDictionary): Layout | string {
  if (bytes.byteLength < DatasetHeader.bytes) return 'the layout is shorter than its header';
  const header = new DataView(bytes.buffer, bytes.byteOffset, DatasetHeader.bytes);
  const rowGroups = header.getUint32(DatasetHeader.rowGroups, true);
  const dictionaryCount = columns.filter(brings).length;
  if (header.getUint32(DatasetHeader.columns, true) !== columns.length) return 'the layout has another number of columns than the schema';
  if (header.getUint32(DatasetHeader.dictionaries, true) !== dictionaryCount) return 'the layout has another number of dictionaries than the schema';
  if (rowGroups > rowGroupsMax) return `the layout has more than ${rowGroupsMax} row groups`;
  if (bytes.byteLength !== DatasetHeader.bytes + (columns.length * rowGroups + dictionaryCount) * ChunkRecord.bytes) return 'the length of the layout does not match its header';
  let at: number = DatasetHeader.bytes;
  // Copies: the message's memory is let go.
  const next = (records: number) => bytes.slice(at, (at += records * ChunkRecord.bytes));
  return {
    rowGroups,
    rowGroupRowsMax: header.getUint32(DatasetHeader.rowGroupRowsMax, true),
    columns: columns.map(() => next(rowGroups)),
    dictionaries: columns.map((column, i) => (brings(column, i) ? next(1) : undefined)),
  };
}

/** Bytes each buffer of a chunk must have at least; utf8 data may have any length, so 0. */
export function bufferBytesMin(column: DatasetColumnInfo, rows: number): { readonly validity: number; readonly offsets: number; readonly data: number } {
  const width = valueBytes[column.physical];
  return {
    validity: column.nullable ? Math.ceil(rows / 8) : 0,
    offsets: column.physical === 'utf8' ? (rows + 1) * 4 : 0,
    data: column.physical === 'bool' ? Math.ceil(rows / 8) : width === undefined ? 0 : rows * width,
  };
}
