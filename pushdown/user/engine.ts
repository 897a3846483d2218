import { reject } from '../runtime/module-reader.js';

/** The engine's compiler. Throws KernelFault(ModuleRejected) with what it says. */
export function compileEngine(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module {
  try {
    return new WebAssembly.Module(bytes);
  } catch (thrown) {
    return reject(thrown instanceof Error ? thrown.message : String(thrown));
  }
}
