import type { NativeDuckDB } from '../../native/index.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { quoted } from './column-type.js';
import { readCells } from './result-cell.js';

export type ColumnTypes = ReadonlyMap<string, string>;

/** Names and DuckDB types of a relation. */
export async function typesOf(db: NativeDuckDB, relation: string): Promise<ColumnTypes> {
  return new Map(readCells(await db.query(`SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM ${relation})`)).map(([name, type]) => [String(name), String(type)]));
}

/**
 * The rows of a dataset and, behind them, those of `added` in the dataset's columns and types. Columns that are not there are NULL.
 * @throws MillraceError MR_APPEND_MISMATCH naming the column that the dataset has not, or that has values its type cannot hold
 */
export async function appended(db: NativeDuckDB, base: string, types: ColumnTypes, added: string): Promise<string> {
  return `(SELECT * FROM ${base} UNION ALL SELECT * FROM ${await inTypes(db, types, added)})`;
}

/** The rows of `added` in these columns and types. @throws MillraceError as appended */
export async function inTypes(db: NativeDuckDB, types: ColumnTypes, added: string): Promise<string> {
  const found = await typesOf(db, added);
  const byName = new Map([...types].map(([name, type]) => [name.toLowerCase(), { name, type }]));
  for (const name of found.keys())
    if (!byName.has(name.toLowerCase())) throw new MillraceError('MR_APPEND_MISMATCH', `The dataset has no column '${name}': it has ${[...types.keys()].slice(0, 20).join(', ')}.`, { field: name });
  const cells: string[] = [];
  const given = new Map([...found].map(([name, type]) => [name.toLowerCase(), { name, type }]));
  for (const [name, type] of types) {
    const from = given.get(name.toLowerCase());
    if (from && from.type !== type) await mustFit(db, added, from, type);
    cells.push(`CAST(${from ? quoted(from.name) : 'NULL'} AS ${type}) AS ${quoted(name)}`);
  }
  return `(SELECT ${cells.join(', ')} FROM ${added})`;
}

/** Every value must be the same in the dataset's type. */
async function mustFit(db: NativeDuckDB, added: string, from: { readonly name: string; readonly type: string }, type: string): Promise<void> {
  const c = quoted(from.name);
  const there = `TRY_CAST(${c} AS ${type})`;
  let fits = false;
  try {
    fits = readCells(await db.query(`SELECT 1 FROM ${added} WHERE ${c} IS NOT NULL AND (${there} IS NULL OR TRY_CAST(${there} AS ${from.type}) IS DISTINCT FROM ${c}) LIMIT 1`)).length === 0;
  } catch (error) {
    // There is no way between the types at all.
    if (!(error instanceof MillraceError && /^MR_SQL_(BIND|UNSUPPORTED)$/.test(error.code))) throw error;
  }
  if (!fits) throw new MillraceError('MR_APPEND_MISMATCH', `Column '${from.name}' (${from.type}) has values that the dataset's ${type} cannot hold: replace the dataset, or load them with --types.`, { field: from.name });
}
