import Table from 'cli-table3';
import { type Row, type RowValue, batchRows } from '../../node/result/value.js';
import type { Batch } from '../../../pushdown/types/batch.js';

/** Rows a terminal table shows; all of them come with `-o json` or `-o csv`. */
export const tableRowsMax = 100;
const cellWidthMax = 60;

export interface TableColumn {
  readonly name: string;
  readonly numeric: boolean;
}

/** Rows of a query as a table of text. */
export function resultTable(columns: readonly TableColumn[], rows: readonly Row[]): string {
  return textTable(columns, rows.map((row) => columns.map((c) => cellText(row[c.name] ?? null))));
}

export function textTable(columns: readonly TableColumn[], rows: readonly (readonly string[])[]): string {
  const table = new Table({ head: columns.map((c) => printable(c.name)), colAligns: columns.map((c) => (c.numeric ? 'right' : 'left')), style: { head: [], border: [], compact: true } });
  table.push(...rows.map((row) => [...row]));
  return `${table.toString()}\n`;
}

/** The first `max` rows of a result, and how many there are in all. */
export async function firstRows(batches: AsyncIterable<Batch>, max: number): Promise<{ rows: Row[]; total: number }> {
  const rows: Row[] = [];
  let total = 0;
  for await (const batch of batches) {
    total += batch.rows;
    if (rows.length < max) rows.push(...batchRows(batch).slice(0, max - rows.length));
  }
  return { rows, total };
}

function cellText(value: RowValue): string {
  if (value === null) return 'NULL';
  const text = printable(String(value));
  return text.length > cellWidthMax ? `${text.slice(0, cellWidthMax - 1)}…` : text;
}

/** Data must not steer the terminal: control characters are shown, not sent. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => (c === '\n' ? '↵' : c === '\t' ? ' ' : `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`));
}
