import type { NativeDuckDB } from '../../../native/index.js';
import { quoteName } from '../../../pushdown/plan/sql-expr.js';
import { sqlType } from '../../../pushdown/plan/sql-type.js';
import type { Batch } from '../../../pushdown/types/batch.js';
import type { LogicalType } from '../../../pushdown/types/logical.js';
import { duckTable } from '../sql/duck-table.js';
import { engineError } from '../sql/sql-error.js';

export interface ParquetOptions {
  /** The file; replaced if it exists. */
  readonly path: string;
  /** Opens an engine that may write `path`; `database` is a new file beside it that holds the rows meanwhile. */
  readonly open: (database: string) => NativeDuckDB;
  readonly signal?: AbortSignal;
}

/**
 * Writes batches as a Parquet file by DuckDB, with logical types and zstd. Rows wait in a database file, not in memory; whoever
 * calls removes `${path}.rows*`. Resolves with the number of rows.
 * @throws MillraceError MR_SQL_* as DuckDB reports it, MR_CANCELLED
 */
export async function writeParquet(columns: readonly { readonly name: string; readonly type: LogicalType }[], batches: AsyncIterable<Batch>, { path, open, signal }: ParquetOptions): Promise<number> {
  const engine = open(`${path}.rows`);
  const interrupt = () => engine.interrupt();
  signal?.addEventListener('abort', interrupt, { once: true });
  try {
    const names = columns.map((c) => c.name);
    await engine.query(`CREATE TABLE rows (${columns.map((c) => `${quoteName(c.name)} ${sqlType(c.type)}`).join(', ')})`);
    let rows = 0;
    for await (const batch of batches) {
      const part = duckTable(batch.columns, names, [batch]);
      await engine.registerTable('part', part.columns, part.batches);
      await engine.query('INSERT INTO rows SELECT * FROM part');
      await engine.dropTable('part');
      rows += batch.rows;
    }
    await engine.query(`COPY rows TO '${path.replaceAll("'", "''")}' (FORMAT parquet, COMPRESSION zstd)`);
    return rows;
  } catch (error) {
    throw engineError(error);
  } finally {
    signal?.removeEventListener('abort', interrupt);
    engine.close();
  }
}
