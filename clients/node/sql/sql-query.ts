import { sqlType } from '../../../pushdown/plan/sql-type.js';
import { ofText } from '../../../pushdown/plan/opaque-text.js';
import { quoteName } from '../../../pushdown/plan/sql-expr.js';
import type { Batch } from '../../../pushdown/types/batch.js';
import { MillraceError, invariant } from '../../../pushdown/types/error.js';
import type { LogicalType } from '../../../pushdown/types/logical.js';
import type { Plan } from '../../../pushdown/plan/plan.js';
import type { Column, DatasetSchema } from '../../../pushdown/types/schema.js';
import type { PlanRun, PlanStats, SqlContext, SqlOptions } from './context.js';
import { SqlFrontEnd } from './front-end.js';
import { HostEngines, type HostTable } from './host-engines.js';
import type { PlainScan } from './plain-scans.js';
import { pushedRows } from './render-above.js';
import { type SqlPlan, agree, planSql, resultNames } from './sql-plan.js';

/** Ceilings of the DuckDBs of one client. The planner sees empty tables; the engines hold what a statement reads. */
export interface SqlLimits {
  readonly plannerMemoryBytes: number;
  readonly engineMemoryBytes: number;
  readonly engineThreads: number;
  /** Bytes of rows one statement may bring to the host for DuckDB to work on. */
  readonly hostRowBytesMax: number;
}
export const sqlLimits: SqlLimits = { plannerMemoryBytes: 256 << 20, engineMemoryBytes: 2 ** 30, engineThreads: 2, hostRowBytesMax: 2 ** 30 };

/** Rows of a statement as they come. `columns` is known before the first row; `stats` is whole after the last. */
export interface SqlRun extends AsyncIterable<Batch> {
  readonly columns: readonly { readonly name: string; readonly type: LogicalType }[];
  readonly plan: SqlPlan;
  stats(): PlanStats;
  /** The plans it ran so far, in order. */
  runs(): readonly PlanRun[];
}

/** SQL over datasets: one per client, made when the first statement comes. */
export class SqlEngine {
  readonly #context: SqlContext;
  readonly #limits: SqlLimits;
  readonly #frontEnd: SqlFrontEnd;
  readonly #hosts: HostEngines;

  constructor(context: SqlContext, limits: Partial<SqlLimits> = {}) {
    this.#context = context;
    this.#limits = { ...sqlLimits, ...limits };
    const { plannerMemoryBytes, engineMemoryBytes, engineThreads } = this.#limits;
    this.#frontEnd = new SqlFrontEnd(() => context.openDuckDB({ locked: false, memoryLimitBytes: plannerMemoryBytes, threads: 1 }), context.functions && ((names) => context.functions?.(names) ?? Promise.resolve([])));
    this.#hosts = new HostEngines(() => context.openDuckDB({ locked: true, memoryLimitBytes: engineMemoryBytes, threads: engineThreads }));
  }

  /**
   * How a statement would run. @throws MillraceError MR_SQL_SYNTAX, MR_SQL_BIND, MR_SQL_UNSUPPORTED with `position` (UTF-16
   * index into the text) where DuckDB gives one
   */
  async plan(text: string, signal?: AbortSignal, readable?: ReadonlySet<string>): Promise<SqlPlan> {
    const datasets = await this.#context.datasets();
    return planSql(await this.#frontEnd.bind(text, readable ? datasets.filter((d) => readable.has(d.name.toLowerCase())) : datasets, signal));
  }

  /** Runs a statement. The statement is checked before this resolves; errors of running come out of the iteration. */
  async run(text: string, options: SqlOptions = {}): Promise<SqlRun> {
    return this.runPlanned(await this.plan(text, options.signal, options.datasets), options);
  }

  runPlanned(plan: SqlPlan, options: SqlOptions = {}): SqlRun {
    const spent = new Spent();
    const names = resultNames(plan.columns);
    // Types that DuckDB has and results have not leave it as text.
    const columns = plan.columns.map((c, i) => ({ name: names[i] ?? c.name, type: c.type ?? ({ kind: 'utf8' } as const) }));
    const rows = this.#rows(plan, options, spent);
    return { columns, plan, stats: () => spent.total(), runs: () => spent.runs, [Symbol.asyncIterator]: () => renamed(rows, names) };
  }

  close(): void {
    this.#frontEnd.close();
    this.#hosts.close();
  }

  async *#rows(plan: SqlPlan, options: SqlOptions, spent: Spent): AsyncGenerator<Batch> {
    switch (plan.kind) {
      case 'plan': return yield* spent.on(this.#context.runPlan(plan.plan, options));
      case 'pushed': return yield* this.#pushed(plan, options, spent);
      case 'scans': {
        const functions = plan.functions.length > 0 ? ((await this.#context.hostFunctions?.(plan.functions)) ?? []) : [];
        const tables = plan.unread.map(unreadTable);
        for (const scan of plan.scans) tables.push(await this.#scanned(scan, options, spent));
        const result = await this.#hosts.run(plan.sql, tables, options.signal, functions);
        return yield* result.batches;
      }
      default: return plan satisfies never;
    }
  }

  async *#pushed(plan: Extract<SqlPlan, { kind: 'pushed' }>, options: SqlOptions, spent: Spent): AsyncGenerator<Batch> {
    const rows = await this.#collected(plan.plan, options, spent);
    const columnNames = plan.types.map((_, i) => `c${i}`);
    const table: HostTable = { name: pushedRows, rows: { columns: columnsOf(rows, columnNames, plan.types), columnNames, batches: rows } };
    let result: Awaited<ReturnType<HostEngines['run']>> | undefined;
    try {
      result = await this.#hosts.run(plan.hostSql, [table], options.signal);
    } catch (error) {
      // Bound again it may refuse what the original statement may say: the original decides.
      if (!(error instanceof MillraceError) || !/^MR_SQL_(SYNTAX|BIND|UNSUPPORTED)$/.test(error.code)) throw error;
    }
    if (result && agree(result.columns.map((c) => c.type), plan.columns)) return yield* result.batches;
    yield* this.#rows(plan.otherwise(), options, spent);
  }

  /** A scan's rows under its dataset's name. Columns the statement does not read are there by name, as NULL. */
  async #scanned(scan: PlainScan, options: SqlOptions, spent: Spent): Promise<HostTable> {
    const rows = await this.#collected(scan.plan, options, spent);
    const read = scan.columns.map((c) => scan.dataset.columns[c]);
    invariant(read.every((c) => c !== undefined), 'a scan reads columns of its dataset');
    const columnNames = read.map((c) => c.name);
    const view = (from: string) => `SELECT ${scan.dataset.columns.map((c, i) => (scan.columns.includes(i) ? restored(c) : nullColumn(c))).join(', ')} FROM ${from}`;
    return { name: scan.dataset.name, rows: { columns: columnsOf(rows, columnNames, read.map((c) => c.type)), columnNames, batches: rows }, view };
  }

  async #collected(plan: Plan, options: SqlOptions, spent: Spent): Promise<Batch[]> {
    const batches: Batch[] = [];
    let bytes = 0;
    for await (const batch of spent.on(this.#context.runPlan(plan, options))) {
      bytes += batch.data.reduce((sum, d) => sum + d.data.byteLength + (d.offsets?.byteLength ?? 0) + (d.validity?.byteLength ?? 0), 0);
      if (bytes > this.#limits.hostRowBytesMax) {
        throw new MillraceError('MR_SQL_MEMORY', `The statement needs more than ${this.#limits.hostRowBytesMax} bytes of rows on the host: filter or aggregate more below joins, windows and sorts.`, { httpStatus: 400 });
      }
      batches.push(batch);
    }
    return batches;
  }
}

/** What a scan gives as text is the value again. */
const restored = ({ name, type }: Column) => (type.kind === 'opaque' ? `${ofText(quoteName(name), type.sql)} AS ${quoteName(name)}` : quoteName(name));

const nullColumn = (c: Column) => `CAST(NULL AS ${sqlType(c.type)}) AS ${quoteName(c.name)}`;

/** DuckDB proved that no row of it matters: the name is all the statement needs. */
function unreadTable(dataset: DatasetSchema): HostTable {
  return { name: dataset.name, view: () => `SELECT ${dataset.columns.map(nullColumn).join(', ')} WHERE false` };
}

/** Columns as the batches have them; without any batch, the types' own. */
function columnsOf(batches: readonly Batch[], names: readonly string[], types: readonly LogicalType[]): readonly Column[] {
  const [first] = batches;
  return first ? first.columns : types.map((type, i): Column => ({ name: names[i] ?? '', type, physical: type.kind === 'utf8' || type.kind === 'opaque' ? 'utf8' : 'i64', nullable: true }));
}

async function* renamed(batches: AsyncIterable<Batch>, names: readonly string[]): AsyncGenerator<Batch> {
  for await (const batch of batches) yield { ...batch, columns: batch.columns.map((c, i) => ({ ...c, name: names[i] ?? c.name })) };
}

/** Sums what the plans of one statement cost. */
class Spent {
  readonly runs: PlanRun[] = [];

  on(run: PlanRun): PlanRun {
    this.runs.push(run);
    return run;
  }

  total(): PlanStats {
    const sum = (of: (s: PlanStats) => number) => this.runs.reduce((n, r) => n + of(r.stats()), 0);
    const modelled = this.runs.some((r) => r.stats().linkModelMs !== undefined) ? { linkModelMs: sum((s) => s.linkModelMs ?? 0) } : {};
    return { ...modelled, linkBytes: sum((s) => s.linkBytes), rowsScanned: sum((s) => s.rowsScanned), morselsDevice: sum((s) => s.morselsDevice), morselsHost: sum((s) => s.morselsHost), morselsPruned: sum((s) => s.morselsPruned), kernelMs: sum((s) => s.kernelMs) };
  }
}
