/** A seeded generator (splitmix32): the same seed gives the same plans and data everywhere. */
export class Random {
  #state: number;
  constructor(readonly seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 <= x < 2^32. */
  u32(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  }

  /** Integer, both ends included. */
  int(min: number, max: number): number {
    return min + (this.u32() % (max - min + 1));
  }

  big(min: bigint, max: bigint): bigint {
    const wide = (BigInt(this.u32()) << 64n) | (BigInt(this.u32()) << 32n) | BigInt(this.u32());
    return min + (wide % (max - min + 1n));
  }

  chance(probability: number): boolean {
    return this.u32() < probability * 2 ** 32;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.u32() % items.length] as T;
  }
}
