import type { ScanKernel } from '../../../pushdown/plan/compiled.js';
import { KernelFault } from '../../../pushdown/runtime/kernel-fault.js';
import type { Frame } from '../../../pushdown/runtime/frame-read.js';
import { GuestFault } from '../../../pushdown/runtime/wire.gen.js';
import { KernelInstance } from '../../../pushdown/runtime/kernel.js';
import type { Batch, ColumnData } from '../../../pushdown/types/batch.js';
import type { Column } from '../../../pushdown/types/schema.js';
import { batchOf } from './kernel-batch.js';
import { KernelPool, moduleOf } from './kernel-pool.js';

const idle = new KernelPool<HostKernel>();

/** The scan kernel on the host: the same bytes as in a slot, over pulled chunks. */
export class HostKernel {
  readonly #scan: ScanKernel;
  readonly #inputs: readonly Column[];
  readonly #instance: KernelInstance;

  /** An idle one of the same module, or a new one. windowBytes: the largest morsel's buffers, each padded to 64 B. */
  static take(scan: ScanKernel, inputs: readonly Column[], windowBytes: number): HostKernel {
    return idle.take(scan.wasm, windowBytes) ?? new HostKernel(scan, inputs, windowBytes);
  }

  private constructor(scan: ScanKernel, inputs: readonly Column[], windowBytes: number) {
    this.#scan = scan;
    this.#inputs = inputs;
    this.#instance = new KernelInstance(moduleOf(scan.wasm), { windowBytes, inputColumns: inputs.length });
  }

  /** For the next run. Not after a fault. */
  giveBack(): void {
    idle.give(this.#scan.wasm, this.#instance.windowBytes, this);
  }

  /** Runs one morsel; the batches are copies. Throws KernelFault. */
  run(chunks: Frame): Batch[] {
    const pointers = this.#instance.loadBatch(chunkData(chunks, this.#inputs));
    const batches: Batch[] = [];
    for (const output of this.#instance.runMorsel(chunks.rows, pointers)) batches.push(batchOf(output, this.#scan.output));
    return batches;
  }
}

/** The buffers of a Chunks frame as these columns lie in it. */
export function chunkData(chunks: Frame, columns: readonly Pick<Column, 'physical'>[]): ColumnData[] {
  let next = 0;
  const take = (): Uint8Array => {
    const buffer = chunks.buffers[next++];
    // Sizes need no check here: the guest's memory bounds whatever a wrong one leads to.
    if (!buffer) throw new KernelFault(GuestFault.AbiViolation, `a chunk frame of ${chunks.buffers.length} buffers`);
    return buffer;
  };
  return columns.map((column) => {
    const validity = take();
    const offsets = column.physical === 'utf8' ? take() : null;
    const data = take();
    return { validity: validity.byteLength === 0 ? null : validity, offsets: offsets && new Int32Array(offsets.buffer, offsets.byteOffset, offsets.byteLength >> 2), data };
  });
}
