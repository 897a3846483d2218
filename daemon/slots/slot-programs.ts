import { KernelInstance } from '../../pushdown/runtime/kernel.js';
import { compileKernel, type KernelModule } from '../../pushdown/runtime/kernel-module.js';
import { KernelFault } from '../../pushdown/runtime/kernel-fault.js';
import { GuestFault } from '../../pushdown/runtime/wire.gen.js';
import type { SlotAddon } from './slot-addon.js';

const pageBytes = 65536;
/** Slot-local program numbers are 0 to 7 (kSlotPrograms of native/core/limits.h); the device chooses which to replace. */
const programsMax = 8;
/** Input structs of the widest scan, output struct, alignment. */
const structPages = 4;

/**
 * The programs of a slot and the one memory they run in. The SLM is mapped over that memory once, at an address every
 * kernel's allocator can be brought to; kernels take turns in what is left, and it reads as zero whenever one begins anew.
 */
export class SlotPrograms {
  readonly windowAddress: number;
  readonly #memory: WebAssembly.Memory;
  readonly #modules: (KernelModule | undefined)[] = new Array(programsMax).fill(undefined);
  #running: { readonly program: number; readonly inputColumns: number; readonly instance: KernelInstance } | undefined;

  /** Below the window lies what a kernel declares, behind it the same again, for allocators that go on there. */
  constructor(
    readonly addon: SlotAddon,
    readonly slmBytes: number,
    readonly heapBytesMax: number,
  ) {
    const heapPages = Math.ceil(heapBytesMax / pageBytes);
    this.windowAddress = (heapPages + 1) * pageBytes;
    const pages = heapPages + 1 + Math.ceil(slmBytes / pageBytes) + heapPages + structPages;
    this.#memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    addon.overlay(this.#memory.buffer, this.windowAddress, slmBytes);
  }

  /** Compiles a module under the number. Throws KernelFault. */
  load(program: number, bytes: Uint8Array<ArrayBuffer>): void {
    if (program >= programsMax) throw new KernelFault(GuestFault.ModuleRejected, `program number ${program}`);
    this.#modules[program] = undefined;
    if (this.#running?.program === program) this.#running = undefined;
    const kernel = compileKernel(bytes);
    if (kernel.memoryPagesMin * pageBytes > this.heapBytesMax) throw new KernelFault(GuestFault.MemoryLimit, `the module wants ${kernel.memoryPagesMin} pages, a slot gives ${this.heapBytesMax} bytes`);
    this.#modules[program] = kernel;
  }

  has(program: number): boolean {
    return this.#modules[program] !== undefined;
  }

  /** The program's instance, ready for a morsel; another program's state is scrubbed away first. Throws KernelFault. */
  instance(program: number, inputColumns: number): KernelInstance {
    const running = this.#running;
    if (running?.program === program && running.inputColumns === inputColumns) return running.instance;
    this.#running = undefined;
    this.addon.scrub();
    const instance = new KernelInstance(this.#modules[program] as KernelModule, { windowBytes: this.slmBytes, inputColumns, shared: { memory: this.#memory, windowAddress: this.windowAddress } });
    this.#running = { program, inputColumns, instance };
    return instance;
  }

  /** After a fault or a stop the state may be anything: the next morsel begins with a fresh instance. */
  drop(): void {
    this.#running = undefined;
  }
}
