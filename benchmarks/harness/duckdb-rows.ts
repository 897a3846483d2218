import { type DuckDBDataChunk, DuckDBDateValue, DuckDBDecimalValue } from '@duckdb/node-api';
import type { LiteralValue } from '../../pushdown/expr/expr.js';

/** DuckDB's values in Millrace's canonical form: exact types as bigint (decimals unscaled, days), text as string. */
export function canonicalRows(chunks: readonly DuckDBDataChunk[]): LiteralValue[][] {
  return chunks.flatMap((chunk) => chunk.getRows().map((row) => row.map(canonical)));
}

function canonical(value: unknown): LiteralValue {
  if (value === null || typeof value === 'boolean' || typeof value === 'number' || typeof value === 'bigint' || typeof value === 'string') return value;
  if (value instanceof DuckDBDecimalValue) return value.value;
  if (value instanceof DuckDBDateValue) return BigInt(value.days);
  throw new Error(`this benchmark does not know ${String(value)}`);
}
