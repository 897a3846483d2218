import type { Readable } from 'node:stream';
import { MillraceError } from '../../pushdown/types/error.js';
import { programBytesMax } from './schemas.js';

/** A module as the body of a request, whole, of at most `cap` bytes. @throws MillraceError MR_REQUEST_INVALID, MR_PROGRAM_TOO_LARGE */
export async function moduleBody(body: unknown, cap = programBytesMax): Promise<Uint8Array> {
  if (typeof (body as Readable | undefined)?.pipe !== 'function') throw new MillraceError('MR_REQUEST_INVALID', 'The body must be the module: send content-type application/wasm.', { field: 'body', httpStatus: 415 });
  const bytesMax = Math.min(cap, programBytesMax);
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body as AsyncIterable<Uint8Array>) {
    bytes += part.byteLength;
    if (bytes > bytesMax) throw new MillraceError('MR_PROGRAM_TOO_LARGE', `A program may have ${bytesMax} bytes.`, { field: 'body', httpStatus: 413 });
    parts.push(part);
  }
  if (bytes === 0) throw new MillraceError('MR_REQUEST_INVALID', 'The body is empty: send the module.', { field: 'body' });
  return Buffer.concat(parts, bytes);
}
