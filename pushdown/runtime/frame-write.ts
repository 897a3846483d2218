import type { ColumnData } from '../types/batch.js';
import type { OutputFormat } from './arrow-c.js';
import { FrameFlag, FrameHeader, FrameHeaderMagic, FrameKind } from './wire.gen.js';

/** What a frame says about itself; the device stamps scan, morsel and place again. */
export interface FrameStamp {
  readonly scan: number;
  readonly morsel: number;
  readonly sequence: number;
  readonly last: boolean;
  readonly place: number;
  readonly elapsedNs: bigint;
}

export interface FrameRows {
  readonly data: readonly ColumnData[];
  /** First row: a multiple of 8, so that bitmaps are cut between bytes. */
  readonly from: number;
  readonly to: number;
}

type Layout = Pick<OutputFormat, 'layout' | 'valueBytes'>;

/** Bytes of the Result frame of these rows. */
export function frameBytes(formats: readonly Layout[], rows: FrameRows): number {
  let bytes = FrameHeader.bytes + round64(8 * bufferCount(formats));
  formats.forEach((format, i) => {
    for (const length of lengths(format, rows.data[i] as ColumnData, rows)) bytes += round64(length);
  });
  return bytes;
}

/**
 * Writes one Result frame at `at` (a multiple of 64 when readers shall view it in place); returns its bytes.
 * The caller has seen to it that frameBytes fit. Padding is zeroed: nothing of an earlier user of the bytes goes out.
 */
export function writeFrame(target: Uint8Array, at: number, stamp: FrameStamp, formats: readonly Layout[], rows: FrameRows): number {
  const view = new DataView(target.buffer, target.byteOffset + at, FrameHeader.bytes + 8 * bufferCount(formats));
  const bytes = frameBytes(formats, rows);
  target.fill(0, at, at + FrameHeader.bytes + round64(8 * bufferCount(formats)));
  view.setUint32(FrameHeader.magic, FrameHeaderMagic, true);
  view.setUint16(FrameHeader.kind, FrameKind.Result, true);
  view.setUint16(FrameHeader.flags, stamp.last ? FrameFlag.Last : 0, true);
  view.setUint32(FrameHeader.scan, stamp.scan, true);
  view.setUint32(FrameHeader.morsel, stamp.morsel, true);
  view.setUint32(FrameHeader.sequence, stamp.sequence, true);
  view.setUint32(FrameHeader.rows, rows.to - rows.from, true);
  view.setUint32(FrameHeader.bufferCount, bufferCount(formats), true);
  view.setBigUint64(FrameHeader.bodyBytes, BigInt(bytes - FrameHeader.bytes), true);
  view.setUint32(FrameHeader.place, stamp.place, true);
  view.setBigUint64(FrameHeader.elapsedNs, stamp.elapsedNs, true);
  let length = FrameHeader.bytes;
  let to = at + FrameHeader.bytes + round64(8 * bufferCount(formats));
  const put = (source: Uint8Array | null): void => {
    const size = source?.length ?? 0;
    view.setUint32(length, size, true);
    length += 8;
    if (source) target.set(source, to);
    target.fill(0, to + size, to + round64(size));
    to += round64(size);
  };
  formats.forEach((format, i) => {
    const column = rows.data[i] as ColumnData;
    const bits = (bitmap: Uint8Array) => bitmap.subarray(rows.from >>> 3, (rows.to + 7) >>> 3);
    const empty = rows.to === rows.from;
    put(column.validity && !empty ? bits(column.validity) : null);
    if (format.layout === 'bits') put(empty ? null : bits(column.data));
    else if (format.layout === 'fixed') put(column.data.subarray(rows.from * format.valueBytes, rows.to * format.valueBytes));
    else {
      const offsets = column.offsets as Int32Array;
      put(empty ? null : rebased(offsets, rows.from, rows.to));
      put(empty ? null : column.data.subarray(offsets[rows.from], offsets[rows.to]));
    }
  });
  return bytes;
}

/**
 * How many rows from `rows.from` fit a frame of `bytesMax`: all of them, or a multiple of 8, or 0 when not even the least
 * cut does.
 */
export function rowsThatFit(formats: readonly Layout[], rows: FrameRows, bytesMax: number): number {
  if (frameBytes(formats, rows) <= bytesMax) return rows.to - rows.from;
  let fits = 0;
  let tooMany = Math.ceil((rows.to - rows.from) / 8);
  while (tooMany - fits > 1) {
    const middle = (fits + tooMany) >>> 1;
    if (frameBytes(formats, { ...rows, to: rows.from + middle * 8 }) <= bytesMax) fits = middle;
    else tooMany = middle;
  }
  return fits * 8;
}

function lengths(format: Layout, column: ColumnData, { from, to }: FrameRows): number[] {
  const rows = to - from;
  const bitmap = (rows + 7) >>> 3;
  const validity = column.validity ? bitmap : 0;
  if (format.layout === 'bits') return [validity, bitmap];
  if (format.layout === 'fixed') return [validity, rows * format.valueBytes];
  const offsets = column.offsets as Int32Array;
  return rows === 0 ? [0, 0, 0] : [validity, (rows + 1) * 4, (offsets[to] as number) - (offsets[from] as number)];
}

/** Offsets of a cut of the rows, beginning at 0 again. */
function rebased(offsets: Int32Array, from: number, to: number): Uint8Array {
  const base = offsets[from] as number;
  const cut = base === 0 ? offsets.subarray(from, to + 1) : offsets.slice(from, to + 1).map((o) => o - base);
  return new Uint8Array(cut.buffer, cut.byteOffset, cut.byteLength);
}

function bufferCount(formats: readonly Layout[]): number {
  return formats.reduce((count, f) => count + (f.layout === 'utf8' ? 3 : 2), 0);
}

function round64(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}
