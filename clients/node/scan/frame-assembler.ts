import { type Frame, frameTotalBytes, readFrames } from '../../../pushdown/runtime/frame-read.js';
import { FrameHeader } from '../../../pushdown/runtime/wire.gen.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import { uncleared } from '../platform.js';

/**
 * Frames out of a byte stream cut anywhere. Each byte is copied once, into memory that is aligned and, unless `reuse`, the
 * frame's own: its buffers stay valid as long as someone holds them. With `reuse` they are until the next frame is asked for,
 * and bulk chunks cost no fresh memory each. Nothing is done per row.
 */
export class FrameAssembler {
  readonly #header = new Uint8Array(FrameHeader.bytes);
  #headerBytes = 0;
  #frame: Uint8Array | undefined;
  #frameBytes = 0;
  #reused = new Uint8Array(0);
  readonly #reuse: boolean;

  constructor({ reuse = false }: { readonly reuse?: boolean } = {}) {
    this.#reuse = reuse;
  }

  /** Adds bytes of the stream; yields the frames they complete. Throws MR_FRAME_INVALID. */
  *push(chunk: Uint8Array): Generator<Frame, void, void> {
    let at = 0;
    for (;;) {
      if (!this.#frame) {
        if (at === chunk.byteLength) return;
        at += this.#fillHeader(chunk, at);
        if (!this.#frame) return;
      }
      const take = Math.min(chunk.byteLength - at, this.#frame.byteLength - this.#frameBytes);
      this.#frame.set(chunk.subarray(at, at + take), this.#frameBytes);
      this.#frameBytes += take;
      at += take;
      if (this.#frameBytes < this.#frame.byteLength) return;
      const { frames } = readFrames(this.#frame);
      this.#frame = undefined;
      yield* frames;
    }
  }

  /** The stream is over. Throws when it ended inside a frame. */
  end(): void {
    if (this.#frame || this.#headerBytes > 0) throw new MillraceError('MR_LINK_BROKEN', 'The connection ended in the middle of a frame: run the query again.');
  }

  #fillHeader(chunk: Uint8Array, at: number): number {
    const take = Math.min(chunk.byteLength - at, FrameHeader.bytes - this.#headerBytes);
    this.#header.set(chunk.subarray(at, at + take), this.#headerBytes);
    this.#headerBytes += take;
    if (this.#headerBytes === FrameHeader.bytes) {
      this.#frame = this.#memory(frameTotalBytes(this.#header, 0) ?? 0); // the header is whole
      this.#frame.set(this.#header);
      this.#frameBytes = FrameHeader.bytes;
      this.#headerBytes = 0;
    }
    return take;
  }

  #memory(bytes: number): Uint8Array {
    // The stream fills all of it before anyone sees it.
    if (!this.#reuse) return uncleared(bytes);
    // A half more: morsels of one scan are of like size, not of equal size.
    if (this.#reused.byteLength < bytes) this.#reused = new Uint8Array(bytes + (bytes >> 1));
    return this.#reused.subarray(0, bytes);
  }
}
