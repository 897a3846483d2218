import type { FunctionBuilder, Local } from '../encoder/function-builder.js';
import { type KernelModule, abi } from '../kernel-module.js';

/** Leaves address and bytes of the text word. */
export function splitText(f: FunctionBuilder, word: Local): void {
  f.get(word).op('i32.wrap_i64').get(word).i64(32n).op('i64.shr_u', 'i32.wrap_i64');
}

/**
 * Keeps texts that outlive their input batch. A scan kernel is done with its groups before the input goes, so it keeps texts
 * where they are (bytes 0); a merge copies them into its heap.
 */
export class TextArena {
  readonly #start: number;
  readonly #next: number;

  constructor(
    kernel: KernelModule,
    readonly bytes: number,
  ) {
    this.#start = bytes > 0 ? kernel.reserve(bytes, 8) : 0;
    this.#next = kernel.module.global('i32', this.#start);
  }

  reset(f: FunctionBuilder): void {
    if (this.bytes > 0) f.i32(this.#start).globalSet(this.#next);
  }

  /** Replaces the text word in `word` by one of a kept copy. Leaves f with -3 when there is no room. */
  keep(f: FunctionBuilder, word: Local): void {
    if (this.bytes === 0) return;
    const length = f.local('i32');
    f.get(word).i64(32n).op('i64.shr_u', 'i32.wrap_i64').set(length);
    f.i32(this.#start + this.bytes).globalGet(this.#next).op('i32.sub').get(length).op('i32.lt_u').if(() => {
      f.i32(abi.outOfHeap).op('return');
    });
    f.globalGet(this.#next).get(word).op('i32.wrap_i64').get(length).memoryCopy();
    f.get(word).i64(-(1n << 32n)).op('i64.and').globalGet(this.#next).op('i64.extend_i32_u', 'i64.or').set(word);
    f.globalGet(this.#next).get(length).op('i32.add').globalSet(this.#next);
    f.release(length);
  }
}
