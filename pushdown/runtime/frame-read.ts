import { MillraceError } from '../types/error.js';
import { FrameFlag, FrameHeader, FrameHeaderMagic, FrameKind } from './wire.gen.js';

/** A frame as it came: buffers are views into the bytes it was read from. */
export interface Frame {
  readonly kind: (typeof FrameKind)[keyof typeof FrameKind];
  readonly last: boolean;
  readonly scan: number;
  readonly morsel: number;
  readonly sequence: number;
  readonly rows: number;
  /** Fault frames: GuestFault or Status. */
  readonly code: number;
  /** 0 host, n slot n. */
  readonly place: number;
  readonly elapsedNs: bigint;
  /** In column order: per column validity, [offsets], data; 0 bytes: absent. */
  readonly buffers: readonly Uint8Array[];
}

/** Bounds of one frame: what a reader must be ready to buffer. */
export const frameBytesMax = 1024 * 1024 * 1024;
export const frameBuffersMax = 3 * 4096;
export const frameRowsMax = 64 * 1024 * 1024;
const kinds = new Set<number>(Object.values(FrameKind));

function bad(detail: string, position: number): never {
  throw new MillraceError('MR_FRAME_INVALID', `a frame that cannot be: ${detail}`, { position });
}

/** Whole frames at the start of `bytes` and how many bytes they are; the rest is the beginning of a frame still to come. */
export function readFrames(bytes: Uint8Array): { readonly frames: Frame[]; readonly usedBytes: number } {
  const frames: Frame[] = [];
  let usedBytes = 0;
  for (;;) {
    const total = frameTotalBytes(bytes, usedBytes);
    if (total === undefined || total > bytes.length - usedBytes) return { frames, usedBytes };
    frames.push(readFrame(bytes, usedBytes, total));
    usedBytes += total;
  }
}

/** Bytes of the frame whose header begins at `at`; undefined while the header is not there whole. Throws MR_FRAME_INVALID. */
export function frameTotalBytes(bytes: Uint8Array, at: number): number | undefined {
  if (bytes.length - at < FrameHeader.bytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, FrameHeader.bytes);
  if (view.getUint32(FrameHeader.magic, true) !== FrameHeaderMagic) bad('the magic number is missing', at);
  if (!kinds.has(view.getUint16(FrameHeader.kind, true))) bad('its kind is unknown', at + FrameHeader.kind);
  const body = view.getBigUint64(FrameHeader.bodyBytes, true);
  if (body > BigInt(frameBytesMax)) bad(`${body} bytes, at most ${frameBytesMax} are allowed`, at + FrameHeader.bodyBytes);
  return FrameHeader.bytes + Number(body);
}

function readFrame(bytes: Uint8Array, at: number, total: number): Frame {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, total);
  const count = view.getUint32(FrameHeader.bufferCount, true);
  if (count > frameBuffersMax) bad(`${count} buffers, at most ${frameBuffersMax} are allowed`, at + FrameHeader.bufferCount);
  let offset = FrameHeader.bytes + round64(8 * count);
  if (offset > total) bad('its list of buffers is longer than its body', at);
  const buffers: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const length = view.getBigUint64(FrameHeader.bytes + 8 * i, true);
    if (length > BigInt(total - offset)) bad(`buffer ${i} is longer than the body`, at + FrameHeader.bytes + 8 * i);
    buffers.push(bytes.subarray(at + offset, at + offset + Number(length)));
    offset += round64(Number(length));
    if (offset > total) bad(`buffer ${i} is not padded to 64 bytes`, at + FrameHeader.bytes + 8 * i);
  }
  if (offset !== total) bad('bytes are left over behind its last buffer', at + offset);
  return {
    kind: view.getUint16(FrameHeader.kind, true) as Frame['kind'],
    last: (view.getUint16(FrameHeader.flags, true) & FrameFlag.Last) !== 0,
    scan: view.getUint32(FrameHeader.scan, true),
    morsel: view.getUint32(FrameHeader.morsel, true),
    sequence: view.getUint32(FrameHeader.sequence, true),
    rows: view.getUint32(FrameHeader.rows, true),
    code: view.getUint32(FrameHeader.code, true),
    place: view.getUint32(FrameHeader.place, true),
    elapsedNs: view.getBigUint64(FrameHeader.elapsedNs, true),
    buffers,
  };
}

function round64(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}
