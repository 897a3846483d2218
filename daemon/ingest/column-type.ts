import type { LogicalType } from '../../pushdown/types/logical.js';
import { MillraceError } from '../../pushdown/types/error.js';

/** A column as the file has it and as it will be read. */
export interface SourceColumn {
  readonly name: string;
  readonly type: LogicalType;
  /** SQL expression that gives the column in the type that is stored. */
  readonly expression: string;
  /** SQL condition that holds for rows this type cannot represent, with the words for it. */
  readonly refuse?: { readonly when: string; readonly why: string };
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
    if (precision > 18) throw unsupported(name, duckType, 'decimals up to 18 digits can be stored: cast it to DECIMAL(18, s) or DOUBLE before loading');
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
      return { name, type: { kind: 'timestamp', utc: false }, expression: `CAST(${c} AS TIMESTAMP)` };
    case 'TIMESTAMP_NS':
      return {
        name, type: { kind: 'timestamp', utc: false }, expression: `CAST(${c} AS TIMESTAMP)`,
        refuse: { when: `epoch_ns(${c}) % 1000 <> 0`, why: 'has timestamps finer than a microsecond: round it to microseconds before loading' },
      };
    case 'UBIGINT':
    case 'HUGEINT':
    case 'UHUGEINT':
      return {
        name, type: { kind: 'int64' }, expression: `TRY_CAST(${c} AS BIGINT)`,
        refuse: { when: `${c} IS NOT NULL AND TRY_CAST(${c} AS BIGINT) IS NULL`, why: `is ${duckType} and has values beyond int64: cast it to DOUBLE or VARCHAR before loading` },
      };
    default:
      if (duckType.startsWith('ENUM(')) return { name, type: { kind: 'utf8' }, expression: `CAST(${c} AS VARCHAR)` };
      throw unsupported(name, duckType, 'bool, integers, floats, decimals, dates, timestamps and text can be stored: leave it out or cast it before loading');
  }
}

function unsupported(name: string, duckType: string, what: string): MillraceError {
  const shown = duckType.length > 60 ? `${duckType.slice(0, 57)}...` : duckType;
  return new MillraceError('MR_TYPE_UNSUPPORTED', `Column '${name}' is of type ${shown}; ${what}.`, { field: name });
}
