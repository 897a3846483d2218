import type { CompiledPlan } from '../../../pushdown/plan/compiled.js';
import { KernelInstance, loadedBytes } from '../../../pushdown/runtime/kernel.js';
import type { Batch } from '../../../pushdown/types/batch.js';
import type { Column, DatasetSchema } from '../../../pushdown/types/schema.js';
import { batchOf } from './kernel-batch.js';
import { moduleOf } from './kernel-pool.js';
import { merged } from './merge.js';
import type { FinishedMorsel } from './morsel-order.js';

/** Batches as a dataset of which each is a row group. */
export function schemaOver(name: string, columns: readonly Column[], batches: readonly Batch[], modules: DatasetSchema['modules'] | undefined): DatasetSchema {
  return { name, columns, rows: batches.reduce((rows, b) => rows + b.rows, 0), rowGroups: batches.length, rowGroupRowsMax: Math.max(1, ...batches.map((b) => b.rows)), ...(modules && { modules }) };
}

/** Runs a plan compiled for schemaOver() these batches, here: each is one morsel, and kernels are those a slot would run. Throws KernelFault. */
export function overBatches(compiled: CompiledPlan, batches: readonly Batch[]): AsyncGenerator<Batch, void, void> {
  const { scan } = compiled;
  const inputs = (batch: Batch) => scan.inputColumns.map((c) => batch.data[c]!); // the compiler names columns of this schema
  const windowBytes = Math.max(4096, ...batches.map((b) => loadedBytes(inputs(b))));
  async function* morsels(): AsyncGenerator<FinishedMorsel> {
    const kernel = new KernelInstance(moduleOf(scan.wasm), { windowBytes, inputColumns: scan.inputColumns.length });
    for (const [morsel, batch] of batches.entries()) {
      const out: Batch[] = [];
      for (const output of kernel.runMorsel(batch.rows, kernel.loadBatch(inputs(batch)))) if (output.rows > 0) out.push(batchOf(output, scan.output));
      yield { morsel, batches: out, bytes: 0 };
    }
  }
  return merged(compiled, morsels());
}
