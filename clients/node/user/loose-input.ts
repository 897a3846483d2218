import type { LiteralValue } from '../../../pushdown/expr/expr.js';
import { naturalPhysical } from '../../../pushdown/plan/schema.js';
import { encodeBatch } from '../../../pushdown/reference/encode.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import type { Batch } from '../../../pushdown/types/batch.js';
import type { LogicalType } from '../../../pushdown/types/logical.js';
import type { Column } from '../../../pushdown/types/schema.js';

/** Rows that belong to no dataset, as batches a kernel takes. */
export interface LooseRows {
  readonly columns: readonly Column[];
  readonly batches: readonly Batch[];
}

export const looseFormats = ['ndjson', 'arrow', 'raw'] as const;
export type LooseFormat = (typeof looseFormats)[number];

/** Rows of one batch; the kernel sees a batch as a row group. */
const batchRowsMax = 65_536;

type Wanted = readonly { readonly name: string; readonly type: LogicalType }[] | undefined;

/**
 * ndjson: an object per line; wanted columns by name, or all of the first lines', typed by what they hold. arrow: an IPC file or stream.
 * raw: each line of UTF-8 as a row of the column `line`. @throws MillraceError MR_KERNEL_INPUT
 */
export async function looseRows(bytes: Uint8Array, format: LooseFormat, wanted: Wanted): Promise<LooseRows> {
  switch (format) {
    case 'ndjson':
      return ofObjects(lines(bytes).filter((line) => line.trim() !== '').map(parsed), wanted);
    case 'raw':
      return rowsOf([{ name: 'line', type: { kind: 'utf8' } }], lines(bytes).map((line) => [line]));
    case 'arrow':
      return ofArrow(bytes);
    default:
      return format satisfies never;
  }
}

/** Rows given as values of JSON. @throws MillraceError MR_KERNEL_INPUT */
export function rowsOf(columns: readonly { readonly name: string; readonly type: LogicalType }[], rows: readonly (readonly unknown[])[], rowsPerBatch = batchRowsMax): LooseRows {
  const stored = columns.map(({ name, type }): Column => ({ name, type, physical: naturalPhysical(type), nullable: true }));
  const values = rows.map((row, i) => stored.map((column, c) => canonical(row[c], column, i)));
  const batches: Batch[] = [];
  for (let from = 0; from < values.length || from === 0; from += rowsPerBatch) batches.push(encodeBatch(stored, values.slice(from, from + rowsPerBatch)));
  return { columns: stored, batches };
}

function lines(bytes: Uint8Array): string[] {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw bad('it is not UTF-8');
  }
  const all = text.split('\n').map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line));
  if (all.at(-1) === '') all.pop();
  return all;
}

function parsed(line: string, i: number): Record<string, unknown> {
  try {
    const value = JSON.parse(line) as unknown;
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw bad(`line ${i + 1} is no JSON object`);
}

function ofObjects(objects: readonly Record<string, unknown>[], wanted: Wanted): LooseRows {
  const columns = wanted ?? inferred(objects);
  return rowsOf(columns, objects.map((object) => columns.map(({ name }) => object[name] ?? null)));
}

function inferred(objects: readonly Record<string, unknown>[]): { name: string; type: LogicalType }[] {
  const names = new Set(objects.slice(0, 1000).flatMap((o) => Object.keys(o)));
  return [...names].map((name) => {
    const values = objects.map((o) => o[name]).filter((v) => v !== null && v !== undefined);
    const all = (test: (v: unknown) => boolean) => values.length > 0 && values.every(test);
    const kind = all((v) => typeof v === 'boolean') ? 'bool' : all((v) => Number.isSafeInteger(v)) ? 'int64' : all((v) => typeof v === 'number') ? 'float64' : 'utf8';
    return { name, type: { kind } };
  });
}

/** What a JSON value is in a column's type; objects and lists are their JSON where text is wanted. */
function canonical(value: unknown, { name, type }: Column, row: number): LiteralValue {
  if (value === null || value === undefined) return null;
  switch (type.kind) {
    case 'bool':
      if (typeof value === 'boolean') return value;
      break;
    case 'utf8':
      return typeof value === 'string' ? value : JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v));
    case 'float32':
    case 'float64':
      if (typeof value === 'number') return value;
      if (typeof value === 'bigint' || value === 'NaN' || value === 'Infinity' || value === '-Infinity') return Number(value);
      break;
    default:
      if (typeof value === 'bigint' || Number.isSafeInteger(value)) {
        const exact = BigInt(value as bigint | number);
        const bits = { i8: 8, i16: 16, i32: 32, i64: 64 }[naturalPhysical(type) as string];
        if (bits !== undefined && BigInt.asIntN(bits, exact) === exact) return exact;
      }
  }
  throw bad(`${JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v))} in row ${row + 1} of "${name}" is no ${type.kind}`);
}

async function ofArrow(bytes: Uint8Array): Promise<LooseRows> {
  const { DataType, tableFromIPC } = await import('apache-arrow');
  let table: import('apache-arrow').Table;
  try {
    table = tableFromIPC(bytes);
  } catch (cause) {
    throw bad(`it is not Arrow IPC (${(cause as Error).message})`);
  }
  const columns = table.schema.fields.map(({ name, type: arrow }): { name: string; type: LogicalType } => {
    const type: import('apache-arrow').DataType = DataType.isDictionary(arrow) ? arrow.dictionary : arrow;
    if (DataType.isBool(type)) return { name, type: { kind: 'bool' } };
    if (DataType.isUtf8(type) || DataType.isLargeUtf8(type)) return { name, type: { kind: 'utf8' } };
    if (DataType.isFloat(type)) return { name, type: { kind: type.precision === 2 ? 'float64' : 'float32' } };
    if (DataType.isInt(type) && (type.isSigned || type.bitWidth < 64)) return { name, type: { kind: `${type.isSigned ? 'int' : 'uint'}${type.bitWidth}` as 'int32' } };
    throw bad(`its column "${name}" is ${String(type)}; put it as a dataset (millrace put), which takes every type`);
  });
  const vectors = columns.map((_, c) => table.getChildAt(c));
  return rowsOf(columns, Array.from({ length: table.numRows }, (_, row) => vectors.map((vector) => vector?.get(row) as unknown)));
}

const bad = (detail: string) => new MillraceError('MR_KERNEL_INPUT', `The input cannot be taken: ${detail}.`, { httpStatus: 400 });
