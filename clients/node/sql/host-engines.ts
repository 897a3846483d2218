import { quoteName } from '../../../pushdown/plan/sql-expr.js';
import type { DuckResult, NativeDuckDB } from '../../../native/index.js';
import type { Batch } from '../../../pushdown/types/batch.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import type { Column } from '../../../pushdown/types/schema.js';
import { batchesOf, isCarried } from './duck-result.js';
import { duckTable } from './duck-table.js';
import { type HostFunction, HostFunctions } from './host-function.js';
import { engineError } from './sql-error.js';

interface HostEngine {
  readonly duck: NativeDuckDB;
  readonly functions: HostFunctions;
}

/** What a statement finds under a name. */
export interface HostTable {
  readonly name: string;
  /** Absent: `view` needs none. */
  readonly rows?: { readonly columns: readonly Column[]; readonly columnNames: readonly string[]; readonly batches: readonly Batch[] };
  /** The name as SQL over the name of the rows; absent: the rows as they are. */
  readonly view?: (rows: string) => string;
}

/**
 * Locked DuckDBs that run statements over given rows, one statement each at a time. An engine that failed is not used
 * again, and idle ones are kept up to a bound: opening one costs milliseconds.
 */
export class HostEngines {
  static readonly idleMax = 2;
  readonly #open: () => NativeDuckDB;
  readonly #idle: HostEngine[] = [];
  #closed = false;

  constructor(open: () => NativeDuckDB) {
    this.#open = open;
  }

  /**
   * functions: what the statement may call beside DuckDB's own. @throws MillraceError MR_SQL_* as DuckDB reports it, MR_KERNEL_* where a
   * function failed, MR_CANCELLED after an abort
   */
  async run(sql: string, tables: readonly HostTable[], signal: AbortSignal | undefined, functions: readonly HostFunction[] = []): Promise<{ columns: Column[]; batches: Batch[] }> {
    throwIfAborted(signal);
    const engine = this.#idle.pop() ?? this.#opened();
    const { duck } = engine;
    const interrupt = () => duck.interrupt();
    signal?.addEventListener('abort', interrupt, { once: true });
    try {
      const made = await tablesIn(duck, tables);
      const undefine = await engine.functions.define(functions);
      throwIfAborted(signal);
      const result = batchesOf(await carried(duck, sql));
      await undefine();
      for (const drop of made.reverse()) await drop();
      this.#keep(engine);
      return result;
    } catch (error) {
      duck.close();
      throwIfAborted(signal);
      throw engine.functions.failure ?? engineError(error);
    } finally {
      signal?.removeEventListener('abort', interrupt);
    }
  }

  close(): void {
    this.#closed = true;
    for (const { duck } of this.#idle.splice(0)) duck.close();
  }

  #opened(): HostEngine {
    const duck = this.#open();
    return { duck, functions: new HostFunctions(duck) };
  }

  #keep(engine: HostEngine): void {
    if (this.#closed || this.#idle.length >= HostEngines.idleMax) engine.duck.close();
    else this.#idle.push(engine);
  }
}

/** Rows of a statement; columns of a type that results have not come as text. */
async function carried(engine: NativeDuckDB, sql: string): Promise<DuckResult> {
  const result = await engine.query(sql);
  const asText = result.columns.map(({ format }) => !isCarried(format));
  if (!asText.includes(true)) return result;
  const names = asText.map((_, i) => `c${i}`);
  const cells = names.map((name, i) => (asText[i] ? `CAST(${name} AS VARCHAR)` : name));
  // The line break ends a comment at the statement's end.
  const again = await engine.query(`SELECT ${cells.join(', ')} FROM (${sql.replace(/[\s;]+$/, '')}\n) AS t(${names.join(', ')})`);
  return { ...again, columns: again.columns.map((column, i) => ({ ...column, name: result.columns[i]?.name ?? column.name })) };
}

async function tablesIn(engine: NativeDuckDB, tables: readonly HostTable[]): Promise<(() => Promise<unknown>)[]> {
  const drops: (() => Promise<unknown>)[] = [];
  for (const [i, table] of tables.entries()) {
    const rows = table.view ? `millrace rows ${i}` : table.name;
    if (table.rows) {
      const { columns, batches } = duckTable(table.rows.columns, table.rows.columnNames, table.rows.batches);
      await engine.registerTable(rows, columns, batches);
      drops.push(() => engine.dropTable(rows));
    }
    if (!table.view) continue;
    await engine.query(`CREATE OR REPLACE VIEW ${quoteName(table.name)} AS ${table.view(quoteName(rows))}`);
    drops.push(() => engine.query(`DROP VIEW ${quoteName(table.name)}`));
  }
  return drops;
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new MillraceError('MR_CANCELLED', 'The query was cancelled.', { cause: signal.reason });
}
