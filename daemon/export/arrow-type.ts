import * as arrow from 'apache-arrow';
import { typeMetadataKey } from '../../pushdown/types/source-options.js';
import type { DatasetColumnInfo } from '../../pushdown/types/dataset-info.js';
import { hasDictionary } from '../datasets/layout.js';

/** The Arrow type a column is exported as: always the logical one, whatever width it is stored in. */
export function arrowType(column: DatasetColumnInfo, dictionaryId: number): arrow.DataType {
  const { type } = column;
  switch (type.kind) {
    case 'bool':
      return new arrow.Bool();
    case 'int8':
      return new arrow.Int8();
    case 'int16':
      return new arrow.Int16();
    case 'int32':
      return new arrow.Int32();
    case 'int64':
      return new arrow.Int64();
    case 'uint8':
      return new arrow.Uint8();
    case 'uint16':
      return new arrow.Uint16();
    case 'uint32':
      return new arrow.Uint32();
    case 'float32':
      return new arrow.Float32();
    case 'float64':
      return new arrow.Float64();
    case 'decimal':
      return new arrow.Decimal(type.scale, type.precision, 128);
    case 'date':
      return new arrow.DateDay();
    case 'timestamp':
      return new arrow.TimestampMicrosecond(type.utc ? 'UTC' : null);
    case 'utf8':
    case 'opaque':
      return hasDictionary(column) ? new arrow.Dictionary(new arrow.Utf8(), codeType(column.physical), dictionaryId) : new arrow.Utf8();
    default:
      return type satisfies never;
  }
}

function codeType(physical: DatasetColumnInfo['physical']): arrow.Int8 | arrow.Int16 | arrow.Int32 {
  return physical === 'dict8' ? new arrow.Int8() : physical === 'dict16' ? new arrow.Int16() : new arrow.Int32();
}

const metadataOf = ({ type }: DatasetColumnInfo): Map<string, string> | null => (type.kind === 'opaque' ? new Map([[typeMetadataKey, type.sql]]) : null);

/** Nullable is what the stored data is, so a reader may rely on it. */
export function arrowSchema(columns: readonly DatasetColumnInfo[]): arrow.Schema {
  return new arrow.Schema(columns.map((column, i) => new arrow.Field(column.name, arrowType(column, i), column.nullable, metadataOf(column))));
}
