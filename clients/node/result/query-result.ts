import type { Table } from 'apache-arrow';
import type { LiteralValue } from '../../../pushdown/expr/expr.js';
import type { Batch } from '../../../pushdown/types/batch.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import type { Column } from '../../../pushdown/types/schema.js';
import type { QueryStats } from '../scan/options.js';
import { batchRows, canonicalReader, type Row, type RowValue, rowReader } from './value.js';

/** All rows of a query, as column buffers; rows and Arrow are made when asked for. */
export class QueryResult {
  constructor(
    readonly columns: readonly Column[],
    readonly batches: readonly Batch[],
    readonly stats: QueryStats,
  ) {}

  get rows(): number {
    return this.batches.reduce((rows, batch) => rows + batch.rows, 0);
  }

  /** One object per row; see RowValue for how types come out. */
  toRows(): Row[] {
    return this.batches.flatMap(batchRows);
  }

  /** One column's values. Throws MR_COLUMN_NOT_FOUND. */
  column(name: string): RowValue[] {
    const index = this.columns.findIndex((column) => column.name === name);
    if (index < 0) throw new MillraceError('MR_COLUMN_NOT_FOUND', `The result has no column '${name}': it has ${this.columns.map((column) => column.name).join(', ')}.`, { field: name });
    return this.batches.flatMap((batch) => {
      const read = rowReader(this.columns[index]!, batch.data[index]!); // index is in bounds
      return Array.from({ length: batch.rows }, (_, row) => read(row));
    });
  }

  /** Rows as arrays of canonical values (exact types bigint, decimals unscaled): what comparisons want. */
  toCanonicalRows(): LiteralValue[][] {
    return this.batches.flatMap((batch) => {
      const readers = this.columns.map((column, i) => canonicalReader(column, batch.data[i]!)); // one per column
      return Array.from({ length: batch.rows }, (_, row) => readers.map((read) => read(row)));
    });
  }

  /** An apache-arrow Table with logical types; dictionary columns stay dictionaries. */
  async toArrow(): Promise<Table> {
    const { arrowTable } = await import('./arrow.js');
    return arrowTable(this.columns, this.batches);
  }
}
