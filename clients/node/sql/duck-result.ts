import type { DuckBatch, DuckColumn, DuckResult } from '../../../native/index.js';
import type { Batch, ColumnData } from '../../../pushdown/types/batch.js';
import { MillraceError, invariant } from '../../../pushdown/types/error.js';
import type { LogicalType } from '../../../pushdown/types/logical.js';
import type { PhysicalType } from '../../../pushdown/types/physical.js';
import type { Column } from '../../../pushdown/types/schema.js';
import { resized } from './integer-width.js';

interface Form { readonly type: LogicalType; readonly physical: PhysicalType; /** Bytes of an unsigned source value that `physical` holds wider. */ readonly unsignedBytes?: 1 | 2 | 4 | 8 }

const forms: Readonly<Record<string, Form>> = {
  b: { type: { kind: 'bool' }, physical: 'bool' },
  c: { type: { kind: 'int8' }, physical: 'i8' },
  s: { type: { kind: 'int16' }, physical: 'i16' },
  i: { type: { kind: 'int32' }, physical: 'i32' },
  l: { type: { kind: 'int64' }, physical: 'i64' },
  C: { type: { kind: 'uint8' }, physical: 'i16', unsignedBytes: 1 },
  S: { type: { kind: 'uint16' }, physical: 'i32', unsignedBytes: 2 },
  I: { type: { kind: 'uint32' }, physical: 'i64', unsignedBytes: 4 },
  L: { type: { kind: 'decimal', precision: 20, scale: 0 }, physical: 'i128', unsignedBytes: 8 },
  f: { type: { kind: 'float32' }, physical: 'f32' },
  g: { type: { kind: 'float64' }, physical: 'f64' },
  tdD: { type: { kind: 'date' }, physical: 'i32' },
  'tsu:': { type: { kind: 'timestamp', utc: false }, physical: 'i64' },
  'tsu:UTC': { type: { kind: 'timestamp', utc: true }, physical: 'i64' },
  u: { type: { kind: 'utf8' }, physical: 'utf8' },
};

/** Rows DuckDB gave, as batches. @throws MillraceError MR_SQL_UNSUPPORTED for a type results cannot carry */
export function batchesOf(result: DuckResult): { columns: Column[]; batches: Batch[] } {
  const found = result.columns.map(formOf);
  const columns = result.columns.map((c, i): Column => ({ name: c.name, type: (found[i] as Form).type, physical: (found[i] as Form).physical, nullable: true }));
  return { columns, batches: result.batches.map((b) => ({ rows: b.rows, columns, data: columnsOf(b, found) })) };
}

/** Whether results have the type DuckDB gave a column in. */
export const isCarried = (format: string): boolean => format.startsWith('d:') || Object.hasOwn(forms, format);

function formOf(column: DuckColumn): Form {
  const decimal = /^d:(\d+),(\d+)(?:,(\d+))?$/.exec(column.format);
  if (decimal) {
    const bits = decimal[3] ?? '128';
    return { type: { kind: 'decimal', precision: Number(decimal[1]), scale: Number(decimal[2]) }, physical: bits === '32' ? 'i32' : bits === '64' ? 'i64' : 'i128' };
  }
  const form = Object.hasOwn(forms, column.format) ? forms[column.format] : undefined;
  if (!form) throw new MillraceError('MR_SQL_UNSUPPORTED', `Results cannot carry the type of column "${column.name}": cast it to VARCHAR.`, { httpStatus: 400, field: column.name });
  return form;
}

function columnsOf(batch: DuckBatch, found: readonly Form[]): ColumnData[] {
  let at = 0;
  const next = () => batch.buffers[at++] ?? null;
  return found.map((form): ColumnData => {
    const validity = next() ?? allValid(batch.rows);
    const offsets = form.physical === 'utf8' ? next() : null;
    const data = next();
    invariant(data, 'a DuckDB result column has a data buffer');
    return {
      validity,
      offsets: offsets && new Int32Array(offsets.buffer as ArrayBuffer, offsets.byteOffset, batch.rows + 1),
      data: form.unsignedBytes ? resized(data, batch.rows, form.unsignedBytes, widthOf[form.physical] ?? 8, false) : data,
    };
  });
}

const widthOf: Partial<Record<PhysicalType, 1 | 2 | 4 | 8 | 16>> = { i16: 2, i32: 4, i64: 8, i128: 16 };

// Result columns are declared nullable, and a nullable column always has its bitmap.
function allValid(rows: number): Uint8Array {
  return new Uint8Array(Math.ceil(rows / 8)).fill(255);
}

/** Rows of a result whose columns are all text: what the front end asks for. */
export function textRows(result: DuckResult): (string | undefined)[][] {
  const decoder = new TextDecoder();
  return result.batches.flatMap((batch) =>
    Array.from({ length: batch.rows }, (_, row) =>
      result.columns.map((_column, i) => {
        const [validity, offsets, data] = batch.buffers.slice(i * 3, i * 3 + 3);
        if (!offsets || !data || (validity && !((validity[row >> 3] ?? 0) & (1 << (row & 7))))) return undefined;
        const ends = new Int32Array(offsets.buffer as ArrayBuffer, offsets.byteOffset, batch.rows + 1);
        return decoder.decode(data.subarray(ends[row], ends[row + 1]));
      }),
    ),
  );
}
