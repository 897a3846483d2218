import type { Batch } from '../../../pushdown/types/batch.js';
import type { Column } from '../../../pushdown/types/schema.js';
import { type RowValue, rowReader } from './value.js';

/**
 * NDJSON, a line per row. Integers and decimals are JSON numbers with all their digits, NaN and infinities the words as
 * text (JSON has no such numbers), dates and timestamps text.
 */
export function ndjson(batch: Batch): string {
  const keys = batch.columns.map((c, i) => `${i === 0 ? '{' : ','}${JSON.stringify(c.name)}:`);
  const read = batch.columns.map((c, i) => cellReader(c, batch, i, jsonText));
  return lines(batch.rows, (row) => {
    let line = '';
    for (let i = 0; i < keys.length; i++) line += (keys[i] ?? '') + (read[i]?.(row) ?? 'null');
    return `${line}}`;
  });
}

export function csvHeader(columns: readonly { readonly name: string }[]): string {
  return `${columns.map((c) => csvText(c.name)).join(',')}\r\n`;
}

/** RFC 4180 rows. NULL is empty, an empty text is "". */
export function csv(batch: Batch): string {
  const read = batch.columns.map((c, i) => cellReader(c, batch, i, (value) => (value === null ? '' : csvText(String(value)))));
  return lines(batch.rows, (row) => `${read.map((cell) => cell(row)).join(',')}\r`);
}

function lines(rows: number, line: (row: number) => string): string {
  let text = '';
  for (let row = 0; row < rows; row++) text += `${line(row)}\n`;
  return text;
}

function cellReader(column: Column, batch: Batch, index: number, text: (value: RowValue, column: Column) => string): (row: number) => string {
  const data = batch.data[index];
  if (!data) return () => 'null';
  const read = rowReader(column, data);
  return (row) => text(read(row), column);
}

function jsonText(value: RowValue, column: Column): string {
  if (value === null) return 'null';
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : JSON.stringify(String(value));
  if (typeof value === 'string') return column.type.kind === 'decimal' ? value : JSON.stringify(value);
  return String(value);
}

function csvText(text: string): string {
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
