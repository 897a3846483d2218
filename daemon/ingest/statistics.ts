import type { NativeDuckDB } from '../../native/index.js';
import { MillraceError, invariant } from '../../pushdown/types/error.js';
import { type Cell, readCells } from './result-cell.js';
import { quoted, shown, type SourceColumn, sourceColumn } from './column-type.js';

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
 * relation: what stands behind FROM. Throws MR_TYPE_UNSUPPORTED naming the column, MR_FILE_INVALID.
 */
export async function gatherStatistics(db: NativeDuckDB, relation: string): Promise<Statistics> {
  const described = readCells(await db.query(`SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM ${relation})`));
  if (described.length > columnsMax) throw new MillraceError('MR_FILE_INVALID', `The file has ${described.length} columns; up to ${columnsMax} can be stored.`);
  return gatherOf(db, relation, await fittingColumns(db, relation, described.map(([name, type]) => sourceColumn(String(name), String(type)))));
}

/** The same for columns whose types are settled. @throws MillraceError MR_TYPE_UNSUPPORTED when a value would not come back */
export async function gatherStatisticsOf(db: NativeDuckDB, relation: string, sources: readonly SourceColumn[]): Promise<Statistics> {
  return gatherOf(db, relation, await fittingColumns(db, relation, sources));
}

async function gatherOf(db: NativeDuckDB, relation: string, sources: readonly SourceColumn[]): Promise<Statistics> {
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
    if (isText(source)) {
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

const hasBounds = ({ type }: SourceColumn): boolean => type.kind !== 'bool' && type.kind !== 'float32' && type.kind !== 'float64' && !isText({ type });
const isText = ({ type }: Pick<SourceColumn, 'type'>): boolean => type.kind === 'utf8' || type.kind === 'opaque';

/** Columns some value of which their type cannot hold, in the type that can. @throws MillraceError MR_TYPE_UNSUPPORTED */
async function fittingColumns(db: NativeDuckDB, relation: string, sources: readonly SourceColumn[]): Promise<readonly SourceColumn[]> {
  const doubtful = sources.flatMap(({ unfit }) => (unfit ? [`coalesce(bool_or(${unfit.when}), false)`] : []));
  const verdicts = doubtful.length === 0 ? [] : (readCells(await db.query(`SELECT ${doubtful.join(', ')} FROM ${relation}`))[0] ?? []);
  const unfit = verdicts[Symbol.iterator]();
  const fitting = sources.map((source) => (source.unfit && unfit.next().value === true ? source.unfit.otherwise : source));
  for (const source of fitting) if (source.lost) await mustComeBack(db, relation, source, source.lost);
  return fitting;
}

/** @throws MillraceError MR_TYPE_UNSUPPORTED when some value would not be the same again */
async function mustComeBack(db: NativeDuckDB, relation: string, { name, type }: SourceColumn, lost: string): Promise<void> {
  const refusal = new MillraceError('MR_TYPE_UNSUPPORTED', `Column '${name}' of type ${type.kind === 'opaque' ? shown(type.sql) : type.kind} has values that cannot be stored exactly: cast it before loading.`, { field: name });
  let found: Cell | undefined;
  try {
    found = readCells(await db.query(`SELECT 1 FROM ${relation} WHERE ${lost} LIMIT 1`))[0]?.[0];
  } catch (error) {
    // A file that cannot be read says so here; otherwise what failed is the way back from text.
    await db.query(`SELECT count(${quoted(name)}) FROM ${relation}`);
    throw error instanceof MillraceError && /^MR_SQL_(EXECUTION|UNSUPPORTED|BIND)$/.test(error.code) ? refusal : error;
  }
  if (found !== undefined) throw refusal;
}

function aggregatesOf(source: SourceColumn): string[] {
  const e = source.expression;
  const list = [`count(${quoted(source.name)})`];
  if (isText(source)) list.push(`approx_count_distinct(${e})`, `CAST(coalesce(sum(strlen(${e})), 0) AS BIGINT)`);
  else if (hasBounds(source)) list.push(`min(${e})`, `max(${e})`);
  return list;
}
