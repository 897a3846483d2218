import { FrameHeader, FrameHeaderMagic } from '../../pushdown/runtime/wire.gen.js';

export interface FrameHeaderFields {
  readonly kind: number;
  readonly flags?: number;
  readonly scan: number;
  readonly morsel: number;
  readonly rows: number;
  readonly bufferCount: number;
  readonly bodyBytes: number;
}

export function frameHeader(fields: FrameHeaderFields): Uint8Array {
  const bytes = new Uint8Array(FrameHeader.bytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(FrameHeader.magic, FrameHeaderMagic, true);
  view.setUint16(FrameHeader.kind, fields.kind, true);
  view.setUint16(FrameHeader.flags, fields.flags ?? 0, true);
  view.setUint32(FrameHeader.scan, fields.scan, true);
  view.setUint32(FrameHeader.morsel, fields.morsel, true);
  view.setUint32(FrameHeader.rows, fields.rows, true);
  view.setUint32(FrameHeader.bufferCount, fields.bufferCount, true);
  view.setBigUint64(FrameHeader.bodyBytes, BigInt(fields.bodyBytes), true);
  return bytes;
}
