/** SQL-level types, as every API shows them. DuckDB's names and rules decide wherever a result type is derived. */
export type LogicalType =
  | { readonly kind: 'bool' }
  | { readonly kind: 'int8' }
  | { readonly kind: 'int16' }
  | { readonly kind: 'int32' }
  | { readonly kind: 'int64' }
  | { readonly kind: 'uint8' }
  | { readonly kind: 'uint16' }
  | { readonly kind: 'uint32' }
  | { readonly kind: 'float32' }
  | { readonly kind: 'float64' }
  /** precision 1..38. Stored columns: up to 18. Results may be wider: sum(int64) is decimal(38, 0) (DuckDB's HUGEINT). */
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  /** Days since 1970-01-01. */
  | { readonly kind: 'date' }
  /** Microseconds since 1970-01-01T00:00:00; utc: instants (TIMESTAMPTZ), otherwise wall-clock (TIMESTAMP). */
  | { readonly kind: 'timestamp'; readonly utc: boolean }
  | { readonly kind: 'utf8' }
  /**
   * Any other type of DuckDB, by its name there. Values are stored as the text that casts back to exactly the same value; they
   * are given out and no kernel computes with them.
   */
  | { readonly kind: 'opaque'; readonly sql: string };

export type LogicalKind = LogicalType['kind'];
