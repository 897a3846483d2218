import { KernelInstance } from '../../pushdown/runtime/kernel.js';
import { compileKernel, type KernelModule } from '../../pushdown/runtime/kernel-module.js';
import { KernelFault } from '../../pushdown/runtime/kernel-fault.js';
import { GuestFault } from '../../pushdown/runtime/wire.gen.js';
import type { SlotAddon } from './slot-addon.js';

const pageBytes = 65536;
/** Slot-local program numbers are 0 to 7 (kSlotPrograms of native/core/limits.h); the device chooses which to replace. */
const programsMax = 8;
/** Memories kernels take turns in: two, so that two scans whose morsels alternate do not scrub each other away. */
const memoriesMax = 2;
/** To lose the instance of a program that may come again is worth scrubbing so much. */
const lostInstancePages = 256;
/** Input structs of the widest scan, output struct, alignment. */
const structPages = 4;

/** One linear memory with SLM and media mapped over it at an address every kernel's allocator can be brought to. */
interface Bank {
  readonly memory: WebAssembly.Memory;
  readonly number: number;
  running?: { readonly program: number; readonly inputColumns: number; readonly instance: KernelInstance };
  /** It has the slot's stream, and nobody else gets it meanwhile. */
  streaming: boolean;
  /** Pages that kernels declared which were in it since it was scrubbed: what scrubbing it may take. 0: nobody was. */
  touchedPages: number;
  usedAt: number;
}

/**
 * The programs of a slot and the memories they run in. A memory is made once; a kernel that begins in it finds everything
 * but the window reading as zero.
 */
export class SlotPrograms {
  readonly windowAddress: number;
  readonly #banks: readonly Bank[];
  readonly #modules: (KernelModule | undefined)[] = new Array(programsMax).fill(undefined);
  readonly #heapPages: number;
  readonly #windowBytes: number;
  #turn = 0;

  /**
   * view: pieces of the media (offset, bytes) in the window behind the SLM, and the room kept for any view, so that a kernel's state
   * fits every slot of its tenant. Scans see the first scanBytes of the SLM. heapBytesMax: memory of one program beside the window. Half of it lies below the window, for what a kernel declares,
   * half behind, for allocators that go on there.
   */
  constructor(
    readonly addon: SlotAddon,
    slmBytes: number,
    scanBytes: number,
    heapBytesMax: number,
    view: { readonly media: Float64Array; readonly roomBytes: number },
  ) {
    this.#heapPages = Math.floor(heapBytesMax / 2 / pageBytes);
    this.windowAddress = (this.#heapPages + 1) * pageBytes;
    this.#windowBytes = slmBytes + view.roomBytes;
    const pages = this.#heapPages + 1 + Math.ceil(this.#windowBytes / pageBytes) + this.#heapPages + structPages;
    this.#banks = Array.from({ length: memoriesMax }, () => {
      const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
      return { memory, number: addon.overlay(memory.buffer, this.windowAddress, slmBytes, view.media, view.roomBytes, scanBytes), streaming: false, touchedPages: 0, usedAt: 0 };
    });
  }

  /** Compiles a module under the number. Throws KernelFault. */
  load(program: number, bytes: Uint8Array<ArrayBuffer>): void {
    if (program >= programsMax) throw new KernelFault(GuestFault.ModuleRejected, `program number ${program}`);
    this.#modules[program] = undefined;
    this.drop(program);
    const kernel = compileKernel(bytes);
    if (kernel.memoryPagesMin > this.#heapPages) throw new KernelFault(GuestFault.MemoryLimit, `the module declares ${kernel.memoryPagesMin} pages, a slot gives ${this.#heapPages}`);
    this.#modules[program] = kernel;
  }

  has(program: number): boolean {
    return this.#modules[program] !== undefined;
  }

  /** The program's instance, ready for a morsel; what another program left in its memory is scrubbed first. Throws KernelFault. */
  instance(program: number, inputColumns: number): KernelInstance {
    this.#turn++;
    for (const bank of this.#banks)
      if (bank.running?.program === program && bank.running.inputColumns === inputColumns) {
        bank.usedAt = this.#turn;
        return bank.running.instance;
      }
    const bank = this.#emptyBank();
    const instance = this.#instantiate(bank, program, inputColumns);
    bank.running = { program, inputColumns, instance };
    return instance;
  }

  /** A fresh instance for the slot's stream, in a memory that no other program gets before endStream(). Throws KernelFault. */
  streamInstance(program: number, inputColumns: number): KernelInstance {
    this.#turn++;
    const bank = this.#emptyBank();
    bank.streaming = true;
    return this.#instantiate(bank, program, inputColumns);
  }

  endStream(): void {
    for (const bank of this.#banks) bank.streaming = false;
  }

  /** A memory that may be used, scrubbed: the one for which that takes least (256 MiB take 12 ms), of equal ones that used longest ago. */
  #emptyBank(): Bank {
    const cost = (b: Bank) => b.touchedPages + (b.running ? lostInstancePages : 0);
    const bank = this.#banks.filter((b) => !b.streaming).reduce((a, b) => ((cost(b) - cost(a) || b.usedAt - a.usedAt) < 0 ? b : a));
    delete bank.running;
    bank.usedAt = this.#turn;
    if (bank.touchedPages > 0) this.addon.scrub(bank.number);
    bank.touchedPages = 0;
    return bank;
  }

  #instantiate(bank: Bank, program: number, inputColumns: number): KernelInstance {
    // Also when it fails: its start may have written already.
    bank.touchedPages = Math.max(1, (this.#modules[program] as KernelModule).memoryPagesMin);
    return new KernelInstance(this.#modules[program] as KernelModule, { windowBytes: this.#windowBytes, inputColumns, shared: { memory: bank.memory, windowAddress: this.windowAddress, clear: () => this.addon.scrub(bank.number) } });
  }

  /** There is a memory nobody is in that would have to be scrubbed first. */
  get untidy(): boolean {
    return this.#banks.some((b) => b.touchedPages > 0 && !b.running && !b.streaming);
  }

  /** Scrubs it, while there is nothing else to do. */
  tidy(): void {
    const bank = this.#banks.find((b) => b.touchedPages > 0 && !b.running && !b.streaming);
    if (!bank) return;
    this.addon.scrub(bank.number);
    bank.touchedPages = 0;
  }

  /** After a fault or a stop a program's state may be anything: its next morsel begins with a fresh instance. */
  drop(program: number): void {
    for (const bank of this.#banks)
      if (bank.running?.program === program) {
        delete bank.running;
        bank.usedAt = 0;
      }
  }
}
