import type { LogicalType } from '../../pushdown/types/logical.js';
import { isDuckType } from '../../pushdown/plan/duck-type-text.js';
import { ofText, toText } from '../../pushdown/plan/opaque-text.js';
import { MillraceError } from '../../pushdown/types/error.js';

/** A column as the file has it and as it will be read. */
export interface SourceColumn {
  readonly name: string;
  readonly type: LogicalType;
  /** SQL expression that gives the column in the type that is stored. */
  readonly expression: string;
  /** SQL condition that holds for rows this type cannot represent; then the column is stored as `otherwise`. */
  readonly unfit?: { readonly when: string; readonly otherwise: SourceColumn };
  /** SQL condition that holds for rows whose value the stored text would not give back. */
  readonly lost?: string;
}

export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

const integers: Readonly<Record<string, LogicalType>> = {
  TINYINT: { kind: 'int8' },
  SMALLINT: { kind: 'int16' },
  INTEGER: { kind: 'int32' },
  BIGINT: { kind: 'int64' },
  UTINYINT: { kind: 'uint8' },
  USMALLINT: { kind: 'uint16' },
  UINTEGER: { kind: 'uint32' },
};

/**
 * What DuckDB calls the column's type, as a stored type.
 * @throws MillraceError MR_TYPE_UNSUPPORTED naming the column.
 */
export function sourceColumn(name: string, duckType: string): SourceColumn {
  const c = quoted(name);
  const plain = (type: LogicalType): SourceColumn => ({ name, type, expression: c });
  const integer = integers[duckType];
  if (integer) return plain(integer);
  const decimal = /^DECIMAL\((\d+),(\d+)\)$/.exec(duckType);
  if (decimal) {
    const precision = Number(decimal[1]);
    if (precision > 18) return opaqueColumn(name, duckType);
    return plain({ kind: 'decimal', precision, scale: Number(decimal[2]) });
  }
  switch (duckType) {
    case 'BOOLEAN': return plain({ kind: 'bool' });
    case 'FLOAT': return plain({ kind: 'float32' });
    case 'DOUBLE': return plain({ kind: 'float64' });
    case 'VARCHAR': return plain({ kind: 'utf8' });
    case 'JSON': return { name, type: { kind: 'utf8' }, expression: `CAST(${c} AS VARCHAR)` };
    case 'DATE': return plain({ kind: 'date' });
    case 'TIMESTAMP': return plain({ kind: 'timestamp', utc: false });
    case 'TIMESTAMP WITH TIME ZONE': return plain({ kind: 'timestamp', utc: true });
    case 'TIMESTAMP_S':
    case 'TIMESTAMP_MS':
    case 'TIMESTAMP_NS':
      return fitting(name, duckType, { kind: 'timestamp', utc: false }, 'TIMESTAMP');
    case 'UBIGINT':
    case 'HUGEINT':
    case 'UHUGEINT':
      return fitting(name, duckType, { kind: 'int64' }, 'BIGINT');
    default:
      return opaqueColumn(name, duckType);
  }
}

/** A column of a dataset, read in the type the dataset has. */
export function datasetColumn(name: string, type: LogicalType): SourceColumn {
  return type.kind === 'opaque' ? opaqueColumn(name, type.sql) : { name, type, expression: quoted(name) };
}

/** Stored as `type` where every value of the column is one of it. */
function fitting(name: string, duckType: string, type: LogicalType, target: string): SourceColumn {
  const c = quoted(name);
  const converted = `TRY_CAST(${c} AS ${target})`;
  return { name, type, expression: converted, unfit: { when: `${c} IS NOT NULL AND (${converted} IS NULL OR TRY_CAST(${converted} AS ${duckType}) IS DISTINCT FROM ${c})`, otherwise: opaqueColumn(name, duckType) } };
}

/** Text that gives the same value back, which is checked for every row. */
function opaqueColumn(name: string, duckType: string): SourceColumn {
  const c = quoted(name);
  if (!isDuckType(duckType)) throw new MillraceError('MR_TYPE_UNSUPPORTED', `Column '${name}' is of type ${shown(duckType)}, which has no name to come back by: cast it before loading.`, { field: name });
  const text = toText(c, duckType);
  const back = ofText(`(${text})`, duckType);
  // Equal is not enough: -0.0 equals 0.0, and 1 month 30 days. Their text tells them apart.
  return { name, type: { kind: 'opaque', sql: duckType }, expression: text, lost: `${back} IS DISTINCT FROM ${c} OR ${toText(back, duckType)} IS DISTINCT FROM ${text}` };
}

/** Of a long type, the beginning. */
export const shown = (duckType: string): string => (duckType.length > 60 ? `${duckType.slice(0, 57)}...` : duckType);
