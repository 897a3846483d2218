import { MillraceError } from '../../pushdown/types/error.js';
import { bodyOf } from './upload.js';

/** What the device moves at most (kCheckpointBytesMax of native/core/limits.h). */
const checkpointBytesMax = 64 << 20;

/** A checkpoint as the body of a request. Nobody looks into it here: a slot does. @throws MillraceError MR_REQUEST_INVALID, MR_CHECKPOINT_TOO_BIG */
export async function checkpointBody(body: unknown): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of bodyOf(body)) {
    bytes += part.byteLength;
    if (bytes > checkpointBytesMax) throw new MillraceError('MR_CHECKPOINT_TOO_BIG', `A checkpoint may have ${checkpointBytesMax} bytes.`, { field: 'body' });
    parts.push(part);
  }
  return Buffer.concat(parts, bytes);
}
