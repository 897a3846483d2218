import type { CompilePlan, CompiledPlan } from '../../../pushdown/plan/compiled.js';
import type { Plan } from '../../../pushdown/plan/plan.js';
import { pruneRowGroups } from '../../../pushdown/split/prune.js';
import type { Column, DatasetSchema } from '../../../pushdown/types/schema.js';
import type { ResolvedPlan } from '../user/resolve-plan.js';
import type { DatasetView } from './dataset-view.js';

/** A plan compiled against one version of its dataset. */
export interface Prepared {
  readonly plan: Plan;
  readonly view: DatasetView;
  readonly schema: DatasetSchema;
  readonly compiled: CompiledPlan;
  readonly inputs: readonly Column[];
  /** What zone maps left over; morsel i is rowGroups[i]. */
  readonly rowGroups: readonly number[];
}

export async function prepare({ plan, modules }: ResolvedPlan, view: DatasetView, compile: CompilePlan): Promise<Prepared> {
  const schema: DatasetSchema = { ...(await view.schemaFor(plan)), ...(modules && { modules }) };
  const compiled = compile(plan, schema);
  const inputs = compiled.scan.inputColumns.map((index) => schema.columns[index]!); // the compiler names columns of this schema
  return { plan, view, schema, compiled, inputs, rowGroups: pruneRowGroups(compiled.scan.prune, view.layout.bytes, schema) };
}

/** Bytes of the largest morsel's buffers as they lie in a kernel's window, each padded to 64 B. */
export function windowBytesOf({ view, compiled, inputs, rowGroups }: Prepared): number {
  let most = 64;
  for (const rowGroup of rowGroups) {
    let bytes = 0;
    for (const [i, column] of compiled.scan.inputColumns.entries())
      for (const buffer of view.layout.chunk(column, rowGroup, inputs[i]!.physical === 'utf8').buffers) bytes += (buffer.bytes + 63) & ~63; // same length
    most = Math.max(most, bytes);
  }
  return most;
}
