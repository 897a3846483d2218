import { checkModule } from './module-check.js';
import { instrumentModule } from './module-instrument.js';
import { reject } from './module-reader.js';
import type { ModuleShape } from './module-shape.js';
import { Sha256 } from './sha256.js';

/** A compiled module that obeys the static rules of kernel ABI v1. */
export class KernelModule {
  #digest: string | undefined;

  constructor(
    readonly module: WebAssembly.Module,
    readonly shape: ModuleShape,
    /** As they came: what is compiled is instrumented, what a kernel is called by is not. */
    readonly bytes: Uint8Array,
  ) {}

  /** Pages (64 KiB) the kernel's own heap, stack and data need: the minimum of its memory import. */
  get memoryPagesMin(): number {
    return this.shape.memoryPagesMin;
  }

  /** SHA-256 of the kernel's bytes, 64 hexadecimal digits. */
  get digest(): string {
    this.#digest ??= new Sha256().update(this.bytes).hex();
    return this.#digest;
  }
}

/**
 * Checks the bytes against docs/kernel-abi-v1.md, instruments and compiles them. Throws KernelFault(ModuleRejected) with the
 * reason. `bytes` must not change afterwards.
 */
export function compileKernel(bytes: Uint8Array): KernelModule {
  const shape = checkModule(bytes);
  try {
    return new KernelModule(new WebAssembly.Module(instrumentModule(bytes, shape)), shape, bytes);
  } catch (thrown) {
    reject(thrown instanceof Error ? thrown.message : String(thrown));
  }
}
