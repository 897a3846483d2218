import { MillraceError } from '../types/error.js';
import type { SourceOptions } from '../types/source-options.js';
import { parquetSchemaOf } from './source-sql.js';

/** Statement that gives what parquetLosses() looks at. */
export const parquetSchemaSql = (paths: readonly string[]): string =>
  `SELECT file_name, name, coalesce(num_children, 0)::INTEGER AS children, CASE WHEN duckdb_type = 'DOUBLE' AND (converted_type = 'DECIMAL' OR logical_type LIKE 'Decimal%') THEN 'decimals of more than 38 digits'
     WHEN logical_type LIKE 'TimestampType(isAdjustedToUTC=1,%NanoSeconds%' THEN 'nanoseconds with a time zone' END AS loss FROM ${parquetSchemaOf(paths)}`;

/** One element of a file's schema, in the order of the file: a node, then what is below it. */
export interface SchemaElement {
  readonly file: string;
  readonly name: string;
  readonly children: number;
  readonly loss: string | undefined;
}

/**
 * DuckDB reads some Parquet types rounded, without a word: decimals of more than 38 digits as DOUBLE, nanoseconds with a zone as
 * microseconds. Whoever names a type for such a column has said that it is enough.
 * @throws MillraceError MR_TYPE_UNSUPPORTED naming the column
 */
export function refuseParquetLosses(elements: readonly SchemaElement[], { types = {} }: SourceOptions): void {
  /** How many elements are still to come of each open node, the file's root first. */
  let open: number[] = [];
  let file: string | undefined;
  let column = '';
  for (const element of elements) {
    if (element.file !== file) {
      file = element.file;
      open = [];
    } else if (open.length === 1) column = element.name;
    if (element.loss !== undefined && !Object.hasOwn(types, column))
      throw new MillraceError('MR_TYPE_UNSUPPORTED', `Column '${column}' has ${element.loss}, which would be rounded: write it in another type, or name one that is enough (--types '${column}=${element.loss.startsWith('d') ? 'DOUBLE' : 'TIMESTAMPTZ'}').`, { field: column });
    const last = open.length - 1;
    if (last >= 0) open[last] = (open[last] ?? 0) - 1;
    if (element.children > 0) open.push(element.children);
    while (open.length > 0 && open.at(-1) === 0) open.pop();
  }
}
