import { z } from 'zod';
import { sqlType } from '../../../pushdown/plan/sql-type.js';
import type { LogicalType } from '../../../pushdown/types/logical.js';
import type { DuckTypeJson } from './bound-plan.js';

const simple: Readonly<Record<string, LogicalType>> = {
  BOOLEAN: { kind: 'bool' }, TINYINT: { kind: 'int8' }, SMALLINT: { kind: 'int16' }, INTEGER: { kind: 'int32' }, BIGINT: { kind: 'int64' },
  UTINYINT: { kind: 'uint8' }, USMALLINT: { kind: 'uint16' }, UINTEGER: { kind: 'uint32' }, FLOAT: { kind: 'float32' }, DOUBLE: { kind: 'float64' },
  DATE: { kind: 'date' }, TIMESTAMP: { kind: 'timestamp', utc: false }, 'TIMESTAMP WITH TIME ZONE': { kind: 'timestamp', utc: true },
  VARCHAR: { kind: 'utf8' },
  // Plans never show HUGEINT but as the type of an integer sum: DuckDB's sum(BIGINT) in our vocabulary.
  HUGEINT: { kind: 'decimal', precision: 38, scale: 0 },
};
const decimalInfo = z.looseObject({ width: z.number().int().min(1).max(38), scale: z.number().int().min(0).max(38) });

/** The logical type of a type in a serialized plan; undefined for what plans cannot carry (nested types, collations, ...). */
export function logicalOf(type: DuckTypeJson): LogicalType | undefined {
  if (type.id === 'DECIMAL') {
    const info = decimalInfo.safeParse(type.type_info);
    return info.success ? { kind: 'decimal', precision: info.data.width, scale: info.data.scale } : undefined;
  }
  // A collation or an alias sits in type_info: such a type compares or prints by other rules.
  if (type.type_info !== null && type.type_info !== undefined) return undefined;
  return Object.hasOwn(simple, type.id) ? simple[type.id] : undefined;
}

/** The logical type DESCRIBE's `column_type` names; undefined for what results cannot carry. */
export function logicalOfName(name: string): LogicalType | undefined {
  const decimal = /^DECIMAL\((\d+),(\d+)\)$/.exec(name);
  if (decimal) return { kind: 'decimal', precision: Number(decimal[1]), scale: Number(decimal[2]) };
  return Object.hasOwn(simple, name) ? simple[name] : undefined;
}

/** SQL spelling of a plan's type, HUGEINT kept; undefined for types the host part does not write back. */
export function spelledType(type: DuckTypeJson): string | undefined {
  if (type.id === 'HUGEINT' && !type.type_info) return 'HUGEINT';
  const logical = logicalOf(type);
  return logical && sqlType(logical);
}

export function sameType(a: LogicalType, b: LogicalType): boolean {
  return sqlType(a) === sqlType(b);
}
