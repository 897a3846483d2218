import { sqlType } from '../../../pushdown/plan/sql-type.js';
import { quoteName, textSql } from '../../../pushdown/plan/sql-expr.js';
import type { NativeDuckDB } from '../../../native/index.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import type { LogicalType } from '../../../pushdown/types/logical.js';
import type { DatasetSchema } from '../../../pushdown/types/schema.js';
import type { SqlContext, SqlFunction } from './context.js';
import { calledNames, functionDdl } from './user-function.js';
import { type BoundOperator, type SerializedError, serialized } from './bound-plan.js';
import { logicalOfName } from './duck-type.js';
import { textRows } from './duck-result.js';
import { throwIfAborted } from './host-engines.js';
import { parseLossless } from './lossless-json.js';
import { isReadOnly } from './read-only.js';
import { planError, sqlLengthMax } from './sql-error.js';

/** A statement as DuckDB bound it. */
export interface BoundQuery {
  readonly sql: string;
  /** Absent when DuckDB cannot write the plan out: the statement is a query all the same. */
  readonly root?: BoundOperator;
  /** Result columns; `type` is undefined for types that leave DuckDB as text. */
  readonly columns: readonly { readonly name: string; readonly type: LogicalType | undefined }[];
  /** Datasets the text mentions: the only ones it can read. */
  readonly mentioned: readonly DatasetSchema[];
  find(table: string): DatasetSchema | undefined;
  /** Users' functions the text may call. */
  readonly functions: readonly SqlFunction[];
}

// The first six end in internal errors while the plan is written out, or draw conclusions from the shadow tables being empty.
// in_clause would turn IN lists into joins, sum_rewriter changes what sums are over, the last two move work below where we cut.
const disabledOptimizers = [
  'statistics_propagation', 'empty_result_pullup', 'column_lifetime', 'late_materialization', 'top_n_window_elimination', 'build_side_probe_side',
  'in_clause', 'sum_rewriter', 'compressed_materialization', 'sampling_pushdown',
];

/**
 * DuckDB as SQL front end: empty shadow tables with the datasets' logical types, statements bound and optimised over them,
 * never run. It can reach no file and no setting.
 */
export class SqlFrontEnd {
  readonly #open: () => NativeDuckDB;
  readonly #lookUp: SqlContext['functions'];
  #builtIn: ReadonlySet<string> | undefined;
  #engine: NativeDuckDB | undefined;
  /** Table name (lower case) to what it was made from. */
  #shadows = new Map<string, string>();
  #turn: Promise<unknown> = Promise.resolve();

  /** `open` gives an engine that is not locked yet: this class sets what it needs and locks it. */
  constructor(open: () => NativeDuckDB, functions?: SqlContext['functions']) {
    this.#open = open;
    this.#lookUp = functions;
  }

  /** @throws MillraceError MR_SQL_SYNTAX, MR_SQL_BIND, MR_SQL_UNSUPPORTED (with position where DuckDB gives one), MR_SQL_LIMIT */
  bind(sql: string, datasets: readonly DatasetSchema[], signal?: AbortSignal): Promise<BoundQuery> {
    const mine = this.#turn.then(() => this.#interruptible(sql, datasets, signal));
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  close(): void {
    this.#engine?.close();
    this.#engine = undefined;
    this.#shadows.clear();
  }

  /** Only the statement whose turn it is may be interrupted: the engine is shared. */
  async #interruptible(sql: string, datasets: readonly DatasetSchema[], signal: AbortSignal | undefined): Promise<BoundQuery> {
    throwIfAborted(signal);
    const interrupt = () => this.#engine?.interrupt();
    signal?.addEventListener('abort', interrupt, { once: true });
    try {
      return await this.#bind(sql, datasets);
    } catch (error) {
      throwIfAborted(signal);
      throw error;
    } finally {
      signal?.removeEventListener('abort', interrupt);
    }
  }

  async #bind(sql: string, datasets: readonly DatasetSchema[]): Promise<BoundQuery> {
    if (sql.length > sqlLengthMax) throw new MillraceError('MR_SQL_LIMIT', `The statement is longer than ${sqlLengthMax} characters.`, { httpStatus: 400 });
    if (sql.includes('\0')) throw new MillraceError('MR_SQL_SYNTAX', 'The statement contains a zero byte.', { httpStatus: 400, position: sql.indexOf('\0') });
    const mentioned = mentionedIn(sql, datasets);
    const tables = new Map(mentioned.map((d) => [d.name.toLowerCase(), d]));
    const engine = await this.#ready(mentioned);
    await this.#forget(engine, datasets);
    const functions = await this.#functions(engine, sql);
    const query = { sql, mentioned, functions, find: (table: string) => tables.get(table.toLowerCase()) };
    try {
      const [text] = textRows(await engine.query(`SELECT json_serialize_plan(${textSql(sql)}, optimize := true)`));
      const answer = serialized.safeParse(parseLossless(text?.[0] ?? 'null'));
      const refusal = answer.data?.error ? answer.data : undefined;
      if (!answer.success || (refusal && unwritable(refusal))) return { ...query, ...(await this.#unwritten(query, refusal)) };
      if (answer.data.error) throw planError(answer.data, sql, datasets.map((d) => d.name));
      const [root, ...others] = answer.data.plans;
      if (!root || others.length > 0) throw unsupported(root ? 'One statement at a time.' : 'There is no statement.');
      if (!isReadOnly(root)) throw unsupported('Only queries (SELECT, FROM, VALUES, WITH) are taken.');
      return { ...query, root, columns: await describe(engine, `DESCRIBE ${sql}`) };
    } catch (error) {
      // What is not about the statement is about the engine: after an internal error DuckDB refuses everything.
      if (!(error instanceof MillraceError) || !aboutStatement.test(error.code)) this.close();
      throw error;
    }
  }

  /** Some statements bind but their plans cannot be written out (PIVOT, internal errors): they run over whole scans. */
  async #unwritten({ sql, mentioned, functions }: Pick<BoundQuery, 'sql' | 'mentioned' | 'functions'>, error: SerializedError | undefined): Promise<{ sql: string; columns: BoundQuery['columns'] }> {
    if (error?.error_type === 'internal') this.close();
    const inner = `FROM (\n${sql.replace(/;\s*$/, '')}\n)`;
    try {
      // In parentheses only a query parses, and only one.
      const engine = await this.#ready(mentioned);
      await define(engine, functions);
      return { sql: inner, columns: await describe(engine, `DESCRIBE ${inner}`) };
    } catch (cause) {
      if (cause instanceof MillraceError && !aboutStatement.test(cause.code)) throw cause;
      throw unsupported(error ? `This statement is not supported: ${error.error_message}.` : 'This statement is not supported: only queries are.');
    }
  }

  /** Users' functions the text may call, defined: SQL's own names are nobody else's. */
  async #functions(engine: NativeDuckDB, sql: string): Promise<readonly SqlFunction[]> {
    const names = this.#lookUp ? calledNames(sql) : [];
    if (names.length === 0 || !this.#lookUp) return [];
    this.#builtIn ??= new Set(textRows(await engine.query('SELECT DISTINCT function_name FROM duckdb_functions() WHERE internal')).map(([name]) => name?.toLowerCase() ?? ''));
    const unknown = names.filter((name) => !this.#builtIn?.has(name));
    const functions = unknown.length > 0 ? await this.#lookUp(unknown) : [];
    await define(engine, functions);
    return functions;
  }

  async #ready(mentioned: readonly DatasetSchema[]): Promise<NativeDuckDB> {
    this.#engine ??= await lockedEngine(this.#open());
    for (const dataset of mentioned) await this.#shadow(this.#engine, dataset);
    return this.#engine;
  }

  /** Datasets that are gone: their names bind no more. */
  async #forget(engine: NativeDuckDB, datasets: readonly DatasetSchema[]): Promise<void> {
    const names = new Set(datasets.map((d) => d.name.toLowerCase()));
    for (const name of [...this.#shadows.keys()].filter((n) => !names.has(n))) {
      await engine.query(`DROP TABLE ${quoteName(name)}`);
      this.#shadows.delete(name);
    }
  }

  async #shadow(engine: NativeDuckDB, dataset: DatasetSchema): Promise<void> {
    const key = dataset.name.toLowerCase();
    const columns = dataset.columns.map((c) => `${quoteName(c.name)} ${sqlType(c.type)}`).join(', ');
    const ddl = `CREATE OR REPLACE TABLE ${quoteName(dataset.name)} (${columns})`;
    if (this.#shadows.get(key) === ddl) return;
    const folded = new Set(dataset.columns.map((c) => c.name.toLowerCase()));
    if (folded.size < dataset.columns.length) throw unsupported(`Dataset "${dataset.name}" has columns whose names differ in case only: SQL cannot tell them apart.`);
    await engine.query(ddl);
    this.#shadows.set(key, ddl);
  }
}

const aboutStatement = /^MR_SQL_(SYNTAX|BIND|UNSUPPORTED|LIMIT|FORBIDDEN)$/;

/** Sets what planning needs, then locks. An engine that is not locked is never kept. */
async function lockedEngine(engine: NativeDuckDB): Promise<NativeDuckDB> {
  try {
    for (const set of [`disabled_optimizers = ${textSql(disabledOptimizers.join(','))}`, 'enable_external_access = false', 'lock_configuration = true']) await engine.query(`SET ${set}`);
    return engine;
  } catch (error) {
    engine.close();
    throw error;
  }
}

/** DuckDB planned it but cannot say how. */
function unwritable(error: SerializedError): boolean {
  return error.error_type === 'not implemented' || error.error_type === 'internal' || /serializ/i.test(error.error_message);
}

/** A name that does not occur in the text (SQL folds case and doubles quotes) is not read by it. */
function mentionedIn(sql: string, datasets: readonly DatasetSchema[]): DatasetSchema[] {
  const text = sql.toLowerCase();
  const found = datasets.filter((d) => text.includes(d.name.toLowerCase().replaceAll('"', '""')));
  const folded = new Map<string, string>();
  for (const { name } of found) {
    const other = folded.get(name.toLowerCase());
    if (other !== undefined) throw unsupported(`Datasets "${other}" and "${name}" differ in case only: SQL cannot tell them apart.`);
    folded.set(name.toLowerCase(), name);
  }
  return found;
}

async function describe(engine: NativeDuckDB, statement: string): Promise<BoundQuery['columns']> {
  const rows = textRows(await engine.query(statement));
  return rows.map(([name, type]) => ({ name: name ?? '', type: logicalOfName(type ?? '') }));
}

async function define(engine: NativeDuckDB, functions: readonly SqlFunction[]): Promise<void> {
  for (const each of functions) for (const ddl of functionDdl(each)) await engine.query(ddl);
}

const unsupported = (detail: string) => new MillraceError('MR_SQL_UNSUPPORTED', detail, { httpStatus: 400 });
