/** Round constants: the first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4). */
const constants = Uint32Array.from(primes(64), (prime) => fraction32(Math.cbrt(prime)));
const initial = Uint32Array.from(primes(8), (prime) => fraction32(Math.sqrt(prime)));
const blockBytes = 64;

/** SHA-256 piece by piece. crypto.subtle takes no pieces, and is not there at all on a page served over plain HTTP from afar. */
export class Sha256 {
  readonly #state = initial.slice();
  readonly #block = new Uint8Array(blockBytes);
  readonly #words = new Uint32Array(64);
  #blockBytes = 0;
  #totalBytes = 0;

  update(bytes: Uint8Array): this {
    this.#totalBytes += bytes.byteLength;
    for (let at = 0; at < bytes.byteLength; ) {
      const take = Math.min(bytes.byteLength - at, blockBytes - this.#blockBytes);
      this.#block.set(bytes.subarray(at, at + take), this.#blockBytes);
      this.#blockBytes += take;
      at += take;
      if (this.#blockBytes === blockBytes) this.#compress();
    }
    return this;
  }

  /** 64 hexadecimal digits. Nothing may be added afterwards. */
  hex(): string {
    const bits = BigInt(this.#totalBytes) * 8n;
    this.update(Uint8Array.of(0x80));
    while (this.#blockBytes !== blockBytes - 8) this.update(Uint8Array.of(0));
    const length = new Uint8Array(8);
    new DataView(length.buffer).setBigUint64(0, bits);
    this.update(length);
    return Array.from(this.#state, (word) => word.toString(16).padStart(8, '0')).join('');
  }

  #compress(): void {
    const w = this.#words;
    const view = new DataView(this.#block.buffer);
    for (let i = 0; i < 16; i++) w[i] = view.getUint32(i * 4);
    for (let i = 16; i < 64; i++) {
      const a = w[i - 15]!; // i is in bounds, here and below
      const b = w[i - 2]!;
      w[i] = w[i - 16]! + (rotate(a, 7) ^ rotate(a, 18) ^ (a >>> 3)) + w[i - 7]! + (rotate(b, 17) ^ rotate(b, 19) ^ (b >>> 10));
    }
    let [a, b, c, d, e, f, g, h] = this.#state as unknown as [number, number, number, number, number, number, number, number];
    for (let i = 0; i < 64; i++) {
      const t1 = (h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + constants[i]! + w[i]!) | 0;
      const t2 = ((rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0];
    }
    for (const [i, word] of [a, b, c, d, e, f, g, h].entries()) this.#state[i] = this.#state[i]! + word;
    this.#blockBytes = 0;
  }
}

const rotate = (word: number, bits: number): number => (word >>> bits) | (word << (32 - bits));

/** A double has 52 bits behind the point for the roots of small primes: enough for 32. */
function fraction32(root: number): number {
  return Math.floor((root - Math.floor(root)) * 2 ** 32);
}

function primes(count: number): number[] {
  const found: number[] = [];
  for (let n = 2; found.length < count; n++) if (found.every((prime) => n % prime !== 0)) found.push(n);
  return found;
}
