import type { LogicalType } from '../types/logical.js';

/** DuckDB's name of a logical type. */
export function sqlType(t: LogicalType): string {
  switch (t.kind) {
    case 'bool':
      return 'BOOLEAN';
    case 'int8':
      return 'TINYINT';
    case 'int16':
      return 'SMALLINT';
    case 'int32':
      return 'INTEGER';
    case 'int64':
      return 'BIGINT';
    case 'uint8':
      return 'UTINYINT';
    case 'uint16':
      return 'USMALLINT';
    case 'uint32':
      return 'UINTEGER';
    case 'float32':
      return 'FLOAT';
    case 'float64':
      return 'DOUBLE';
    case 'decimal':
      return `DECIMAL(${t.precision},${t.scale})`;
    case 'date':
      return 'DATE';
    case 'timestamp':
      return t.utc ? 'TIMESTAMP WITH TIME ZONE' : 'TIMESTAMP';
    case 'utf8':
      return 'VARCHAR';
    case 'opaque':
      return t.sql;
    default:
      return t satisfies never;
  }
}
