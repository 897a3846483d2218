import type { FileHandle } from 'node:fs/promises';
import { type Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import zlib from 'node:zlib';
import type { Compression } from '../../pushdown/plan/source-sql.js';
import { MillraceError } from '../../pushdown/types/error.js';

/** The pinned Node has it; the types are those of Node 20. */
const { createZstdDecompress } = zlib as unknown as { createZstdDecompress(): Transform };

/**
 * Reads a compressed file to its end: DuckDB takes one that was cut off for a shorter one, where the cut leaves whole lines, and
 * compares no checksum. @throws MillraceError MR_FILE_INVALID
 */
export async function mustBeWhole(file: FileHandle, compression: Exclude<Compression, 'uncompressed'>, label: string): Promise<void> {
  const decoder = compression === 'gzip' ? zlib.createGunzip() : createZstdDecompress();
  const nowhere = new Writable({ write: (_bytes, _encoding, done) => done() });
  try {
    await pipeline(file.createReadStream({ start: 0, autoClose: false, highWaterMark: 1 << 20 }), decoder, nowhere);
  } catch (cause) {
    throw new MillraceError('MR_FILE_INVALID', `The ${compression} data of ${label} is cut off or damaged: ${(cause as Error).message}.`, { cause });
  }
}
