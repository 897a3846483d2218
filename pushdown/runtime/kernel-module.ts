import { reject } from './module-reader.js';
import { checkModule, type ModuleShape } from './module-check.js';

/** A compiled module that obeys the static rules of kernel ABI v1. */
export interface KernelModule {
  readonly module: WebAssembly.Module;
  /** Pages (64 KiB) the kernel's own heap, stack and data need: the minimum of its memory import. */
  readonly memoryPagesMin: number;
  readonly shape: ModuleShape;
}

const exportsWanted = ['alloc', 'release_fn', 'schema', 'reset', 'process', 'finish'] as const;

/**
 * Checks the bytes against docs/kernel-abi-v1.md and compiles them. Throws KernelFault(ModuleRejected) with the reason.
 * The import's limits are read from the bytes: the JavaScript API does not tell them.
 */
export function compileKernel(bytes: Uint8Array<ArrayBuffer>): KernelModule {
  const shape = checkModule(bytes);
  let module: WebAssembly.Module;
  try {
    module = new WebAssembly.Module(bytes);
  } catch (thrown) {
    reject(thrown instanceof Error ? thrown.message : String(thrown));
  }
  const functions = new Set(WebAssembly.Module.exports(module).filter((e) => e.kind === 'function').map((e) => e.name));
  for (const name of exportsWanted) if (!functions.has(name)) reject(`the function '${name}' is not exported`);
  return { module, memoryPagesMin: shape.memoryPagesMin, shape };
}
