/** tables[k][n]: what byte n does to the remainder when k more bytes follow it. */
const tables = Array.from({ length: 8 }, () => new Uint32Array(256));
const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [Uint32Array, Uint32Array, Uint32Array, Uint32Array, Uint32Array, Uint32Array, Uint32Array, Uint32Array];
for (let n = 0; n < 256; n++) {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
  t0[n] = c;
  for (const table of tables.slice(1)) {
    c = (c >>> 8) ^ step(c);
    table[n] = c;
  }
}

/** What the lowest byte of a remainder does to it; not from t0, which is not whole yet. */
function step(remainder: number): number {
  let c = remainder & 0xff;
  for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
  return c;
}

/** CRC-32C (Castagnoli, RFC 3720 B.4) piece by piece, equal to native/core/crc32c.h. */
export class Crc32c {
  #state = 0xffffffff;

  update(bytes: Uint8Array): this {
    let c = this.#state;
    let i = 0;
    // Two words a turn where they lie straight, as pages do: all of a kernel's state passes through here when it leaves a slot and when it enters one.
    if (bytes.byteOffset % 4 === 0 && bytes.length >= 8) {
      const words = new Int32Array(bytes.buffer, bytes.byteOffset, (bytes.length >> 3) * 2);
      for (let w = 0; w < words.length; w += 2) {
        const low = (words[w] as number) ^ c;
        const high = words[w + 1] as number;
        c = (t7[low & 0xff] as number) ^ (t6[(low >>> 8) & 0xff] as number) ^ (t5[(low >>> 16) & 0xff] as number) ^ (t4[low >>> 24] as number)
          ^ (t3[high & 0xff] as number) ^ (t2[(high >>> 8) & 0xff] as number) ^ (t1[(high >>> 16) & 0xff] as number) ^ (t0[high >>> 24] as number);
      }
      i = words.length * 4;
    }
    for (; i < bytes.length; i++) c = (t0[(c ^ (bytes[i] as number)) & 0xff] as number) ^ (c >>> 8);
    this.#state = c;
    return this;
  }

  get value(): number {
    return (this.#state ^ 0xffffffff) >>> 0;
  }
}
