import type { CompiledPlan, Merge } from '../../../pushdown/plan/compiled.js';
import { kernelFault } from '../../../pushdown/runtime/fault-error.js';
import { KernelFault } from '../../../pushdown/runtime/kernel-fault.js';
import { KernelInstance, loadedBytes } from '../../../pushdown/runtime/kernel.js';
import type { Batch } from '../../../pushdown/types/batch.js';
import { rowsOf } from '../result/row-slice.js';
import { batchOf } from './kernel-batch.js';
import { KernelPool, moduleOf } from './kernel-pool.js';
import type { FinishedMorsel } from './morsel-order.js';

/** Folds morsels, in order, into the rows of the result. Leaving early is leaving the morsels early. */
export function merged(compiled: CompiledPlan, morsels: AsyncIterable<FinishedMorsel>): AsyncGenerator<Batch, void, void> {
  const { merge } = compiled;
  return merge.kind === 'concat' ? concatenated(merge, morsels) : folded(merge, compiled.scan.outputBytesMaxPerMorsel, morsels);
}

async function* concatenated({ offset, limit }: Extract<Merge, { kind: 'concat' }>, morsels: AsyncIterable<FinishedMorsel>): AsyncGenerator<Batch, void, void> {
  let skip = offset;
  let left = limit ?? Number.POSITIVE_INFINITY;
  if (left === 0) return;
  for await (const { batches } of morsels)
    for (const batch of batches) {
      const from = Math.min(skip, batch.rows);
      const to = Math.min(batch.rows, from + left);
      skip -= from;
      if (to === from) continue;
      left -= to - from;
      yield rowsOf(batch, from, to);
      if (left === 0) return;
    }
}

/** What one call of a user's merge takes, where its kernels' output has no bound of its own. */
const mergeWindowBytes = 32 << 20;

const idle = new KernelPool<KernelInstance>();

async function* folded(merge: Extract<Merge, { kind: 'kernel' }>, outputBytesMax: number, morsels: AsyncIterable<FinishedMorsel>): AsyncGenerator<Batch, void, void> {
  try {
    yield* foldedBy(merge, outputBytesMax, morsels);
  } catch (error) {
    throw error instanceof KernelFault ? kernelFault(error.fault, `The merge of the kernel failed on the host: ${error.message}.`, error) : error;
  }
}

async function* foldedBy(merge: Extract<Merge, { kind: 'kernel' }>, outputBytesMax: number, morsels: AsyncIterable<FinishedMorsel>): AsyncGenerator<Batch, void, void> {
  const { wasm, input, output: columns } = merge;
  const windowBytes = outputBytesMax === 0 ? mergeWindowBytes : Math.max(outputBytesMax, 65536);
  const used = idle.take(wasm, windowBytes);
  used?.reset();
  const kernel = used ?? new KernelInstance(moduleOf(wasm), { windowBytes, inputColumns: input.length });
  for await (const { batches } of morsels)
    for (const batch of batches)
      for (const part of fitting(batch, windowBytes)) for (const output of kernel.processBatch(part.rows, part.data)) if (output.rows > 0) yield batchOf(output, columns);
  for (const output of kernel.finish()) if (output.rows > 0) yield batchOf(output, columns);
  idle.give(wasm, windowBytes, kernel);
}

/** The batch in parts that fit the window. A merge takes rows one after another: where they are cut makes no difference. */
function* fitting(batch: Batch, windowBytes: number): Generator<Batch> {
  if (batch.rows < 2 || loadedBytes(batch.data) <= windowBytes) {
    yield batch;
    return;
  }
  const middle = Math.ceil(batch.rows / 16) * 8;
  const cut = middle < batch.rows ? middle : 1;
  yield* fitting(rowsOf(batch, 0, cut), windowBytes);
  yield* fitting(rowsOf(batch, cut, batch.rows), windowBytes);
}
