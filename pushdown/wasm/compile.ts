import type { Expr } from '../expr/expr.js';
import type { ScanKernel } from '../plan/compiled.js';
import type { NamedExpr, PlanOp } from '../plan/plan.js';
import type { DatasetSchema } from '../types/schema.js';
import { Lowering } from './lower.js';
import { planOutput } from './output-columns.js';
import { emitRowScan } from './scan-rows.js';
import { substitute } from './substitute.js';
import { Unsupported } from './unsupported.js';

/** A chain of filters, projections and at most one limit on top, as one filter and one projection over the dataset's columns. */
export interface RowShape {
  readonly predicate: Expr | undefined;
  readonly columns: readonly NamedExpr[];
  /** Rows wanted of the whole scan, offset included. */
  readonly limitRows: number | undefined;
}

/** @throws Unsupported for any other operator, or one above a limit */
export function foldRowOps(ops: readonly PlanOp[], dataset: DatasetSchema): RowShape {
  let columns: readonly NamedExpr[] = dataset.columns.map(({ name }) => ({ name, expr: { kind: 'column', name } }));
  const conjuncts: Expr[] = [];
  let limitRows: number | undefined;
  for (const op of ops) {
    if (limitRows !== undefined) throw new Unsupported(`${op.kind} above a limit`);
    const named = new Map(columns.map((c) => [c.name, c.expr]));
    if (op.kind === 'filter') conjuncts.push(substitute(op.predicate, named));
    else if (op.kind === 'project') columns = op.columns.map(({ name, expr }) => ({ name, expr: substitute(expr, named) }));
    else if (op.kind === 'limit') limitRows = op.count + op.offset;
    else throw new Unsupported(`${op.kind} in a scan of rows`);
  }
  const [first, ...others] = conjuncts;
  return { predicate: first && others.length > 0 ? { kind: 'and', args: conjuncts } : first, columns, limitRows };
}

/**
 * One kernel for filter, project and limit over a dataset's columns: per morsel the rows that pass, in order. Plain columns keep
 * their storage, bounds and dictionary. Limit and offset are applied again where morsels come together.
 * @throws Unsupported when no kernel can do it; MillraceError MR_PLAN_* when the plan is wrong
 */
export function compileScan(ops: readonly PlanOp[], dataset: DatasetSchema): ScanKernel {
  const shape = foldRowOps(ops, dataset);
  const lowering = new Lowering(dataset);
  const predicate = shape.predicate && lowering.lower(shape.predicate);
  const outputs = shape.columns.map((c) => planOutput(c, lowering));
  lowering.readSomething();
  const rowsMax = Math.max(1, dataset.rowGroupRowsMax);
  const { wasm, bytesMax } = emitRowScan({ inputs: lowering.inputColumns, predicate, outputs, limit: shape.limitRows, rowsMax, base: lowering.base });
  const output = outputs.map((o) => o.column);
  return {
    wasm,
    inputColumns: lowering.inputs,
    output,
    outputBytesMaxPerMorsel: bytesMax,
    ...(shape.predicate && { prune: shape.predicate }),
    ...(shape.limitRows !== undefined && { limitRows: shape.limitRows }),
  };
}
