import { ChunkRecord, DatasetHeader } from '../pushdown/runtime/wire.gen.js';

/** Where one chunk's buffers lie: absolute bytes on namespace 1 for the chunk, bytes from its start for the buffers. */
export interface ChunkPlace {
  readonly slba: number;
  readonly blocks: number;
  readonly rows: number;
  /** [validity], [offsets], [data] as a frame lists them; bytes 0: absent. offsets stands only for utf8. */
  readonly buffers: readonly { readonly offset: number; readonly bytes: number }[];
}

export const blockBytes = 4096;

/** DatasetHeader + ChunkRecords (native/wire/scan.def), read in place. Throws RangeError when the bytes do not match their header. */
export class DatasetLayout {
  readonly handle: number;
  readonly columns: number;
  readonly rowGroups: number;
  readonly rowGroupRowsMax: number;
  readonly #view: DataView;

  constructor(readonly bytes: Uint8Array) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.handle = view.getUint32(DatasetHeader.handle, true);
    this.columns = view.getUint32(DatasetHeader.columns, true);
    this.rowGroups = view.getUint32(DatasetHeader.rowGroups, true);
    this.rowGroupRowsMax = view.getUint32(DatasetHeader.rowGroupRowsMax, true);
    const records = this.columns * this.rowGroups + view.getUint32(DatasetHeader.dictionaries, true);
    if (bytes.byteLength !== DatasetHeader.bytes + records * ChunkRecord.bytes) throw new RangeError(`a layout of ${bytes.byteLength} bytes does not hold ${records} chunk records`);
    this.#view = view;
  }

  /** ChunkRecord bytes of one column, row groups in order. */
  columnRecords(column: number): Uint8Array {
    return this.bytes.subarray(this.#at(column, 0), this.#at(column, 0) + this.rowGroups * ChunkRecord.bytes);
  }

  /** Rows of a row group (of any of its chunks). */
  rows(rowGroup: number): number {
    return this.#view.getUint32(this.#at(0, rowGroup) + ChunkRecord.rows, true);
  }

  chunk(column: number, rowGroup: number, utf8: boolean): ChunkPlace {
    const at = this.#at(column, rowGroup);
    const u32 = (offset: number) => this.#view.getUint32(at + offset, true);
    const buffer = (offset: number, bytes: number) => ({ offset: u32(offset), bytes: u32(bytes) });
    const offsets = buffer(ChunkRecord.offsetsOffsetBytes, ChunkRecord.offsetsBytes);
    return {
      slba: Number(this.#view.getBigUint64(at + ChunkRecord.slba, true)),
      blocks: Math.ceil(Number(this.#view.getBigUint64(at + ChunkRecord.usedBytes, true)) / blockBytes),
      rows: u32(ChunkRecord.rows),
      buffers: [buffer(ChunkRecord.validityOffsetBytes, ChunkRecord.validityBytes), ...(utf8 ? [offsets] : []), buffer(ChunkRecord.dataOffsetBytes, ChunkRecord.dataBytes)],
    };
  }

  #at(column: number, rowGroup: number): number {
    if (column >= this.columns || rowGroup >= this.rowGroups) throw new RangeError(`no chunk of column ${column}, row group ${rowGroup}`);
    return DatasetHeader.bytes + (column * this.rowGroups + rowGroup) * ChunkRecord.bytes;
  }
}
