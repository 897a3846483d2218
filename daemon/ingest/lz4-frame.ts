import { MillraceError } from '../../pushdown/types/error.js';

const magic = 0x184d2204;
const blockBytesMax: Readonly<Record<number, number>> = { 4: 64 << 10, 5: 256 << 10, 6: 1 << 20, 7: 4 << 20 };

/**
 * One LZ4 frame (lz4_Frame_format.md 1.6.1), as Arrow IPC compresses buffers; apache-arrow brings no decoder. Every length and
 * distance is checked; the frame's own checksums, which Arrow's writers leave out, are not.
 * @throws MillraceError MR_FILE_INVALID
 */
export function decodeLz4Frame(frame: Uint8Array, bytesMax: number): Uint8Array {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (frame.byteLength < 7 || view.getUint32(0, true) !== magic) throw damaged('is no LZ4 frame');
  const flags = frame[4] as number;
  const blockMax = blockBytesMax[((frame[5] as number) >> 4) & 7];
  if (flags >> 6 !== 1 || blockMax === undefined || flags & 1) throw damaged('has a header this version does not know');
  const blockChecksum = flags & 0x10 ? 4 : 0;
  let at = 6;
  let sizeGiven: number | undefined;
  if (flags & 8) {
    if (frame.byteLength < 15) throw damaged('ends early');
    sizeGiven = Number(view.getBigUint64(at, true));
    at += 8;
  }
  at += 1;
  const out = new Growing(sizeGiven ?? frame.byteLength * 3, bytesMax);
  for (;;) {
    if (at + 4 > frame.byteLength) throw damaged('ends early');
    const word = view.getUint32(at, true);
    at += 4;
    if (word === 0) break;
    const bytes = word & 0x7fff_ffff;
    if (bytes > blockMax || at + bytes > frame.byteLength) throw damaged('ends early');
    const block = frame.subarray(at, at + bytes);
    if (word >>> 31) out.append(block);
    else decodeBlock(block, out, blockMax);
    at += bytes + blockChecksum;
  }
  if (sizeGiven !== undefined && sizeGiven !== out.length) throw damaged('holds another number of bytes than it says');
  return out.bytes();
}

function decodeBlock(block: Uint8Array, out: Growing, blockMax: number): void {
  const end = out.length + blockMax;
  let at = 0;
  const more = (nibble: number): number => {
    if (nibble < 15) return nibble;
    let length = nibble;
    for (let byte = 255; byte === 255; length += byte) {
      if (at >= block.length) throw damaged('ends early');
      byte = block[at++] as number;
    }
    return length;
  };
  while (at < block.length) {
    const token = block[at++] as number;
    const literals = more(token >> 4);
    if (at + literals > block.length || out.length + literals > end) throw damaged('has literals beyond its block');
    out.append(block.subarray(at, at + literals));
    at += literals;
    if (at === block.length) return;
    if (at + 2 > block.length) throw damaged('ends early');
    const distance = (block[at] as number) | ((block[at + 1] as number) << 8);
    at += 2;
    const length = more(token & 15) + 4;
    if (distance === 0 || distance > out.length || out.length + length > end) throw damaged('has a match beyond what was written');
    out.repeat(distance, length);
  }
}

class Growing {
  #bytes: Uint8Array;
  length = 0;

  constructor(expected: number, private readonly bytesMax: number) {
    // What a frame says of itself is not believed beyond a first guess.
    this.#bytes = new Uint8Array(Math.min(expected, 16 << 20, bytesMax));
  }

  append(bytes: Uint8Array): void {
    this.#room(bytes.byteLength);
    this.#bytes.set(bytes, this.length);
    this.length += bytes.byteLength;
  }

  /** Bytes that may overlap what they are copied from: those repeat. */
  repeat(distance: number, length: number): void {
    this.#room(length);
    const from = this.length - distance;
    if (distance >= length) this.#bytes.copyWithin(this.length, from, from + length);
    else for (let i = 0; i < length; i++) this.#bytes[this.length + i] = this.#bytes[from + i] as number;
    this.length += length;
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  #room(more: number): void {
    const needed = this.length + more;
    if (needed <= this.#bytes.byteLength) return;
    if (needed > this.bytesMax) throw damaged('is larger than one buffer may be');
    const grown = new Uint8Array(Math.min(this.bytesMax, Math.max(needed, this.#bytes.byteLength * 2)));
    grown.set(this.#bytes.subarray(0, this.length));
    this.#bytes = grown;
  }
}

const damaged = (what: string): MillraceError => new MillraceError('MR_FILE_INVALID', `A compressed buffer ${what}.`);
