import {
  Bool, type Data, DataType, DateDay, Decimal, Dictionary, Field, Float32, Float64, Int8, Int16, Int32, Int64, makeData, RecordBatch, Schema, Struct, Table, TimestampMicrosecond,
  Uint8, Uint16, Uint32, Utf8, type Vector, vectorFromArray,
} from 'apache-arrow';
import type { Batch, ColumnData } from '../../../pushdown/types/batch.js';
import type { Column } from '../../../pushdown/types/schema.js';
import { type Integers, integersOf, widened } from './integers.js';

/** Batches as an apache-arrow Table: logical types, widened from what is stored. */
export function arrowTable(columns: readonly Column[], batches: readonly Batch[]): Table {
  const { schema, record } = arrowRecords(columns);
  return new Table(schema, batches.map(record));
}

/** The Arrow schema of result columns and their batches as record batches of it; dictionaries are made once and shared. */
export function arrowRecords(columns: readonly Column[]): { schema: Schema; record: (batch: Batch) => RecordBatch } {
  const dictionaries = columns.map((column) => (column.dictionary ? vectorFromArray(column.dictionary, new Utf8()) : undefined));
  const fields = columns.map((column, i) => new Field(column.name, arrowType(column, dictionaries[i] !== undefined), column.nullable));
  const schema = new Schema(fields);
  const record = (batch: Batch): RecordBatch => {
    const children = columns.map((column, i) => arrowData(column, fields[i]!.type, batch.rows, batch.data[i]!, dictionaries[i])); // same length
    return new RecordBatch(schema, makeData({ type: new Struct(fields), length: batch.rows, nullCount: 0, children }));
  };
  return { schema, record };
}

function arrowType({ type }: Column, dictionary: boolean): DataType {
  if (dictionary) return new Dictionary(new Utf8(), new Int32());
  switch (type.kind) {
    case 'bool': return new Bool();
    case 'int8': return new Int8();
    case 'int16': return new Int16();
    case 'int32': return new Int32();
    case 'int64': return new Int64();
    case 'uint8': return new Uint8();
    case 'uint16': return new Uint16();
    case 'uint32': return new Uint32();
    case 'float32': return new Float32();
    case 'float64': return new Float64();
    case 'decimal': return new Decimal(type.scale, type.precision, 128);
    case 'date': return new DateDay();
    case 'timestamp': return new TimestampMicrosecond(type.utc ? 'UTC' : null);
    case 'utf8':
    case 'opaque': return new Utf8();
    default: return type satisfies never;
  }
}

function arrowData(column: Column, type: DataType, rows: number, stored: ColumnData, dictionary: Vector<Utf8> | undefined): Data {
  const nulls = stored.validity ? { nullBitmap: stored.validity, nullCount: -1 } : { nullCount: 0 };
  const base = { length: rows, ...nulls };
  const ints = (): Integers => integersOf(column.physical, stored.data, rows);
  if (dictionary) return makeData({ ...base, type: type as Dictionary<Utf8, Int32>, data: widened(ints(), Int32Array, rows), dictionary });
  if (DataType.isUtf8(type)) return makeData({ ...base, type, valueOffsets: stored.offsets ?? new Int32Array(rows + 1), data: stored.data });
  if (DataType.isBool(type)) return makeData({ ...base, type, data: stored.data });
  if (DataType.isFloat(type)) {
    const bytes = new Uint8Array(stored.data.subarray(0, rows * (type.precision === 2 ? 8 : 4)));
    return type.precision === 2 ? makeData({ ...base, type: type as Float64, data: new Float64Array(bytes.buffer) }) : makeData({ ...base, type: type as Float32, data: new Float32Array(bytes.buffer) });
  }
  if (DataType.isDecimal(type)) return makeData({ ...base, type, data: decimalWords(ints(), rows) });
  if (DataType.isTimestamp(type)) return makeData({ ...base, type, data: widened(ints(), BigInt64Array, rows) });
  if (DataType.isDate(type)) return makeData({ ...base, type, data: widened(ints(), Int32Array, rows) });
  return makeData({ ...base, type: type as Int32, data: widened(ints(), (type as Int32).ArrayType as Int32ArrayConstructor, rows) });
}

/** 128-bit values as four 32-bit words each, sign extended. */
function decimalWords(values: Integers, rows: number): Uint32Array {
  const words = new BigInt64Array(rows * 2);
  if (values instanceof BigInt64Array && values.length === rows * 2) words.set(values);
  else
    for (let i = 0; i < rows; i++) {
      const value = BigInt(values[i]!); // i < rows
      words[2 * i] = value;
      words[2 * i + 1] = value < 0n ? -1n : 0n;
    }
  return new Uint32Array(words.buffer);
}

