import type { Expr } from '../expr/expr.js';
import type { Merge, ScanKernel } from '../plan/compiled.js';
import type { NamedExpr, PlanOp } from '../plan/plan.js';
import { kernelInputs, naturalPhysical, opSchema } from '../plan/schema.js';
import { MillraceError } from '../types/error.js';
import type { LogicalType } from '../types/logical.js';
import type { Column, DatasetSchema } from '../types/schema.js';
import { castNode } from '../wasm/lower-cast.js';
import { Lowering } from '../wasm/lower.js';
import type { OutputPlan } from '../wasm/output-columns.js';
import { Unsupported } from '../wasm/unsupported.js';
import { composeMerge, composeScan } from './compose.js';
import { linkedAlone } from './link-modules.js';

type KernelOp = Extract<PlanOp, { kind: 'kernel' }>;

/** The user's kernel over the rows of `predicate` and `columns`, and its merge. */
export function compileKernelOp(op: KernelOp, predicate: Expr | undefined, columns: readonly NamedExpr[], dataset: DatasetSchema): { scan: ScanKernel; merge: Merge; output: readonly Column[] } {
  const { target } = op;
  const user = target && dataset.modules?.get(target.digest);
  if (!target || !user) throw new MillraceError('MR_KERNEL_NOT_FOUND', `the module of the kernel ${op.name} is not loaded`, { field: op.name, httpStatus: 404 });
  const lowering = new Lowering(dataset, user);
  const types = kernelInputs(target, opSchema({ kind: 'project', columns }, dataset, op.name).columns);
  const filter = predicate && lowering.lower(predicate);
  const outputs = columns.map((column, i) => inputColumn(column, types[i]!, lowering)); // one type each
  lowering.readSomething();
  const params = new TextEncoder().encode(op.params);
  const rowsMax = Math.max(1, dataset.rowGroupRowsMax);
  const wasm = composeScan({ inputs: lowering.inputColumns, predicate: filter, outputs, limit: undefined, rowsMax }, lowering.base ?? linkedAlone(user), params);
  const scan: ScanKernel = { wasm, inputColumns: lowering.inputs, output: target.output, outputBytesMaxPerMorsel: 0 };
  const merge: Merge = target.merged ? { kind: 'kernel', wasm: composeMerge(user, params), input: target.output, output: target.merged } : { kind: 'concat', offset: 0 };
  return { scan, merge, output: target.merged ?? target.output };
}

/** A column as the kernel takes it: of that type, in the type's natural width, text as text. */
function inputColumn({ name, expr }: NamedExpr, type: LogicalType, lowering: Lowering): OutputPlan {
  const physical = naturalPhysical(type);
  const lowered = lowering.lower(expr);
  if (type.kind === 'utf8' && lowered.type.kind !== 'utf8') throw new Unsupported(`cast of ${lowered.type.kind} to utf8`);
  const node = type.kind === 'utf8' ? lowered : castNode(lowered, type);
  const column: Column = { name, type, physical, nullable: node.nullable };
  if (node.op === 'column') {
    const stored = lowering.inputColumns[node.input];
    if (stored?.physical === physical) return { column, source: { kind: 'stored', input: node.input } };
  }
  return { column, source: { kind: 'computed', node } };
}
