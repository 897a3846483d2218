import type { Plan } from '../../../pushdown/plan/plan.js';
import type { Batch } from '../../../pushdown/types/batch.js';
import type { Column } from '../../../pushdown/types/schema.js';
import { compilePlan } from '../../../pushdown/wasm/compile-plan.js';
import { overBatches, schemaOver } from '../scan/over-batches.js';
import { rowsAbove } from '../scan/rows-above.js';
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
  const compiled = compilePlan(resolved, schemaOver(plan.dataset, columns, batches, modules));
  const rows = overBatches(compiled, batches);
  if (compiled.rest.length === 0) return { columns: compiled.output, wasm: compiled.scan.wasm, batches: rows };
  const below: Batch[] = [];
  for await (const batch of rows) below.push(batch);
  const engines = { run: () => Promise.reject(new Error('invariant broken: what no kernel takes does not come here')) };
  const above = await rowsAbove(compiled.rest, { columns: compiled.output, batches: below }, { engines, compile: compilePlan, modules, signal: undefined });
  async function* given(): AsyncGenerator<Batch> { yield* above.batches; }
  return { columns: above.columns, wasm: compiled.scan.wasm, batches: given() };
}
