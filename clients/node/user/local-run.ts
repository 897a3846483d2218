import type { Plan } from '../../../pushdown/plan/plan.js';
import { KernelInstance, loadedBytes } from '../../../pushdown/runtime/kernel.js';
import type { Batch } from '../../../pushdown/types/batch.js';
import type { Column, DatasetSchema } from '../../../pushdown/types/schema.js';
import { compilePlan } from '../../../pushdown/wasm/compile-plan.js';
import { invariant } from '../../../pushdown/types/error.js';
import { batchOf } from '../scan/kernel-batch.js';
import { moduleOf } from '../scan/kernel-pool.js';
import { merged } from '../scan/merge.js';
import type { FinishedMorsel } from '../scan/morsel-order.js';
import { resolvePlan } from './resolve-plan.js';
import type { UserCode } from './user-code.js';

export interface LocalRun {
  readonly columns: readonly Column[];
  /** The scan kernel: the same bytes a slot would run. */
  readonly wasm: Uint8Array<ArrayBuffer>;
  readonly batches: AsyncIterable<Batch>;
}

/**
 * Runs a plan over batches that are no dataset, here: each batch is one morsel, and kernels are those a slot would run.
 * @throws MillraceError MR_PLAN_*, MR_KERNEL_*; KernelFault out of the iteration
 */
export async function runLocal(plan: Plan, columns: readonly Column[], batches: readonly Batch[], code: UserCode | undefined): Promise<LocalRun> {
  const { plan: resolved, modules } = await resolvePlan(plan, code);
  const schema: DatasetSchema = {
    name: plan.dataset, columns, rows: batches.reduce((rows, b) => rows + b.rows, 0), rowGroups: batches.length, rowGroupRowsMax: Math.max(1, ...batches.map((b) => b.rows)), ...(modules && { modules }),
  };
  const compiled = compilePlan(resolved, schema);
  invariant(compiled.rest.length === 0, 'a plan over loose batches is filters, projections and a kernel');
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
  return { columns: compiled.output, wasm: scan.wasm, batches: merged(compiled, morsels()) };
}
