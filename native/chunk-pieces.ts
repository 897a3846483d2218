import { blockBytes, type ChunkPlace } from './dataset-layout.js';

/** One read of a chunk and which of its bytes are wanted. */
export interface ChunkPiece {
  readonly slba: number;
  readonly blocks: number;
  /** First wanted byte of what was read, and how many. */
  readonly skip: number;
  readonly bytes: number;
}

/** Blocks one piece has at most: 1 MiB reads go at full media speed and keep regions small. */
export const pieceBlocksMax = 256;

const pad64 = (bytes: number): number => (bytes + 63) & ~63;

/**
 * Cuts a chunk's buffers, each padded to 64 B as frames want them, into reads of bounded size. Buffers that follow each
 * other (the usual layout) make one range.
 */
export function chunkPieces(place: ChunkPlace): ChunkPiece[] {
  const ranges: { from: number; to: number }[] = [];
  for (const { offset, bytes } of place.buffers) {
    if (bytes === 0) continue;
    const last = ranges.at(-1);
    if (last?.to === offset) last.to = offset + pad64(bytes);
    else ranges.push({ from: offset, to: offset + pad64(bytes) });
  }
  const pieces: ChunkPiece[] = [];
  for (const { from, to } of ranges)
    for (let at = from; at < to; ) {
      const block = Math.floor(at / blockBytes);
      const end = Math.min(to, (block + pieceBlocksMax) * blockBytes);
      pieces.push({ slba: place.slba + block, blocks: Math.ceil(end / blockBytes) - block, skip: at - block * blockBytes, bytes: end - at });
      at = end;
    }
  return pieces;
}
