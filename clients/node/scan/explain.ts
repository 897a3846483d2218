import { exprSql } from '../../../pushdown/plan/sql-expr.js';
import type { PlanOp } from '../../../pushdown/plan/plan.js';
import { opSchema } from '../../../pushdown/plan/schema.js';
import type { Schema } from '../../../pushdown/types/schema.js';
import type { Plan } from '../../../pushdown/plan/plan.js';
import { type ExecuteContext, PlanExecution } from './execute.js';
import { resolvePlan } from '../user/resolve-plan.js';
import type { Pushdown, QueryOptions, QueryStats } from './options.js';
import { type Prepared, prepare } from './prepare.js';

export interface ExplainOptions extends QueryOptions {
  /** Runs the query and fills in what really happened. */
  readonly analyze?: boolean;
}

/** One line of EXPLAIN, top operator first; ids carry the depth as TiDB's do. */
export interface ExplainRow {
  readonly id: string;
  readonly op: string;
  /** null: nothing is known before it runs. */
  readonly estRows: number | null;
  readonly actRows: number | null;
  readonly where: 'device' | 'host' | 'device+host' | 'link' | 'none';
  /** Bytes that crossed the link here; null: not run, or not over the link. */
  readonly bytes: number | null;
  /** Milliseconds; null: not run, or not measured on its own. */
  readonly time: number | null;
  /** Milliseconds by the daemon's model of the link; absent: not run, or nothing is modelled here. */
  readonly linkModelMs?: number;
  readonly info: string;
}

export interface Explanation {
  readonly plan: readonly ExplainRow[];
  /** Figures of the run; only with analyze. */
  readonly stats?: QueryStats;
}

export async function explainPlan(context: ExecuteContext, plan: Plan, options: ExplainOptions = {}): Promise<Explanation> {
  const pushdown = options.pushdown ?? 'auto';
  if (!options.analyze) {
    // Old knowledge of the dataset would explain a plan that will not run.
    context.views.forget(plan.dataset);
    const prepared = await prepare(await resolvePlan(plan, context.userCode), await context.views.get(plan.dataset), context.compile);
    return { plan: lines(prepared, pushdown, undefined) };
  }
  const execution = new PlanExecution(context, plan, options);
  for await (const _ of execution);
  return explainRun(execution, pushdown);
}

/** Where the parts of a compiled plan would run. */
export function explainPrepared(prepared: Prepared, pushdown: Pushdown): ExplainRow[] {
  return lines(prepared, pushdown, undefined);
}

/** Explains a plan that has run. */
export function explainRun(execution: PlanExecution, pushdown: Pushdown): Explanation {
  const stats = execution.stats();
  return { plan: execution.prepared ? lines(execution.prepared, pushdown, stats) : [], stats };
}

function lines(prepared: Prepared, pushdown: Pushdown, stats: QueryStats | undefined): ExplainRow[] {
  const { plan, compiled, schema, rowGroups, view } = prepared;
  const scanRows = rowGroups.reduce((rows, rowGroup) => rows + view.layout.rows(rowGroup), 0);
  const where = stats ? placeOf(stats) : rowGroups.length === 0 ? 'none' : { always: 'device', never: 'host', auto: 'device+host' } [pushdown] as ExplainRow['where'];
  // The compiler takes filters apart and may push some of one: its rest names what stays, conjunct by conjunct.
  const steps = plan.ops.flatMap((op): PlanOp[] => (op.kind === 'filter' && op.predicate.kind === 'and' ? op.predicate.args.map((predicate) => ({ kind: 'filter', predicate })) : [op]));
  const kept = new Set<unknown>(compiled.rest.map((op) => (op.kind === 'filter' ? op.predicate : op)));
  const ops = describe(steps, schema).map((described, i) => ({ ...described, step: steps[i]! })); // one each
  const pushed = ops.filter(({ step }) => !kept.has(step.kind === 'filter' ? step.predicate : step));
  const rows: Omit<ExplainRow, 'id'>[] = [];
  const none = { estRows: null, actRows: null, bytes: null, time: null } as const;
  for (const op of ops.filter((each) => !pushed.includes(each)).reverse()) rows.push({ ...none, estRows: op.estRows, op: op.name, where: 'host', info: `${op.text}; in DuckDB over the merged rows${reasonFor(prepared, op.step, false)}` });
  rows.push({ ...none, op: compiled.merge.kind === 'concat' ? 'Concat' : 'MergeKernel', where: 'host', info: mergeText(prepared) });
  rows.push({ ...none, op: 'Exchange', where: 'link', bytes: stats?.linkBytes ?? null, ...(stats?.linkModelMs === undefined ? {} : { linkModelMs: stats.linkModelMs }), info: exchangeText(pushdown, stats) });
  for (const op of pushed.toReversed()) rows.push({ ...none, estRows: op.estRows, op: op.name, where, info: `${op.text}${reasonFor(prepared, op.step, true)}` });
  const columns = compiled.scan.inputColumns.map((column) => schema.columns[column]?.name).join(', ');
  rows.push({ ...none, op: 'Scan', estRows: scanRows, actRows: stats?.rowsScanned ?? null, where, info: `${plan.dataset}: ${rowGroups.length} of ${view.layout.rowGroups} row groups after zone maps; columns ${columns || 'none'}` });
  if (rows[0] && stats) rows[0] = { ...rows[0], actRows: stats.rows, time: Math.round(stats.ms * 1000) / 1000 };
  return rows.map((row, depth) => ({ id: `${depth === 0 ? '' : `${'  '.repeat(depth - 1)}└─`}${row.op}_${rows.length - depth}`, ...row }));
}

interface Described { readonly name: string; readonly text: string; readonly estRows: number | null }

function describe(ops: readonly PlanOp[], input: Schema): Described[] {
  let schema = input;
  return ops.map((op, i) => {
    const described = describeOp(op, schema);
    schema = opSchema(op, schema, `ops[${i}]`);
    return described;
  });
}

function describeOp(op: PlanOp, schema: Schema): Described {
  switch (op.kind) {
    case 'filter':
      return { name: 'Filter', text: exprSql(op.predicate, schema), estRows: null };
    case 'project':
      return { name: 'Project', text: op.columns.map((c) => `${c.name}: ${exprSql(c.expr, schema)}`).join(', '), estRows: null };
    case 'aggregate': {
      const keys = op.groupBy.map((k) => exprSql(k.expr, schema)).join(', ');
      const values = op.aggregates.map((a) => `${a.name}: ${a.fn}(${a.arg ? exprSql(a.arg, schema) : '*'})`).join(', ');
      return { name: 'PartialAggregate', text: keys ? `group by ${keys}; ${values}` : values, estRows: op.groupBy.length === 0 ? 1 : null };
    }
    case 'topK':
      return { name: 'TopK', text: `${op.k} rows by ${op.orderBy.map((o) => `${exprSql(o.expr, schema)}${o.descending ? ' desc' : ''}`).join(', ')}`, estRows: op.k };
    case 'limit':
      return { name: 'Limit', text: `${op.count} rows${op.offset ? ` from row ${op.offset}` : ''}`, estRows: op.count };
    case 'kernel':
      return { name: 'Kernel', text: `${op.name}${op.params ? ` (${op.params.trim().replaceAll('\n', ', ')})` : ''}, module sha256:${op.target?.digest ?? 'unknown'}`, estRows: null };
    default:
      return op satisfies never;
  }
}

function reasonFor({ compiled }: Prepared, step: PlanOp, pushed: boolean): string {
  const decision = compiled.decisions.find((d) => d.op === step.kind && (d.support !== 'unsupported') === pushed);
  return decision ? ` (${decision.support}: ${decision.reason})` : '';
}

function mergeText({ compiled: { merge } }: Prepared): string {
  if (merge.kind === 'kernel') return 'folds the partial results of all row groups, in their order';
  return merge.limit === undefined ? 'row groups in order' : `row groups in order, ${merge.limit} rows from row ${merge.offset}`;
}

function exchangeText(pushdown: Pushdown, stats: QueryStats | undefined): string {
  if (stats) return `${stats.transport}: results of ${stats.morselsDevice} morsels from the device, chunks of ${stats.morselsHost} to the host (pushdown=${pushdown})`;
  return { always: 'results only: the host claims nothing', never: 'column chunks: the device runs nothing', auto: 'results of the morsels the device runs, chunks of those the host claims from the tail' }[pushdown];
}

const placeOf = (stats: QueryStats): ExplainRow['where'] => ({ device: 'device', host: 'host', both: 'device+host', none: 'none' } as const)[stats.place];
