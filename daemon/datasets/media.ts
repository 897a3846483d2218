import { native } from '../../native/index.js';
import type { CommandQueue } from '../../native/queue.js';
import { invariant, MillraceError } from '../../pushdown/types/error.js';
import { blockBytes } from './extents.js';
import { type Chunk, chunkExtent } from './layout.js';

/** One Read at a time moves at most this much: a scrub never fills the queue's data region. */
const stepBytes = 1 << 20;

/** Chunks by Read commands: the only way to the data there is. */
export class Media {
  constructor(private readonly queue: CommandQueue) {}

  /** The checksummed bytes of a chunk, a copy of its own. @throws MillraceError MR_CHECKSUM_MISMATCH, MR_MEDIA_READ */
  async read(chunk: Chunk, what: string): Promise<Uint8Array> {
    const bytes = new Uint8Array(chunk.usedBytes);
    let at = 0;
    const crc = await this.#checksum(chunk, (part) => {
      bytes.set(part, at);
      at += part.byteLength;
    });
    if (crc !== chunk.crc32c) throw new MillraceError('MR_CHECKSUM_MISMATCH', `${what}: what the media holds is not what was written. Load the dataset again.`, { httpStatus: 500 });
    return bytes;
  }

  /** Whether the media still holds what was written. @throws MillraceError as read, but for the checksum */
  async intact(chunk: Chunk): Promise<boolean> {
    return (await this.#checksum(chunk, () => undefined)) === chunk.crc32c;
  }

  /** Everything written so far, by whomever, is on the media when this resolves. */
  async flush(): Promise<void> {
    await this.queue.flush();
  }

  async #checksum(chunk: Chunk, each: (part: Uint8Array) => void): Promise<number> {
    const { slba, blocks } = chunkExtent(chunk);
    const stepBlocks = stepBytes / blockBytes;
    const region = await this.queue.acquire(Math.min(stepBytes, Math.max(blocks, 1) * blockBytes));
    try {
      let crc = 0;
      for (let block = 0; block < blocks; block += stepBlocks) {
        const now = Math.min(stepBlocks, blocks - block);
        await this.queue.readBlocks(slba + block, now, region);
        const part = region.view.subarray(0, Math.min(now * blockBytes, chunk.usedBytes - block * blockBytes));
        invariant(part.byteLength > 0, 'every block of a chunk holds bytes of it');
        crc = native().crc32c(part, crc);
        each(part);
      }
      return crc;
    } finally {
      this.queue.release(region);
    }
  }
}
