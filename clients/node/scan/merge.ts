import type { CompiledPlan, Merge } from '../../../pushdown/plan/compiled.js';
import { KernelInstance } from '../../../pushdown/runtime/kernel.js';
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

const idle = new KernelPool<KernelInstance>();

async function* folded(merge: Extract<Merge, { kind: 'kernel' }>, outputBytesMax: number, morsels: AsyncIterable<FinishedMorsel>): AsyncGenerator<Batch, void, void> {
  const { wasm, input, output: columns } = merge;
  const windowBytes = Math.max(outputBytesMax, 65536);
  const used = idle.take(wasm, windowBytes);
  used?.reset();
  const kernel = used ?? new KernelInstance(moduleOf(wasm), { windowBytes, inputColumns: input.length });
  for await (const { batches } of morsels)
    for (const batch of batches) for (const output of kernel.processBatch(batch.rows, batch.data)) if (output.rows > 0) yield batchOf(output, columns);
  for (const output of kernel.finish()) if (output.rows > 0) yield batchOf(output, columns);
  idle.give(wasm, windowBytes, kernel);
}
