import type { NativeDuckDB } from '../../native/index.js';
import { MillraceError, invariant } from '../../pushdown/types/error.js';
import { type Cell, readCells } from './result-cell.js';
import { quoted, type SourceColumn, sourceColumn } from './column-type.js';

export interface ColumnStatistics {
  readonly source: SourceColumn;
  readonly nulls: number;
  /** Stored value; absent when every row is null, for bool, floats and text. */
  readonly bounds?: { readonly min: bigint; readonly max: bigint };
  /** Text only: about how many different values, and their bytes on average. */
  readonly text?: { readonly distinct: number; readonly averageBytes: number };
}

export interface Statistics {
  readonly rows: number;
  readonly columns: readonly ColumnStatistics[];
}

const columnsMax = 4096;

/**
 * One pass over the file: rows, and per column nulls, bounds, number of different texts.
 * relation: what stands behind FROM. Throws MR_TYPE_UNSUPPORTED naming the column.
 */
export async function gatherStatistics(db: NativeDuckDB, relation: string): Promise<Statistics> {
  const described = readCells(await db.query(`SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM ${relation})`));
  if (described.length > columnsMax) throw new MillraceError('MR_FILE_INVALID', `The file has ${described.length} columns; up to ${columnsMax} can be stored.`);
  const sources = described.map(([name, type]) => sourceColumn(String(name), String(type)));
  const [row] = readCells(await db.query(`SELECT ${['count(*)', ...sources.flatMap(aggregatesOf)].join(', ')} FROM ${relation}`));
  invariant(row, 'an aggregate without groups has one row');
  const cells = row[Symbol.iterator]();
  const next = (): Cell => {
    const { value, done } = cells.next();
    invariant(!done, 'one cell per aggregate');
    return value;
  };
  const rows = Number(next());
  const columns = sources.map((source) => {
    const nulls = rows - Number(next());
    if (source.refuse && Number(next()) > 0) throw new MillraceError('MR_TYPE_UNSUPPORTED', `Column '${source.name}' ${source.refuse.why}.`, { field: source.name });
    if (source.type.kind === 'utf8') {
      const distinct = Number(next());
      const bytes = Number(next());
      return { source, nulls, text: { distinct, averageBytes: rows === nulls ? 0 : bytes / (rows - nulls) } };
    }
    if (!hasBounds(source)) return { source, nulls };
    const [min, max] = [next(), next()];
    return typeof min === 'bigint' && typeof max === 'bigint' ? { source, nulls, bounds: { min, max } } : { source, nulls };
  });
  return { rows, columns };
}

const hasBounds = ({ type }: SourceColumn): boolean => type.kind !== 'bool' && type.kind !== 'float32' && type.kind !== 'float64' && type.kind !== 'utf8';

function aggregatesOf(source: SourceColumn): string[] {
  const e = source.expression;
  // In the file's own column: a refused value must not look like a null.
  const list = [`count(${quoted(source.name)})`];
  if (source.refuse) list.push(`count(*) FILTER (WHERE ${source.refuse.when})`);
  if (source.type.kind === 'utf8') list.push(`approx_count_distinct(${e})`, `CAST(coalesce(sum(strlen(${e})), 0) AS BIGINT)`);
  else if (hasBounds(source)) list.push(`min(${e})`, `max(${e})`);
  return list;
}
