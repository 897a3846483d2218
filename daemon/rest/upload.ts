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
    await pipeline(body, bounded(options.bytesMax, options.onBytes), createWriteStream(path, { mode: 0o600 }), { signal: options.signal });
    return await use(path);
  } catch (error) {
    throw asMillraceError(error);
  } finally {
    await rm(path, { force: true });
  }
}

/** News of bytes at most this often. */
const newsMs = 100;

function bounded(bytesMax: number, onBytes: ((bytes: number) => void) | undefined): Transform {
  let bytes = 0;
  let toldMs = 0;
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      bytes += chunk.byteLength;
      if (bytes > bytesMax) done(new MillraceError('MR_UPLOAD_TOO_LARGE', `The body has more than ${bytesMax} bytes: raise --upload-bytes-max or split the file.`, { httpStatus: 413 }));
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

function asMillraceError(error: unknown): unknown {
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
