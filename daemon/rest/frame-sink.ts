import type { ServerResponse } from 'node:http';
import { FrameKind } from '../../pushdown/runtime/wire.gen.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { frameHeader } from '../queue/frame-header.js';
import type { FrameTarget } from '../queue/scan-session.js';
import type { LinkCounter } from './link-counter.js';
import type { LinkPace } from './link-pace.js';
import { frameContentType } from './schemas.js';

/**
 * A response body of frames. write() resolves when the bytes left for the socket, so their memory may be reused and a slow
 * reader holds the writer back; it rejects once the connection is gone.
 */
export class FrameSink implements FrameTarget {
  readonly #response: ServerResponse;
  readonly #link: LinkCounter;
  readonly #pace: LinkPace | undefined;
  readonly #gone: Promise<never>;

  constructor(response: ServerResponse, link: LinkCounter, pace?: LinkPace) {
    this.#pace = pace;
    this.#response = response;
    this.#link = link;
    this.#gone = new Promise<never>((_, reject) => {
      response.once('close', () => reject(connectionLost()));
    });
    // It also closes after a good end, when nobody waits any more.
    this.#gone.catch(() => undefined);
    response.writeHead(200, { 'content-type': frameContentType, 'cache-control': 'no-store' });
  }

  get broken(): boolean {
    return this.#response.destroyed || this.#response.closed;
  }

  /** Called once when the reader leaves before end(). */
  onBroken(callback: () => void): void {
    this.#response.once('close', () => {
      if (!this.#response.writableFinished) callback();
    });
  }

  async write(parts: readonly Uint8Array[]): Promise<void> {
    if (this.broken) throw connectionLost();
    const bytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
    if (this.#pace) await Promise.race([this.#pace.carry(bytes), this.#gone]);
    const flushed = new Promise<void>((resolve, reject) => {
      this.#response.cork();
      for (const [i, part] of parts.entries()) {
        this.#response.write(part, i === parts.length - 1 ? (error) => (error ? reject(error) : resolve()) : undefined);
      }
      this.#response.uncork();
      if (parts.length === 0) resolve();
    });
    // Also rejected when the race was decided by the connection's end.
    flushed.catch(() => undefined);
    await Promise.race([flushed, this.#gone]);
    this.#link.addFrames(bytes);
  }

  async end(scan: number, rows: number): Promise<void> {
    await this.write([frameHeader({ kind: FrameKind.End, scan, morsel: 0, rows, bufferCount: 0, bodyBytes: 0 })]);
    await new Promise<void>((resolve) => {
      this.#response.once('close', resolve);
      this.#response.end(resolve);
    });
  }

  /** Breaks the connection: the reader must not take what it has for all there is. */
  abort(): void {
    this.#response.destroy();
  }
}

const connectionLost = (): MillraceError => new MillraceError('MR_LINK_BROKEN', 'The reader of this response left.');
