import type { KernelModule } from '../../../pushdown/runtime/kernel-module.js';
import { compileKernel } from '../../../pushdown/runtime/kernel-module.js';

/** Idle kernels kept in all: each holds a memory of its own. */
const idleMax = 8;

const modules = new WeakMap<Uint8Array, KernelModule>();

/** The module of these very bytes, checked and compiled once. */
export function moduleOf(wasm: Uint8Array<ArrayBuffer>): KernelModule {
  let known = modules.get(wasm);
  if (!known) modules.set(wasm, (known = compileKernel(wasm)));
  return known;
}

/**
 * Kernels between two uses, the least recently used dropped first. What is taken belongs to the taker, who gives it back only
 * when it is at the end of a run without a fault.
 */
export class KernelPool<T> {
  readonly #idle: { readonly wasm: Uint8Array; readonly windowBytes: number; readonly kernel: T }[] = [];

  /** An idle kernel of these bytes with a window of at least so many bytes. */
  take(wasm: Uint8Array, windowBytes: number): T | undefined {
    const at = this.#idle.findLastIndex((each) => each.wasm === wasm && each.windowBytes >= windowBytes);
    return at < 0 ? undefined : this.#idle.splice(at, 1)[0]?.kernel;
  }

  give(wasm: Uint8Array, windowBytes: number, kernel: T): void {
    this.#idle.push({ wasm, windowBytes, kernel });
    if (this.#idle.length > idleMax) this.#idle.shift();
  }
}
