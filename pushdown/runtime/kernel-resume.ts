import { readCheckpoint } from './checkpoint.js';
import { KernelFault } from './kernel-fault.js';
import { KernelInstance } from './kernel.js';
import type { KernelModule } from './kernel-module.js';
import { GuestFault } from './wire.gen.js';

/**
 * A stream goes on here: an instance in a memory of the geometry its checkpoint names, in the state it holds. What was taken in a slot
 * is so resumed in a client, whose memory is otherwise smaller; pages nobody writes cost nothing. Throws MR_CHECKPOINT_INVALID,
 * MR_CHECKPOINT_MISMATCH, KernelFault.
 */
export function resumeKernel(kernel: KernelModule, checkpoint: Uint8Array): KernelInstance {
  const { memoryPages, windowAddress, windowBytes, windowPlacement, inputColumns } = readCheckpoint(checkpoint);
  const instance = new KernelInstance(kernel, { windowBytes, inputColumns, ...(windowPlacement === 1 ? { shared: { memory: memoryOf(memoryPages), windowAddress } } : {}) });
  const restore = instance.restore();
  restore.push(checkpoint);
  restore.end();
  return instance;
}

function memoryOf(pages: number): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages });
  } catch (thrown) {
    throw new KernelFault(GuestFault.MemoryLimit, `a memory of ${pages} pages cannot be had: ${String(thrown)}`);
  }
}
