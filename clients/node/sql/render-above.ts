import { sqlType } from '../../../pushdown/plan/sql-type.js';
import type { LogicalType } from '../../../pushdown/types/logical.js';
import { type BoundExpression, type BoundOperator, aggregate, distinct, filter, limit, orderBy, orderTerm, projection, topN } from './bound-plan.js';
import { renderExpression } from './render-expression.js';

/** What the pushed part's rows are called where the host part reads them. Its columns are c0, c1, ... */
export const pushedRows = 'millrace_pushed_rows';

interface Step {
  readonly body: string;
  readonly columns: number;
}

/**
 * The operators above a pushed plan as SQL over its rows: one positional common table expression per operator. undefined
 * when one of them cannot be written back. `types` are the plan's columns; sums of integers are HUGEINT to DuckDB.
 */
export function renderAbove(above: readonly BoundOperator[], types: readonly LogicalType[]): string | undefined {
  const casts = types.map((t, i) => `CAST(c${i} AS ${t.kind === 'decimal' && t.precision === 38 && t.scale === 0 ? 'HUGEINT' : sqlType(t)})`);
  const ctes = [`s0(${names(types.length)}) AS (SELECT ${casts.join(', ')} FROM ${pushedRows})`];
  let columns = types.length;
  for (const [i, node] of above.entries()) {
    const step = renderStep(node, `s${i}`, columns);
    if (!step || step.columns === 0) return undefined;
    columns = step.columns;
    ctes.push(`s${i + 1}(${names(columns)}) AS (${step.body})`);
  }
  return `WITH ${ctes.join(',\n')}\nSELECT ${names(columns)} FROM s${above.length}`;
}

const names = (columns: number) => Array.from({ length: columns }, (_, i) => `c${i}`).join(', ');

function renderStep(node: BoundOperator, from: string, columns: number): Step | undefined {
  const whole = `SELECT ${names(columns)} FROM ${from}`;
  switch (node.type) {
    case 'LOGICAL_PROJECTION': {
      const parts = rendered(projection.safeParse(node).data?.expressions, columns);
      return parts && { body: `SELECT ${parts.join(', ')} FROM ${from}`, columns: parts.length };
    }
    case 'LOGICAL_FILTER': {
      const found = filter.safeParse(node).data;
      const parts = rendered(found?.expressions, columns);
      return parts && found?.projection_map.length === 0 ? { body: `${whole} WHERE ${parts.join(' AND ')}`, columns } : undefined;
    }
    case 'LOGICAL_ORDER_BY': {
      const found = orderBy.safeParse(node).data;
      const terms = found && found.projection_map.length === 0 ? orderTerms(found.orders, columns) : undefined;
      return terms ? { body: `${whole} ORDER BY ${terms}`, columns } : undefined;
    }
    case 'LOGICAL_TOP_N': {
      const found = topN.safeParse(node).data;
      const terms = found && orderTerms(found.orders, columns);
      return terms ? { body: `${whole} ORDER BY ${terms} LIMIT ${found.limit} OFFSET ${found.offset}`, columns } : undefined;
    }
    case 'LOGICAL_LIMIT': {
      const found = limit.safeParse(node).data;
      const count = found?.limit_val.type === 'CONSTANT_VALUE' ? ` LIMIT ${found.limit_val.constant_integer}` : found?.limit_val.type === 'UNSET' ? '' : undefined;
      const offset = found?.offset_val.type === 'CONSTANT_VALUE' ? ` OFFSET ${found.offset_val.constant_integer}` : found?.offset_val.type === 'UNSET' ? '' : undefined;
      return count !== undefined && offset !== undefined ? { body: `${whole}${count}${offset}`, columns } : undefined;
    }
    case 'LOGICAL_DISTINCT': {
      const found = distinct.safeParse(node).data;
      const all = found?.distinct_targets.length === columns && found.distinct_targets.every((t, i) => t.expression_class === 'BOUND_REF' && t.index === i);
      return found?.distinct_type === 'DISTINCT' && all && !found.order_by ? { body: `SELECT DISTINCT ${names(columns)} FROM ${from}`, columns } : undefined;
    }
    case 'LOGICAL_AGGREGATE_AND_GROUP_BY': return renderAggregate(node, from, columns);
    default: return undefined;
  }
}

const aggregates = new Set(['sum', 'min', 'max', 'count', 'avg', 'stddev_samp', 'stddev', 'var_samp', 'median', 'bool_and', 'bool_or']);

function renderAggregate(node: BoundOperator, from: string, columns: number): Step | undefined {
  const found = aggregate.safeParse(node).data;
  const groups = rendered(found?.groups, columns);
  if (!found || !groups || found.grouping_sets.length > 1 || found.grouping_functions.length > 0) return undefined;
  if ((found.grouping_sets[0]?.length ?? 0) !== groups.length) return undefined;
  const values = found.expressions.map((e) => {
    const args = rendered(e.children, columns);
    if (!args || e.filter || (e.order_bys !== null && e.order_bys !== undefined)) return undefined;
    if (e.name === 'count_star') return 'count(*)';
    const distinctWord = e.aggregate_type === 'DISTINCT' ? 'DISTINCT ' : '';
    return aggregates.has(e.name) && args.length === 1 ? `${e.name}(${distinctWord}${args.join(', ')})` : undefined;
  });
  if (!values.every((v) => v !== undefined)) return undefined;
  const by = groups.length > 0 ? ` GROUP BY ${groups.map((_, i) => i + 1).join(', ')}` : '';
  return { body: `SELECT ${[...groups, ...values].join(', ')} FROM ${from}${by}`, columns: groups.length + values.length };
}

function orderTerms(terms: readonly unknown[], columns: number): string | undefined {
  const parts = terms.map((t) => {
    const found = orderTerm.safeParse(t).data;
    const expression = found && renderExpression(found.expression, columns);
    const direction = found && /^(ASC|DESC)ENDING$/.exec(found.type)?.[1];
    const nulls = found && /^NULLS[ _](FIRST|LAST)$/.exec(found.null_order)?.[1];
    return expression && direction && nulls && `${expression} ${direction} NULLS ${nulls}`;
  });
  return parts.length > 0 && parts.every((p) => p) ? parts.join(', ') : undefined;
}

function rendered(nodes: readonly BoundExpression[] | undefined, columns: number): string[] | undefined {
  const parts = nodes?.map((n) => renderExpression(n, columns));
  return parts?.every((p) => p !== undefined) ? parts : undefined;
}
