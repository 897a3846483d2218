import type { KernelOutput } from '../../../pushdown/runtime/kernel-output.js';
import type { Batch } from '../../../pushdown/types/batch.js';
import type { Column } from '../../../pushdown/types/schema.js';
import { retainedData } from '../result/retain.js';

/** A kernel's output as a batch of its own memory; nullable columns always have a bitmap, others never. */
export function batchOf(output: KernelOutput, columns: readonly Column[]): Batch {
  const data = retainedData(output.data.map((column, i) => (columns[i]?.nullable ? column : { ...column, validity: null })));
  return { rows: output.rows, columns, data: data.map((column, i) => (columns[i]?.nullable && !column.validity ? { ...column, validity: allValid(output.rows) } : column)) };
}

const allValid = (rows: number): Uint8Array => new Uint8Array((rows + 7) >>> 3).fill(0xff);
