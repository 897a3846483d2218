import type { Plan } from '../../../pushdown/plan/plan.js';
import { resolvePlan } from '../user/resolve-plan.js';
import type { ExecuteContext } from './execute.js';
import { explainPrepared } from './explain.js';
import { type Prepared, prepare } from './prepare.js';

/** What running a plan would take, from the catalog alone: nothing of the dataset's rows is read. */
export interface PlanEstimate {
  readonly dataset: string;
  /** Columns the kernel reads. */
  readonly columns: readonly string[];
  /** Row groups and their rows that zone maps leave over. */
  readonly rowGroups: number;
  readonly rowGroupsPruned: number;
  readonly rows: number;
  /** Operators beside the data, scan first, and those left to the host. */
  readonly pushed: readonly string[];
  readonly host: readonly string[];
  /** Bytes of the column chunks: what the device reads, and what crosses the link where the host pulls. */
  readonly chunkBytes: number;
  /** Bytes of the whole dataset: what a client without pushdown and pruning fetches. */
  readonly datasetBytes: number;
}

export async function estimatePlan(context: ExecuteContext, plan: Plan): Promise<PlanEstimate> {
  context.views.forget(plan.dataset);
  const prepared = await prepare(await resolvePlan(plan, context.userCode), await context.views.get(plan.dataset), context.compile);
  const { view, inputs, rowGroups } = prepared;
  const operators = explainPrepared(prepared, 'always');
  const named = ({ op, info }: { readonly op: string; readonly info: string }) => `${op}: ${info}`;
  return {
    dataset: plan.dataset,
    columns: inputs.map((c) => c.name),
    rowGroups: rowGroups.length,
    rowGroupsPruned: view.layout.rowGroups - rowGroups.length,
    rows: rowGroups.reduce((rows, g) => rows + view.layout.rows(g), 0),
    pushed: operators.filter((o) => o.where === 'device').reverse().map(named),
    host: operators.filter((o) => o.where === 'host').reverse().map(named),
    chunkBytes: chunkBytesOf(prepared),
    datasetBytes: view.info.storedBytes,
  };
}

/** Bytes of the column chunks the plan reads, in the row groups that zone maps leave over. */
export function chunkBytesOf({ view, compiled, inputs, rowGroups }: Prepared): number {
  let bytes = 0;
  for (const [i, column] of compiled.scan.inputColumns.entries())
    for (const rowGroup of rowGroups) for (const buffer of view.layout.chunk(column, rowGroup, inputs[i]?.physical === 'utf8').buffers) bytes += buffer.bytes;
  return bytes;
}
