import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { MillraceError } from '../../pushdown/types/error.js';

/** Streams a body to a file of its own under `dir`/tmp, calls `use` with the path, removes the file whatever happened. */
export async function withUpload<T>(body: Readable, options: { readonly dir: string; readonly bytesMax: number; readonly signal: AbortSignal; readonly onBytes?: (bytes: number) => void }, use: (path: string) => Promise<T>): Promise<T> {
  const folder = join(options.dir, 'tmp');
  await mkdir(folder, { recursive: true });
  const path = join(folder, `upload-${randomUUID()}`);
  try {
    await pipeline(body, bounded(options.bytesMax, options.bytesMax, options.onBytes), createWriteStream(path, { mode: 0o600 }), { signal: options.signal });
    return await use(path);
  } catch (error) {
    throw asUploadError(error);
  } finally {
    await rm(path, { force: true });
  }
}

/** News of bytes at most this often. */
const newsMs = 100;

/** Lets `room` bytes through; `bytesMax` is what the error names. */
export function bounded(room: number, bytesMax: number, onBytes?: (bytes: number) => void): Transform {
  let bytes = 0;
  let toldMs = 0;
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      bytes += chunk.byteLength;
      if (bytes > room) done(tooLarge(bytesMax));
      else {
        const now = performance.now();
        if (now - toldMs >= newsMs) {
          toldMs = now;
          onBytes?.(bytes);
        }
        done(null, chunk);
      }
    },
    flush(done) {
      onBytes?.(bytes);
      done();
    },
  });
}

export const tooLarge = (bytesMax: number) => new MillraceError('MR_UPLOAD_TOO_LARGE', `More than ${bytesMax} bytes came: raise --upload-bytes-max or split the file.`, { httpStatus: 413 });

export function asUploadError(error: unknown): unknown {
  if (error instanceof MillraceError) return error;
  switch ((error as NodeJS.ErrnoException | undefined)?.code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new MillraceError('MR_NO_SPACE', 'The file system under the daemon has no room for the upload.', { httpStatus: 507, cause: error });
    case 'ABORT_ERR':
    case 'ECONNRESET':
    case 'ERR_STREAM_PREMATURE_CLOSE':
      return new MillraceError('MR_UPLOAD_ABORTED', 'The connection ended before the whole body was here: send it again.', { cause: error });
    default:
      return error;
  }
}

/** The body as a stream. @throws MillraceError MR_REQUEST_INVALID */
export function bodyOf(body: unknown): Readable {
  const stream = body as Readable | undefined;
  if (typeof stream?.pipe !== 'function') throw new MillraceError('MR_REQUEST_INVALID', 'The body must be the file itself: send content-type application/octet-stream.', { field: 'body', httpStatus: 415 });
  return stream;
}
