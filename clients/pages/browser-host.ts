import type { CompilePlan } from '../../pushdown/plan/compiled.js';
import { planOfJson } from '../../pushdown/plan/plan-json.js';
import type { Plan, PlanOp } from '../../pushdown/plan/plan.js';
import { planSql } from '../../pushdown/plan/sql.js';
import { MillraceError, invariant } from '../../pushdown/types/error.js';
import type { Batch } from '../../pushdown/types/batch.js';
import { userCodeIn } from '../../pushdown/user/user-code.js';
import { compilePlan } from '../../pushdown/wasm/compile-plan.js';
import { batchRows, type Row } from '../node/result/value.js';
import { HttpTransport } from '../node/transport/http-transport.js';
import { DatasetViews } from '../node/scan/dataset-view.js';
import { type ExecuteContext, PlanExecution } from '../node/scan/execute.js';
import { UserCodeLibrary } from '../node/user/user-code.js';
import type { Pushdown, QueryStats } from '../node/scan/options.js';
import { rowsOf } from '../node/result/row-slice.js';
import type { Api } from './api.js';
import { ResultDigest } from './result-digest.js';
import { Sha256 } from '../../pushdown/runtime/sha256.js';

/** One run of the same plan, merged in this browser. */
export interface BrowserRun {
  readonly pushdown: Pushdown;
  readonly stats: QueryStats;
  readonly rows: number;
  readonly resultDigest: string;
  /** Of the module this browser compiled and, where kernels ran here, ran. */
  readonly kernelDigest: string;
  /** Of the module the device took, as the daemon says; undefined: the device ran nothing. */
  readonly deviceKernelDigest: string | undefined;
}

export interface BrowserRuns {
  readonly runs: readonly BrowserRun[];
  /** Every result the same, every kernel the same bytes. */
  readonly equal: boolean;
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  /** What a SQL engine would do on top of these rows; undefined: nothing. */
  readonly hostSql: string | undefined;
}

interface PlanAnswer {
  readonly kind: 'plan' | 'pushed' | 'scans';
  readonly plan?: unknown;
  readonly columns?: readonly string[];
  readonly host?: string;
}

/**
 * Runs a statement's plan with this browser as its host: only the device, only the browser (chunks pulled, the same kernel
 * bytes), and both at once. What no kernel takes is left out and named. Throws MR_NEEDS_SQL_ENGINE when
 * the statement is no plan.
 */
export async function runInBrowser(api: Api, sql: string, rowsShownMax: number, signal: AbortSignal, onProgress: (text: string) => void): Promise<BrowserRuns> {
  onProgress('asking for the plan');
  const answer = await api.json<PlanAnswer>('/v1/plan', { method: 'POST', json: { sql }, signal });
  if (!answer.plan) throw new MillraceError('MR_NEEDS_SQL_ENGINE', `This statement is not one plan over one dataset: joins, set operations and the like need a SQL engine on the host, and this page has none. It would run there: ${answer.host ?? sql}`);
  const { runs, equal, columns, shown, rest } = await runPlanInBrowser(api, planOfJson(answer.plan), rowsShownMax, signal, onProgress);
  // Filters and sorts that were left out keep the columns; the others make new ones.
  const named = !rest?.ops.some((op) => op.kind === 'project' || op.kind === 'aggregate');
  const names = (named ? answer.columns : undefined) ?? columns;
  // Plans name columns their own way; the statement's names are those people know.
  const rows = shown.map((row) => Object.fromEntries(columns.map((column, i) => [names[i] ?? column, row[column] ?? null])));
  return { runs, equal, columns: names, rows, hostSql: [rest?.sql, answer.host].filter(Boolean).join(';\n') || undefined };
}

interface PlanRuns extends Pick<BrowserRuns, 'runs' | 'equal' | 'columns'> {
  readonly shown: readonly Row[];
  /** What no kernel takes. */
  readonly rest: { readonly ops: readonly PlanOp[]; readonly sql: string } | undefined;
}

/** The plan on the device, in this browser and on both. */
export async function runPlanInBrowser(api: Api, plan: Plan, rowsShownMax: number, signal: AbortSignal, onProgress: (text: string) => void): Promise<PlanRuns> {
  const transport = new HttpTransport(api, sha256);
  // What no kernel takes is named instead of run.
  let rest: { readonly ops: readonly PlanOp[]; readonly sql: string } | undefined;
  const compile: CompilePlan = (wanted, schema) => {
    const compiled = compilePlan(wanted, schema);
    // What calls users' functions runs here, by kernels.
    if (userCodeIn(compiled.rest).length > 0) return compiled;
    if (compiled.rest.length > 0) rest = { ops: compiled.rest, sql: planSql({ dataset: wanted.dataset, ops: compiled.rest }, { columns: compiled.output }, 'these_rows') };
    return { ...compiled, rest: [] };
  };
  const context: ExecuteContext = { views: new DatasetViews(api), userCode: new UserCodeLibrary(api, sha256), compile, engines: { run: noEngine }, transport: async () => transport };
  const runs: BrowserRun[] = [];
  const shown: Row[] = [];
  let columns: readonly string[] = [];
  for (const pushdown of ['always', 'never', 'auto'] as const) {
    onProgress({ always: 'the device runs the kernels', never: 'this browser pulls chunks and runs the kernels', auto: 'both at once, as they see fit' }[pushdown]);
    const execution = new PlanExecution(context, plan, { pushdown, signal });
    const digest = new ResultDigest();
    const batches: Batch[] = [];
    for await (const batch of execution) {
      digest.add(batch);
      if (runs.length === 0 && shown.length < rowsShownMax) shown.push(...batchRows(rowsOf(batch, 0, Math.min(batch.rows, rowsShownMax - shown.length))));
      if (batches.length === 0) batches.push(batch);
    }
    columns = execution.columns(batches).map((column) => column.name);
    const stats = execution.stats();
    const kernel = execution.prepared?.compiled.scan.wasm ?? new Uint8Array();
    runs.push({ pushdown, stats, rows: digest.rows, resultDigest: digest.hex(), kernelDigest: sha256(kernel), deviceKernelDigest: stats.morselsDevice > 0 ? await transport.deviceDigest(kernel) : undefined });
  }
  const equal = runs.every((run) => run.resultDigest === runs[0]?.resultDigest && run.kernelDigest === runs[0].kernelDigest && (run.deviceKernelDigest ?? run.kernelDigest) === run.kernelDigest);
  return { runs, equal, columns, shown, rest };
}

const sha256 = (bytes: Uint8Array): string => new Sha256().update(bytes).hex();

function noEngine(): never {
  return invariant(false, 'nothing is left for an engine') as never;
}
