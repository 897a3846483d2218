import { MillraceError } from '../../pushdown/types/error.js';
import { answerChunkBytesMax } from './worker-protocol.js';

/** Splits a worker's pipe into answers: `u32 length, bytes` chunks, length 0 ends an answer. Payload pieces are passed on as they come. */
export class AnswerReader {
  readonly #head = Buffer.alloc(4);
  #headBytes = 0;
  #left = 0;

  constructor(private readonly sink: { data(piece: Uint8Array): void; end(): void }) {}

  push(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.byteLength) {
      if (this.#left > 0) {
        const take = Math.min(this.#left, bytes.byteLength - at);
        this.#left -= take;
        this.sink.data(bytes.subarray(at, at + take));
        at += take;
        continue;
      }
      this.#head[this.#headBytes++] = bytes[at++]!; // at < byteLength
      if (this.#headBytes < 4) continue;
      this.#headBytes = 0;
      this.#left = this.#head.readUInt32LE(0);
      if (this.#left > answerChunkBytesMax) throw new MillraceError('MR_WORKER_PROTOCOL', 'The query worker broke its protocol.', { httpStatus: 500 });
      if (this.#left === 0) this.sink.end();
    }
  }
}
