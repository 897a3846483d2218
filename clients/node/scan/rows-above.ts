import type { CompilePlan } from '../../../pushdown/plan/compiled.js';
import type { PlanOp } from '../../../pushdown/plan/plan.js';
import { planSql } from '../../../pushdown/plan/sql.js';
import { kernelFault } from '../../../pushdown/runtime/fault-error.js';
import { KernelFault } from '../../../pushdown/runtime/kernel-fault.js';
import type { Batch } from '../../../pushdown/types/batch.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import type { Column, DatasetSchema } from '../../../pushdown/types/schema.js';
import { eachCall, userCodeIn } from '../../../pushdown/user/user-code.js';
import type { HostEngines } from '../sql/host-engines.js';
import type { HostFunction } from '../sql/host-function.js';
import { overBatches, schemaOver } from './over-batches.js';

export interface Rows {
  readonly columns: readonly Column[];
  readonly batches: readonly Batch[];
}

export interface AboveContext {
  readonly engines: Pick<HostEngines, 'run'>;
  readonly compile: CompilePlan;
  readonly modules: DatasetSchema['modules'] | undefined;
  readonly signal: AbortSignal | undefined;
}

const table = 'millrace_rows';

/**
 * The operators no scan kernel took, over the rows below them: by DuckDB on the host, but users' functions by kernels over those rows, here;
 * where no kernel takes the operator that calls one, DuckDB asks for the function's rows.
 * @throws MillraceError MR_USER_CODE_PLACE where no kernel takes a user's kernel
 */
export async function rowsAbove(ops: readonly PlanOp[], below: Rows, context: AboveContext): Promise<Rows> {
  if (ops.length === 0) return below;
  const first = ops.findIndex((op) => userCodeIn([op]).length > 0);
  if (first !== 0) {
    const plain = first < 0 ? ops : ops.slice(0, first);
    return rowsAbove(ops.slice(plain.length), await byDuckDB(plain, below, context, []), context);
  }
  const compiled = context.compile({ dataset: table, ops }, schemaOver(table, below.columns, below.batches, context.modules));
  if (compiled.rest.length === ops.length) {
    const [op] = ops;
    if (op && op.kind !== 'kernel') return rowsAbove(ops.slice(1), await byDuckDB([op], below, context, functionsIn(op, context)), context);
    const [name] = userCodeIn(ops.slice(0, 1));
    throw new MillraceError('MR_USER_CODE_PLACE', `${name} runs in kernels only, and none takes it here: ${compiled.decisions[0]?.reason}`, { httpStatus: 422, ...(name === undefined ? {} : { field: name }) });
  }
  const batches: Batch[] = [];
  try {
    for await (const batch of overBatches(compiled, below.batches)) batches.push(batch);
  } catch (error) {
    throw error instanceof KernelFault ? kernelFault(error.fault, `The function failed on the host: ${error.message}.`, error) : error;
  }
  return rowsAbove(compiled.rest, { columns: compiled.output, batches }, context);
}

function byDuckDB(ops: readonly PlanOp[], below: Rows, { engines, signal }: AboveContext, functions: readonly HostFunction[]): Promise<Rows> {
  const sql = planSql({ dataset: table, ops }, { columns: below.columns }, table);
  return engines.run(sql, [{ name: table, rows: { columns: below.columns, columnNames: below.columns.map((column) => column.name), batches: below.batches } }], signal, functions);
}

/** The functions an operator calls, each once: DuckDB asks the host for their rows. */
function functionsIn(op: PlanOp, { modules }: AboveContext): HostFunction[] {
  const found = new Map<string, HostFunction>();
  eachCall([op], ({ name, target }) => {
    if (target && modules) found.set(name, { name, target, modules });
  });
  return [...found.values()];
}
