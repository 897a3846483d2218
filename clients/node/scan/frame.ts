import { FrameFlag, FrameHeader, FrameHeaderMagic } from '../../../pushdown/runtime/wire.gen.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import type { Batch, ColumnData } from '../../../pushdown/types/batch.js';
import type { Column } from '../../../pushdown/types/schema.js';
import { valueBytes } from '../../../pushdown/types/physical.js';

/** One frame (native/wire/scan.def, FrameHeader). Buffers stand at multiples of 64 B of its body. */
export interface Frame {
  readonly kind: number;
  readonly last: boolean;
  readonly morsel: number;
  readonly sequence: number;
  readonly rows: number;
  readonly code: number;
  /** 0 host, n slot n. */
  readonly place: number;
  readonly elapsedNs: bigint;
  readonly bodyBytes: number;
  /** False: buffers are views of a region that is reused once the next frame is asked for. */
  readonly owned: boolean;
  /** In column order validity, [offsets], data; null: absent. */
  readonly buffers: readonly (Uint8Array | null)[];
}

/** Bounds on what a peer may announce before it is believed. */
export const frameBodyBytesMax = 1 << 30;
export const frameBuffersMax = 3 * 4096;

export const pad64 = (bytes: number): number => (bytes + 63) & ~63;

export interface FrameStart extends Omit<Frame, 'buffers' | 'owned'> {
  readonly bufferCount: number;
}

/** Reads the 64 B header at `at`. Throws MR_FRAME_INVALID on anything a well-behaved peer does not send. */
export function readFrameStart(view: DataView, at: number): FrameStart {
  const offset = FrameHeader;
  if (view.getUint32(at + offset.magic, true) !== FrameHeaderMagic) throw invalid('wrong magic');
  const bodyBytes = Number(view.getBigUint64(at + offset.bodyBytes, true));
  const bufferCount = view.getUint32(at + offset.bufferCount, true);
  if (bodyBytes > frameBodyBytesMax || bodyBytes % 64 !== 0) throw invalid(`a body of ${bodyBytes} bytes`);
  if (bufferCount > frameBuffersMax || pad64(bufferCount * 8) > bodyBytes) throw invalid(`${bufferCount} buffers in ${bodyBytes} bytes`);
  return {
    kind: view.getUint16(at + offset.kind, true),
    last: (view.getUint16(at + offset.flags, true) & FrameFlag.Last) !== 0,
    morsel: view.getUint32(at + offset.morsel, true),
    sequence: view.getUint32(at + offset.sequence, true),
    rows: view.getUint32(at + offset.rows, true),
    code: view.getUint32(at + offset.code, true),
    place: view.getUint32(at + offset.place, true),
    elapsedNs: view.getBigUint64(at + offset.elapsedNs, true),
    bodyBytes,
    bufferCount,
  };
}

/** Cuts a body (sizes list, then padded buffers) into its buffers. */
export function frameOf(start: FrameStart, body: Uint8Array, owned: boolean): Frame {
  const sizes = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const buffers: (Uint8Array | null)[] = [];
  let at = pad64(start.bufferCount * 8);
  for (let i = 0; i < start.bufferCount; i++) {
    const bytes = Number(sizes.getBigUint64(i * 8, true));
    if (bytes > body.byteLength - at) throw invalid(`buffer ${i} of ${bytes} bytes passes the end of the body`);
    buffers.push(bytes === 0 ? null : body.subarray(at, at + bytes));
    at = Math.min(at + pad64(bytes), body.byteLength);
  }
  return { ...start, owned, buffers };
}

const none = new Uint8Array(0);

/** The frame's buffers as columns. Throws MR_FRAME_INVALID when sizes do not fit rows and types. */
export function frameBatch(frame: Frame, columns: readonly Column[]): Batch {
  const data: ColumnData[] = [];
  let next = 0;
  for (const column of columns) {
    const validity = frame.buffers[next++] ?? null;
    const offsetBytes = column.physical === 'utf8' ? (frame.buffers[next++] ?? none) : null;
    const values = frame.buffers[next++] ?? none;
    const width = valueBytes[column.physical];
    const offsets = offsetBytes && int32View(offsetBytes);
    if (validity && validity.byteLength * 8 < frame.rows) throw invalid(`column ${column.name}: validity is too short`);
    if (offsets) checkOffsets(offsets, frame.rows, values.byteLength, column.name);
    else if (values.byteLength < (width === undefined ? Math.ceil(frame.rows / 8) : frame.rows * width)) throw invalid(`column ${column.name}: values are too short`);
    data.push({ validity, offsets: offsets ?? null, data: values });
  }
  if (next !== frame.buffers.length) throw invalid(`${frame.buffers.length} buffers where ${next} were expected`);
  return { rows: frame.rows, columns, data };
}

function checkOffsets(offsets: Int32Array, rows: number, bytes: number, column: string): void {
  if (rows === 0) return;
  if (offsets.length < rows + 1) throw invalid(`column ${column}: offsets are too short`);
  // The ends are enough for safety here: whoever slices goes through subarray, which clamps.
  if (offsets[0]! < 0 || offsets[rows]! > bytes) throw invalid(`column ${column}: offsets leave the data`);
}

const int32View = (bytes: Uint8Array): Int32Array => new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2);

function invalid(what: string): MillraceError {
  return new MillraceError('MR_FRAME_INVALID', `The device sent a frame that breaks the protocol (${what}).`);
}
