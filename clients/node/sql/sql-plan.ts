import { sqlType } from '../../../pushdown/plan/sql-type.js';
import type { Plan } from '../../../pushdown/plan/plan.js';
import type { LogicalType } from '../../../pushdown/types/logical.js';
import type { DatasetSchema } from '../../../pushdown/types/schema.js';
import type { SqlFunction } from './context.js';
import type { BoundQuery } from './front-end.js';
import { sameType } from './duck-type.js';
import { type PlainScan, plainScans, wholeScan } from './plain-scans.js';
import { renderAbove } from './render-above.js';
import { translatePlan } from './translate-plan.js';
import { calledIn } from './user-function.js';

/** How a statement runs. Nothing but plans of ours and SQL text is ever executed. */
export type SqlPlan =
  /** The statement is a plan. */
  | { readonly kind: 'plan'; readonly plan: Plan; readonly columns: SqlColumns; readonly types: readonly LogicalType[] }
  /** A plan reduces the rows; operators above it run as SQL over its result. */
  | { readonly kind: 'pushed'; readonly plan: Plan; readonly types: readonly LogicalType[]; readonly hostSql: string; readonly columns: SqlColumns; readonly otherwise: () => SqlPlan }
  /** The original statement over filtered, projected scans. */
  | { readonly kind: 'scans'; readonly scans: readonly PlainScan[]; /** Named, but none of their rows matters. */ readonly unread: readonly DatasetSchema[]; readonly sql: string; readonly columns: SqlColumns; /** Users' functions the text may call: DuckDB asks the host for their rows. */ readonly functions: readonly SqlFunction[] };

export type SqlColumns = BoundQuery['columns'];

/** Chooses the furthest push that is exactly the statement. */
export function planSql(query: BoundQuery): SqlPlan {
  const { root, columns, sql } = query;
  const scans = (): SqlPlan => {
    const read = root ? plainScans(root, query.find) : query.mentioned.map(wholeScan);
    return { kind: 'scans', scans: read, unread: query.mentioned.filter((d) => !read.some((s) => s.dataset === d)), sql, columns, functions: root ? calledIn(root, query.functions) : query.functions };
  };
  const translation = root && translatePlan(root, query.find, query.functions.length > 0);
  if (!translation) return scans();
  const { plan, types, above } = translation;
  if (above.length === 0) return agree(types, columns) ? { kind: 'plan', plan, columns, types } : scans();
  const hostSql = renderAbove(above, types);
  return hostSql ? { kind: 'pushed', plan, types, hostSql, columns, otherwise: scans } : scans();
}

/** Whether the columns we would give are those DuckDB promises for the statement. */
export function agree(types: readonly LogicalType[], columns: SqlColumns): boolean {
  return types.length === columns.length && columns.every((c, i) => c.type !== undefined && types[i] !== undefined && sameType(c.type, types[i]));
}

/** Result column names: as the statement says, repeated ones numbered so that rows as objects lose nothing. */
export function resultNames(columns: SqlColumns): string[] {
  const taken = new Set<string>();
  return columns.map(({ name }) => {
    let unique = name;
    for (let n = 1; taken.has(unique); n++) unique = `${name}_${n}`;
    taken.add(unique);
    return unique;
  });
}

/** One line per part: what runs where, for `explain`. */
export function describeSqlPlan(plan: SqlPlan): string[] {
  switch (plan.kind) {
    case 'plan': return ['whole statement as one plan'];
    case 'pushed': return ['plan below, the operators above it by DuckDB on the host', ...plan.hostSql.split('\n')];
    case 'scans': return [
      'statement by DuckDB on the host over filtered scans',
      ...(plan.functions.length > 0 ? [`functions DuckDB asks the host for, by their own modules: ${plan.functions.map((f) => f.name).join(', ')}`] : []),
      ...plan.scans.map((s) => `scan of ${s.dataset.name}: ${s.plan.ops.some((o) => o.kind === 'filter') ? 'filtered' : 'whole'}, columns ${s.columns.map((c) => `${s.dataset.columns[c]?.name} ${sqlType((s.dataset.columns[c] as (typeof s.dataset.columns)[number]).type)}`).join(', ')}`),
    ];
    default: return plan satisfies never;
  }
}
