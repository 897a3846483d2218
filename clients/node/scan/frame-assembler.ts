import { FrameHeader } from '../../../pushdown/runtime/wire.gen.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import { type Frame, type FrameStart, frameOf, readFrameStart } from './frame.js';

/**
 * Frames out of a byte stream cut anywhere. Each byte is copied once, into a body of the frame's own (so that views stay
 * valid as long as someone holds them, and are aligned); nothing is done per row.
 */
export class FrameAssembler {
  readonly #header = new Uint8Array(FrameHeader.bytes);
  readonly #headerView = new DataView(this.#header.buffer);
  #headerBytes = 0;
  #start: FrameStart | undefined;
  #body = new Uint8Array(0);
  #bodyBytes = 0;

  /** Adds bytes of the stream; yields the frames they complete. */
  *push(chunk: Uint8Array): Generator<Frame, void, void> {
    let at = 0;
    for (;;) {
      if (!this.#start) {
        if (at === chunk.byteLength) return;
        at += this.#fillHeader(chunk, at);
        if (!this.#start) return;
      }
      // A frame without a body is complete with its header.
      const take = Math.min(chunk.byteLength - at, this.#body.byteLength - this.#bodyBytes);
      this.#body.set(chunk.subarray(at, at + take), this.#bodyBytes);
      this.#bodyBytes += take;
      at += take;
      if (this.#bodyBytes < this.#body.byteLength) return;
      const frame = frameOf(this.#start, this.#body, true);
      this.#start = undefined;
      yield frame;
    }
  }

  /** The stream is over. Throws when it ended inside a frame. */
  end(): void {
    if (this.#start || this.#headerBytes > 0) throw new MillraceError('MR_LINK_BROKEN', 'The connection ended in the middle of a frame.');
  }

  #fillHeader(chunk: Uint8Array, at: number): number {
    const take = Math.min(chunk.byteLength - at, FrameHeader.bytes - this.#headerBytes);
    this.#header.set(chunk.subarray(at, at + take), this.#headerBytes);
    this.#headerBytes += take;
    if (this.#headerBytes === FrameHeader.bytes) {
      this.#start = readFrameStart(this.#headerView, 0);
      this.#headerBytes = 0;
      this.#body = new Uint8Array(this.#start.bodyBytes);
      this.#bodyBytes = 0;
    }
    return take;
  }
}

/** All frames of a buffer that holds whole frames: views of it. */
export function* framesIn(bytes: Uint8Array): Generator<Frame, void, void> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.byteLength; ) {
    if (bytes.byteLength - at < FrameHeader.bytes) throw new MillraceError('MR_FRAME_INVALID', 'The device sent a piece of a frame.');
    const start = readFrameStart(view, at);
    const from = at + FrameHeader.bytes;
    if (start.bodyBytes > bytes.byteLength - from) throw new MillraceError('MR_FRAME_INVALID', 'The device sent a piece of a frame.');
    yield frameOf(start, bytes.subarray(from, from + start.bodyBytes), false);
    at = from + start.bodyBytes;
  }
}
