import type { CompiledPlan } from '../../pushdown/plan/compiled.js';
import type { Plan } from '../../pushdown/plan/plan.js';
import { decodeBatch } from '../../pushdown/reference/decode.js';
import type { Row } from '../../pushdown/reference/evaluate.js';
import { encodeBatch } from '../../pushdown/reference/encode.js';
import { type Rows, runReference } from '../../pushdown/reference/run.js';
import { compileKernel } from '../../pushdown/runtime/kernel-module.js';
import { KernelInstance, loadedBytes } from '../../pushdown/runtime/kernel.js';
import type { KernelOutput } from '../../pushdown/runtime/kernel-output.js';
import type { Batch } from '../../pushdown/types/batch.js';
import type { Column } from '../../pushdown/types/schema.js';
import { compilePlan } from '../../pushdown/wasm/compile-plan.js';
import type { Data } from './data.js';
import type { Executor } from './executor.js';
import type { Random } from './random.js';

/**
 * The generated kernels as a device and a host would run them: morsels in any order, spread over several instances, their
 * frames merged in morsel order; what no kernel took, by the reference.
 */
export class KernelExecutor implements Executor {
  readonly name = 'kernels';
  readonly rule = 'bits';
  /** Plans by how much of them kernels took. */
  readonly counts = { whole: 0, cut: 0 };
  readonly refused = new Map<string, number>();

  constructor(readonly random: Random) {}

  async run(plan: Plan, data: Data): Promise<Rows & { readonly rule?: 'sql' }> {
    const compiled = compilePlan(plan, data.schema);
    const rows = this.#merge(compiled, this.#scan(compiled, data));
    this.counts[compiled.rest.length === 0 ? 'whole' : 'cut']++;
    if (compiled.rest.length === 0) return { columns: compiled.output, rows };
    for (const d of compiled.decisions) if (d.support === 'unsupported') this.refused.set(d.reason, (this.refused.get(d.reason) ?? 0) + 1);
    const result = runReference({ dataset: plan.dataset, ops: compiled.rest }, { columns: compiled.output }, [encodeBatch(compiled.output, rows)]);
    // Above the merge there are no row groups: float sums have another order there.
    return compiled.rest.some((op) => op.kind === 'aggregate') ? { ...result, rule: 'sql' } : result;
  }

  /** Output batches of every morsel, by morsel. */
  #scan({ scan }: CompiledPlan, data: Data): Batch[][] {
    const inputs = data.rowGroups.map((g) => scan.inputColumns.map((c) => g.data[c]!));
    const windowBytes = Math.max(4096, ...inputs.map(loadedBytes));
    const module = compileKernel(scan.wasm);
    const instances = Array.from({ length: 2 }, () => new KernelInstance(module, { windowBytes, inputColumns: scan.inputColumns.length }));
    const order = data.rowGroups.map((_, i) => i).sort(() => (this.random.chance(0.5) ? 1 : -1));
    const frames: Batch[][] = data.rowGroups.map(() => []);
    for (const morsel of order) {
      const kernel = this.random.pick(instances);
      for (const output of kernel.runMorsel(data.rowGroups[morsel]!.rows, kernel.loadBatch(inputs[morsel]!))) frames[morsel]!.push(copyOf(output, scan.output));
    }
    return frames;
  }

  #merge({ merge, scan }: CompiledPlan, frames: readonly (readonly Batch[])[]): Row[] {
    if (merge.kind === 'concat') return frames.flat().flatMap(decodeBatch).slice(merge.offset, merge.limit === undefined ? undefined : merge.offset + merge.limit);
    const kernel = new KernelInstance(compileKernel(merge.wasm), { windowBytes: Math.max(65536, scan.outputBytesMaxPerMorsel), inputColumns: merge.input.length });
    const rows: Row[] = [];
    const take = (output: KernelOutput) => rows.push(...decodeBatch(copyOf(output, merge.output)));
    for (const batch of frames.flat()) for (const output of kernel.processBatch(batch.rows, batch.data)) take(output);
    for (const output of kernel.finish()) take(output);
    return rows;
  }
}

function copyOf(output: KernelOutput, columns: readonly Column[]): Batch {
  const copy = (bytes: Uint8Array) => bytes.slice();
  return {
    rows: output.rows,
    columns,
    data: output.data.map((d, i) => ({ validity: d.validity && columns[i]?.nullable ? copy(d.validity) : null, offsets: d.offsets && d.offsets.slice(), data: copy(d.data) })),
  };
}
