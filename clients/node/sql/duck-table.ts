import type { DuckBatch, DuckColumn } from '../../../native/index.js';
import type { Batch, ColumnData } from '../../../pushdown/types/batch.js';
import { invariant } from '../../../pushdown/types/error.js';
import type { LogicalType } from '../../../pushdown/types/logical.js';
import type { PhysicalType } from '../../../pushdown/types/physical.js';
import type { Column } from '../../../pushdown/types/schema.js';
import { type IntegerBytes, resized } from './integer-width.js';

const storedBytes: Partial<Record<PhysicalType, IntegerBytes>> = { i8: 1, i16: 2, i32: 4, i64: 8, i128: 16, dict8: 1, dict16: 2, dict32: 4 };

/** Format and width DuckDB reads a logical type in; bytes undefined: as it lies. */
function duckForm(type: LogicalType): { format: string; bytes?: IntegerBytes } {
  switch (type.kind) {
    case 'bool': return { format: 'b' };
    case 'int8': return { format: 'c', bytes: 1 };
    case 'int16': return { format: 's', bytes: 2 };
    case 'int32': return { format: 'i', bytes: 4 };
    case 'int64': return { format: 'l', bytes: 8 };
    case 'uint8': return { format: 'C', bytes: 1 };
    case 'uint16': return { format: 'S', bytes: 2 };
    case 'uint32': return { format: 'I', bytes: 4 };
    case 'float32': return { format: 'f' };
    case 'float64': return { format: 'g' };
    case 'decimal': return { format: `d:${type.precision},${type.scale}`, bytes: 16 };
    case 'date': return { format: 'tdD', bytes: 4 };
    case 'timestamp': return { format: type.utc ? 'tsu:UTC' : 'tsu:', bytes: 8 };
    case 'utf8':
    // Its text; the scan's view casts it.
    case 'opaque': return { format: 'u' };
    default: return type satisfies never;
  }
}

const codes: Partial<Record<PhysicalType, string>> = { dict8: 'c', dict16: 's', dict32: 'i' };

/** Batches of one schema as a table DuckDB can scan: storage widths become the logical types' own. */
export function duckTable(columns: readonly Column[], names: readonly string[], batches: readonly Batch[]): { columns: DuckColumn[]; batches: DuckBatch[] } {
  return {
    columns: columns.map((c, i) => {
      const code = codes[c.physical];
      invariant(!code || c.dictionary, 'a dictionary column brings its dictionary');
      return { name: names[i] ?? c.name, format: code ?? duckForm(c.type).format, ...(code && c.dictionary ? { dictionary: c.dictionary } : {}) };
    }),
    batches: batches.map((b) => ({ rows: b.rows, buffers: columns.flatMap((c, i) => buffersOf(c, b.data[i], b.rows)) })),
  };
}

function buffersOf(column: Column, data: ColumnData | undefined, rows: number): (Uint8Array | null)[] {
  invariant(data, 'a batch has data for each of its columns');
  if (column.physical === 'utf8') {
    invariant(data.offsets, 'text has offsets');
    return [data.validity, new Uint8Array(data.offsets.buffer, data.offsets.byteOffset, data.offsets.byteLength), data.data];
  }
  const stored = storedBytes[column.physical];
  const wanted = codes[column.physical] ? stored : duckForm(column.type).bytes;
  if (!stored || !wanted) return [data.validity, data.data];
  return [data.validity, resized(data.data, rows, stored, wanted)];
}
