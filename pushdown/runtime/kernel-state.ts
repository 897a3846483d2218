import { MillraceError } from '../types/error.js';
import { type Checkpoint, type CheckpointGlobalValue, checkpointPageBytes, type KernelGeometry } from './checkpoint.js';
import { globalBits } from './global-bits.js';
import { globalExportName } from './module-instrument.js';
import type { MutableGlobal } from './module-shape.js';

function mismatch(detail: string): never {
  throw new MillraceError('MR_CHECKPOINT_MISMATCH', `the checkpoint does not fit here: ${detail}`);
}

/** All the state an instance has: the pages of its memory outside the window, and its mutable globals. */
export class KernelState {
  readonly #words: Int32Array;
  readonly #windowFrom: number;
  readonly #windowTo: number;
  #globalsSet = 0;

  constructor(
    readonly memory: Uint8Array,
    windowAddress: number,
    windowBytes: number,
    readonly exports: Readonly<Record<string, unknown>>,
    readonly mutableGlobals: readonly MutableGlobal[],
  ) {
    this.#words = new Int32Array(memory.buffer, memory.byteOffset, memory.byteLength / 4);
    this.#windowFrom = windowAddress;
    // What lies between the window's end and the next page was given by alloc with it: nobody keeps anything there.
    this.#windowTo = Math.ceil((windowAddress + windowBytes) / checkpointPageBytes) * checkpointPageBytes;
  }

  /** Addresses of the pages that are not all zero, ascending. Pages that are, are only read: they cost no memory. */
  pages(): number[] {
    const found: number[] = [];
    for (let address = 0; address < this.memory.length; address += checkpointPageBytes) {
      if (address === this.#windowFrom) address = this.#windowTo;
      if (address < this.memory.length && !this.#isZero(address)) found.push(address);
    }
    return found;
  }

  globals(): CheckpointGlobalValue[] {
    return this.mutableGlobals.map(({ index, type }) => {
      const bits = globalBits(this.exports[globalExportName(index)] as WebAssembly.Global, type);
      return { index, valueType: type, low: bits.low(), high: bits.high() };
    });
  }

  /** Throws MR_CHECKPOINT_MISMATCH unless the checkpoint is of this kernel in a place like this one. */
  expect(checkpoint: Checkpoint, here: KernelGeometry, digest: string): void {
    if (checkpoint.digest !== digest) mismatch(`it is of kernel sha256:${checkpoint.digest}, this is sha256:${digest}`);
    for (const [field, value] of Object.entries(here) as [keyof KernelGeometry, number][]) if (checkpoint[field] !== value) mismatch(`its ${field} is ${checkpoint[field]}, here it is ${value}`);
    if (checkpoint.globalCount !== this.mutableGlobals.length) mismatch(`it has ${checkpoint.globalCount} globals, the kernel ${this.mutableGlobals.length}`);
  }

  setGlobal({ index, valueType, low, high }: CheckpointGlobalValue): void {
    const wanted = this.mutableGlobals[this.#globalsSet++];
    if (wanted?.index !== index || wanted.type !== valueType) mismatch(`global ${index} of type 0x${valueType.toString(16)} is not the kernel's`);
    globalBits(this.exports[globalExportName(index)] as WebAssembly.Global, valueType).set(low, high);
  }

  /** Everything outside the window reads as zero. */
  clear(): void {
    for (const address of this.pages()) this.memory.fill(0, address, address + checkpointPageBytes);
  }

  page(address: number): Uint8Array {
    if (address > this.memory.length - checkpointPageBytes) mismatch(`a page at ${address} lies outside the memory`);
    if (address >= this.#windowFrom && address < this.#windowTo) mismatch(`a page at ${address} lies in the window`);
    return this.memory.subarray(address, address + checkpointPageBytes);
  }

  #isZero(address: number): boolean {
    const w = this.#words;
    const end = (address + checkpointPageBytes) / 4;
    // Eight words a turn: most of a slot's memory is pages nobody wrote, and all of them are looked at.
    for (let i = address / 4; i < end; i += 8)
      if (((w[i] as number) | (w[i + 1] as number) | (w[i + 2] as number) | (w[i + 3] as number) | (w[i + 4] as number) | (w[i + 5] as number) | (w[i + 6] as number) | (w[i + 7] as number)) !== 0) return false;
    return true;
  }
}
