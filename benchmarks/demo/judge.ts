import { type DuckDBConnection, DuckDBDateValue, DuckDBDecimalValue, DuckDBInstance, DuckDBTimestampTZValue, DuckDBTimestampValue, type DuckDBValue } from '@duckdb/node-api';
import type { QueryResult } from '../../clients/node/index.js';

type Cell = null | boolean | number | string;

/** DuckDB reading the Parquet file itself: what every answer must equal. */
export class Judge {
  private constructor(readonly connection: DuckDBConnection) {}

  static async over(parquet: string): Promise<Judge> {
    const connection = await (await DuckDBInstance.create(':memory:')).connect();
    await connection.run(`CREATE VIEW flights AS SELECT * FROM read_parquet('${parquet.replaceAll("'", "''")}')`);
    return new Judge(connection);
  }

  async columns(sql: string): Promise<Cell[][]> {
    const reader = await this.connection.runAndReadAll(sql);
    return reader.getColumns().map((column) => column.map(cellOf));
  }

  close(): void {
    this.connection.closeSync();
  }
}

/** The first difference between an answer and DuckDB's columns; rows in any order when `ordered` is not given. */
export function difference(result: QueryResult, expected: readonly (readonly Cell[])[], tolerance: number, ordered: boolean): string | undefined {
  const ours = result.columns.map((c) => ordered || expected.length > 0 ? canonicalColumn(result, c.name) : []);
  const rows = expected[0]?.length ?? 0;
  if (result.rows !== rows) return `${result.rows} rows, DuckDB has ${rows}`;
  if (ours.length !== expected.length) return `${ours.length} columns, DuckDB has ${expected.length}`;
  const left = order(ours, rows, ordered);
  const right = order(expected, rows, ordered);
  for (let row = 0; row < rows; row++) {
    for (const [c, theirs] of expected.entries()) {
      const a = ours[c]?.[left[row] ?? 0] ?? null;
      const b = theirs[right[row] ?? 0] ?? null;
      if (!same(a, b, tolerance)) return `row ${row}, column ${result.columns[c]?.name}: ${String(a)} against ${String(b)}`;
    }
  }
  return undefined;
}

/** Floats as numbers, everything exact as text: cheap to compare, nothing rounded. */
function canonicalColumn(result: QueryResult, name: string): Cell[] {
  return result.column(name).map((v) => (typeof v === 'bigint' ? String(v) : v)).map((v) => v);
}

function cellOf(v: DuckDBValue): Cell {
  if (v === null || typeof v === 'boolean' || typeof v === 'string' || typeof v === 'number') return v;
  if (v instanceof DuckDBTimestampValue || v instanceof DuckDBTimestampTZValue || v instanceof DuckDBDateValue || v instanceof DuckDBDecimalValue) return v.toString();
  return String(v);
}

function same(a: Cell, b: Cell, tolerance: number): boolean {
  if (a === b) return true;
  if (typeof a === 'number' && typeof b === 'number') return (Number.isNaN(a) && Number.isNaN(b)) || Math.abs(a - b) <= tolerance * Math.max(Math.abs(a), Math.abs(b));
  return typeof a === 'number' || typeof b === 'number' ? a !== null && b !== null && Number(a) === Number(b) : false;
}

/** Row numbers in an order both sides agree on. */
function order(columns: readonly (readonly Cell[])[], rows: number, ordered: boolean): Uint32Array {
  const index = Uint32Array.from({ length: rows }, (_, i) => i);
  if (ordered) return index;
  return index.sort((x, y) => {
    for (const column of columns) {
      const a = String(column[x] ?? '');
      const b = String(column[y] ?? '');
      if (a !== b) return a < b ? -1 : 1;
    }
    return 0;
  });
}
