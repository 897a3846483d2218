import { Socket } from 'node:net';
import { answerFd } from './protocol.js';

/** Longest chunk written at once; the daemon refuses chunks far above it. */
const chunkBytesMax = 1 << 20;

/** The answer pipe: `u32 length, bytes` chunks. Writing waits while the daemon is slow. */
export class AnswerWriter {
  readonly #pipe = new Socket({ fd: answerFd, readable: false, writable: true });
  #broken: Error | undefined;
  /** Payload bytes of the answer under way. */
  answerBytes = 0;

  constructor(onBroken: (error: Error) => void) {
    this.#pipe.on('error', (error) => {
      this.#broken = error;
      onBroken(error);
    });
  }

  begin(): void {
    this.answerBytes = 0;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength; at += chunkBytesMax) {
      const chunk = bytes.subarray(at, at + chunkBytesMax);
      this.answerBytes += chunk.byteLength;
      await this.#send(Buffer.concat([lengthOf(chunk.byteLength), chunk]));
    }
  }

  /** Ends the answer. */
  end(): Promise<void> {
    return this.#send(lengthOf(0));
  }

  async #send(bytes: Uint8Array): Promise<void> {
    if (this.#broken) throw this.#broken;
    await new Promise<void>((resolve, reject) => this.#pipe.write(bytes, (error) => (error ? reject(error) : resolve())));
  }
}

function lengthOf(bytes: number): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32LE(bytes);
  return head;
}
