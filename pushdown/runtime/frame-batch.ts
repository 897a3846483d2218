import type { Batch, ColumnData } from '../types/batch.js';
import { MillraceError } from '../types/error.js';
import { valueBytes } from '../types/physical.js';
import type { Column } from '../types/schema.js';
import { type Frame, frameRowsMax } from './frame-read.js';

const none = new Uint8Array(0);

function bad(column: Column, detail: string): never {
  throw new MillraceError('MR_FRAME_INVALID', `column '${column.name}' of a frame: ${detail}`, { field: column.name });
}

/**
 * The buffers of a Result or Chunks frame as a batch of the expected columns. Sizes, offsets and dictionary codes are
 * checked: behind this point, native code included, they may be relied on. Throws MR_FRAME_INVALID.
 */
export function frameBatch(frame: Frame, columns: readonly Column[]): Batch {
  const wanted = columns.reduce((count, c) => count + (c.physical === 'utf8' ? 3 : 2), 0);
  if (frame.buffers.length !== wanted) throw new MillraceError('MR_FRAME_INVALID', `a frame has ${frame.buffers.length} buffers where ${wanted} belong`);
  // Before anything is sized by it.
  if (frame.rows > frameRowsMax) throw new MillraceError('MR_FRAME_INVALID', `a frame of ${frame.rows} rows, at most ${frameRowsMax} are allowed`);
  let at = 0;
  const next = () => frame.buffers[at++] as Uint8Array;
  return { rows: frame.rows, columns, data: columns.map((column) => readColumn(column, frame.rows, next(), column.physical === 'utf8' ? next() : none, next())) };
}

function readColumn(column: Column, rows: number, validityBytes: Uint8Array, offsetBytes: Uint8Array, dataBytes: Uint8Array): ColumnData {
  const validity = readValidity(column, rows, validityBytes);
  if (column.physical === 'utf8') {
    if (rows === 0) return { validity, offsets: new Int32Array(1), data: none };
    if (offsetBytes.length < (rows + 1) * 4) bad(column, `${offsetBytes.length} bytes of offsets for ${rows} rows`);
    const offsets = asInt32(offsetBytes, rows + 1);
    return { validity, offsets, data: dataBytes.subarray(0, checkOffsets(column, offsets, dataBytes.length)) };
  }
  const bytes = column.physical === 'bool' ? (rows + 7) >>> 3 : rows * (valueBytes[column.physical] ?? 0);
  if (dataBytes.length < bytes) bad(column, `${dataBytes.length} bytes of data for ${rows} rows`);
  const data = dataBytes.subarray(0, bytes);
  if (column.dictionary) checkCodes(column, column.dictionary.length, rows, data, validity);
  return { validity, offsets: null, data };
}

/** Nullable columns always have a bitmap, others never: a kernel that left out an all-valid one gets it here. */
function readValidity(column: Column, rows: number, bytes: Uint8Array): Uint8Array | null {
  const wanted = (rows + 7) >>> 3;
  if (!column.nullable) {
    if (bytes.length === 0) return null;
    for (let i = 0; i < rows; i++) if (((bytes[i >>> 3] as number) & (1 << (i & 7))) === 0) bad(column, `row ${i} is null, but the column cannot be`);
    return null;
  }
  if (bytes.length === 0) return new Uint8Array(wanted).fill(0xff);
  if (bytes.length < wanted) bad(column, `${bytes.length} bytes of validity for ${rows} rows`);
  return bytes.subarray(0, wanted);
}

function checkOffsets(column: Column, offsets: Int32Array, dataBytes: number): number {
  let last = offsets[0] as number;
  if (last !== 0) bad(column, 'the offsets do not start at 0');
  for (let i = 1; i < offsets.length; i++) {
    const offset = offsets[i] as number;
    if (offset < last) bad(column, `the offsets fall at row ${i - 1}`);
    last = offset;
  }
  if (last > dataBytes) bad(column, `the offsets reach ${last}, the data has ${dataBytes} bytes`);
  return last;
}

/** Codes of null rows may be anything. */
function checkCodes(column: Column, entries: number, rows: number, data: Uint8Array, validity: Uint8Array | null): void {
  const codes = column.physical === 'dict8' ? new Int8Array(data.buffer, data.byteOffset, rows) : column.physical === 'dict16' ? asInt16(data, rows) : asInt32(data, rows);
  for (let i = 0; i < rows; i++) {
    const code = codes[i] as number;
    if ((code < 0 || code >= entries) && (!validity || ((validity[i >>> 3] as number) & (1 << (i & 7))) !== 0)) bad(column, `the code ${code} at row ${i} is not in its dictionary of ${entries}`);
  }
}

function asInt16(bytes: Uint8Array, count: number): Int16Array {
  return bytes.byteOffset % 2 === 0 ? new Int16Array(bytes.buffer, bytes.byteOffset, count) : new Int16Array(new Uint8Array(bytes.subarray(0, count * 2)).buffer);
}

function asInt32(bytes: Uint8Array, count: number): Int32Array {
  return bytes.byteOffset % 4 === 0 ? new Int32Array(bytes.buffer, bytes.byteOffset, count) : new Int32Array(new Uint8Array(bytes.subarray(0, count * 4)).buffer);
}
