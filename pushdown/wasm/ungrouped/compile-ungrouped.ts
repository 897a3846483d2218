import type { Expr } from '../../expr/expr.js';
import type { ScanKernel } from '../../plan/compiled.js';
import type { Column, DatasetSchema } from '../../types/schema.js';
import type { Local } from '../encoder/function-builder.js';
import type { Node } from '../ir.js';
import { abi, KernelModule } from '../kernel-module.js';
import type { Lowering } from '../lower.js';
import { batchBytesMax } from '../batch-room.js';
import { type Conjunction, splitConjunction } from '../selection.js';
import { emitByRow } from './by-row.js';
import { emitByVector, hasVectorPartial } from './by-vector.js';

/** One partial aggregate over all selected rows of a morsel, never NULL: over no value it is 0, or the empty string. */
export interface UngroupedPartial {
  readonly kind: 'rows' | 'count' | 'sum' | 'min' | 'max';
  /** Absent for rows. Dictionary columns are codes. */
  readonly node: Node | undefined;
  /** i64 for rows and count; i64, i128 or f64 for sum; the argument's storage for min and max. */
  readonly column: Column;
}

const textBytesMax = 2 << 20;

/**
 * Partial aggregates without keys: one row per morsel, none if no row was selected. `partials` and `predicate` are over columns of
 * `lowering`, which has lowered every partial already; the first partial counts rows.
 */
export function compileUngrouped(partials: readonly UngroupedPartial[], predicate: Expr | undefined, lowering: Lowering, dataset: DatasetSchema): ScanKernel {
  const filter = predicate && lowering.lower(predicate);
  lowering.readSomething();
  const inputs = lowering.inputColumns;
  const rowsMax = Math.max(1, dataset.rowGroupRowsMax);
  const output = partials.map((p) => p.column);
  const kernel = new KernelModule(output, 1, { utf8BytesMax: () => textBytesMax, base: lowering.base });
  const { process: f } = kernel;
  const [input, out] = f.params as [Local, Local];
  f.get(input).op('i32.eqz').if(() => {
    f.i32(abi.badInput).op('return');
  });
  const rows = f.local('i32');
  const columns = kernel.readInput(f, input, inputs, rows, rowsMax);
  const conjunction: Conjunction = filter ? splitConjunction(filter, inputs) : { masks: [], searches: [], rows: [] };
  const vector = conjunction.rows.length === 0 && conjunction.searches.length === 0 && partials.every((p) => hasVectorPartial(p, inputs));
  const selected = (vector ? emitByVector : emitByRow)({ kernel, f, inputs: columns, rows, rowsMax, conjunction, partials, textBytesMax });
  f.get(selected).op('i64.eqz').if(() => {
    f.i32(abi.needInput).op('return');
  });
  const one = f.local('i32');
  f.i32(1).set(one);
  kernel.writeOutput(f, out, one);
  f.i32(abi.outputReady | abi.needInput);
  kernel.finish.i32(abi.needInput);
  return { wasm: kernel.build(), inputColumns: lowering.inputs, output, outputBytesMaxPerMorsel: batchBytesMax(output, { rows: 1, textBytes: textBytesMax }), ...(predicate && { prune: predicate }) };
}
