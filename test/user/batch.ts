import { encodeBatch } from '../../pushdown/reference/encode.js';
import type { Value } from '../../pushdown/reference/value.js';
import { naturalPhysical } from '../../pushdown/plan/schema.js';
import type { Batch } from '../../pushdown/types/batch.js';
import type { LogicalType } from '../../pushdown/types/logical.js';
import type { Column } from '../../pushdown/types/schema.js';

/** name to type, nullable columns, each stored in its type's own width. */
export function columnsOf(types: Readonly<Record<string, LogicalType['kind']>>): Column[] {
  return Object.entries(types).map(([name, kind]): Column => {
    const type = { kind } as LogicalType;
    return { name, type, physical: naturalPhysical(type), nullable: true };
  });
}

/** The rows in batches of so many. */
export function batchesOf(columns: readonly Column[], rows: readonly (readonly Value[])[], rowsPerBatch: number): Batch[] {
  const batches: Batch[] = [];
  for (let from = 0; from < rows.length; from += rowsPerBatch) batches.push(encodeBatch(columns, rows.slice(from, from + rowsPerBatch)));
  return batches;
}
