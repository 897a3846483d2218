import type { NamedExpr, OrderBy, Plan, PlanOp } from '../../../pushdown/plan/plan.js';
import { opSchema, planOpsMax, topKRowsMax } from '../../../pushdown/plan/schema.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import type { LogicalType } from '../../../pushdown/types/logical.js';
import type { Schema } from '../../../pushdown/types/schema.js';
import { type BoundExpression, type BoundOperator, aggregate, aggregateFunction, distinct, filter, limit, orderTerm, projection, topN } from './bound-plan.js';
import { logicalOf, sameType } from './duck-type.js';
import { type FindDataset, scanSource } from './scan-source.js';
import { type Input, type Typed, translateExpression } from './translate-expression.js';
import { conjunctionOf } from './translate-filter.js';

/** The part of a bound plan that is a Plan, and what stays above it. */
export interface Translation {
  readonly plan: Plan;
  /** The plan's columns, in order: what BOUND_REF #i above it means. */
  readonly types: readonly LogicalType[];
  /** Operators above the plan, nearest first; empty: the plan is the whole query. */
  readonly above: readonly BoundOperator[];
}

/** A plan under construction: `columns` is what BOUND_REF #i means, in terms of `schema`. */
interface State {
  readonly ops: readonly PlanOp[];
  readonly schema: Schema;
  readonly columns: Input;
  /** An aggregate, topK or limit is among the ops: cutting here saves rows. */
  readonly reduces: boolean;
}

/**
 * Cuts a bound plan into the longest chain from the scan up that is a Plan, and the operators above it. undefined when the
 * query reads anything but one dataset once, or when nothing but filters and columns could go down and something is left
 * above: then plain scans under the original SQL are simpler and as good.
 */
export function translatePlan(root: BoundOperator, find: FindDataset, callsUserCode = false): Translation | undefined {
  const chain = chainOf(root);
  const leaf = chain?.[0];
  const source = leaf?.type === 'LOGICAL_GET' ? scanSource(leaf, find) : undefined;
  if (!chain || !source?.exact) return undefined;
  const start: State = { ops: [], schema: source.dataset, columns: source.output, reduces: false };
  let state = source.predicates.length === 0 ? start : append(start, { kind: 'filter', predicate: conjunctionOf(source.predicates) }, source.output);
  let taken = 1;
  for (const node of chain.slice(1)) {
    const next = state && attempt(() => step(node, state as State));
    if (!next || next.ops.length >= planOpsMax) break;
    state = next;
    taken++;
  }
  const above = chain.slice(taken);
  // Users' functions run in kernels: what calls them goes down even if nothing else is won by it.
  if (!state || (above.length > 0 && !state.reduces && !callsUserCode)) return undefined;
  const last = attempt(() => materialize(state as State));
  const types = last?.columns.map((c) => c?.type);
  if (!last || !types?.every((t) => t !== undefined)) return undefined;
  return { plan: { dataset: source.dataset.name, ops: last.ops }, types, above };
}

/** Operators from the leaf up; undefined where the plan branches. */
function chainOf(root: BoundOperator): BoundOperator[] | undefined {
  const chain: BoundOperator[] = [];
  for (let node: BoundOperator | undefined = root; node; node = node.children[0]) {
    if (node.children.length > 1) return undefined;
    chain.unshift(node);
  }
  return chain;
}

function step(node: BoundOperator, state: State): State | undefined {
  switch (node.type) {
    case 'LOGICAL_FILTER': {
      const found = filter.safeParse(node).data;
      const predicates = found && typedAll(found.expressions, state);
      if (!found || !predicates || found.projection_map.length > 0) return undefined;
      return append(state, { kind: 'filter', predicate: conjunctionOf(predicates.map((p) => p.expr)) }, state.columns);
    }
    case 'LOGICAL_PROJECTION': return project(node, state);
    case 'LOGICAL_AGGREGATE_AND_GROUP_BY': return aggregation(node, state);
    case 'LOGICAL_DISTINCT': return distinctRows(node, state);
    case 'LOGICAL_TOP_N': {
      const found = topN.safeParse(node).data;
      if (!found || found.limit + found.offset > topKRowsMax) return undefined;
      const narrow = materialize(state);
      const orderBy = narrow && orders(found.orders, narrow);
      if (!orderBy || !narrow) return undefined;
      const sorted = append({ ...narrow, reduces: true }, { kind: 'topK', k: found.limit + found.offset, orderBy }, narrow.columns);
      return sorted && found.offset > 0 ? append(sorted, { kind: 'limit', count: found.limit, offset: found.offset }, sorted.columns) : sorted;
    }
    case 'LOGICAL_LIMIT': {
      const found = limit.safeParse(node).data;
      const count = found && rowCount(found.limit_val);
      const offset = found?.offset_val.type === 'UNSET' ? 0 : found && rowCount(found.offset_val);
      const narrow = materialize(state);
      return narrow && count !== undefined && offset !== undefined ? append({ ...narrow, reduces: true }, { kind: 'limit', count, offset }, narrow.columns) : undefined;
    }
    default: return undefined;
  }
}

function project(node: BoundOperator, state: State): State | undefined {
  const expressions = projection.safeParse(node).data?.expressions;
  const columns = expressions && typedAll(expressions, state);
  if (!columns) return undefined;
  // Renaming and reordering costs nothing until somebody needs the columns; computing happens here, once.
  return columns.every((c) => c.expr.kind === 'column') ? { ...state, columns } : computed(state, columns);
}

function computed(state: State, columns: readonly Typed[]): State | undefined {
  // A projection that reads no column has no rows to stand on in a kernel.
  if (!columns.some((c) => c.expr.kind !== 'literal')) return undefined;
  const named = columns.map((c, i): NamedExpr => ({ name: `c${state.ops.length}_${i}`, expr: c.expr }));
  return append(state, { kind: 'project', columns: named }, named.map((n, i) => ({ expr: { kind: 'column', name: n.name }, type: (columns[i] as Typed).type })));
}

/** The state with exactly its columns in its schema, in order: what leaves the scan is what somebody reads. */
function materialize(state: State): State | undefined {
  const columns = state.columns.filter((c) => c !== undefined);
  if (columns.length !== state.columns.length || columns.length === 0) return undefined;
  const names = columns.map((c) => (c.expr.kind === 'column' ? c.expr.name : undefined));
  const already = names.length === state.schema.columns.length && names.every((n, i) => n === state.schema.columns[i]?.name);
  return already && state.ops.length > 0 ? state : computed(state, columns);
}

function aggregation(node: BoundOperator, state: State): State | undefined {
  const found = aggregate.safeParse(node).data;
  const groups = found && typedAll(found.groups, state);
  if (!found || !groups || found.grouping_functions.length > 0) return undefined;
  const [set, ...others] = found.grouping_sets;
  if (others.length > 0 || (set ? set.length !== groups.length || new Set(set).size !== groups.length : groups.length > 0)) return undefined;
  const groupBy = groups.map((g, i): NamedExpr => ({ name: `g${i}`, expr: g.expr }));
  const aggregates = found.expressions.map((e, i) => aggregateOf(e, `a${i}`, state));
  if (!aggregates.every((a) => a !== undefined)) return undefined;
  const columns: Typed[] = [
    ...groups.map((g, i): Typed => ({ expr: { kind: 'column', name: `g${i}` }, type: g.type })),
    ...aggregates.map((a): Typed => ({ expr: { kind: 'column', name: a.plan.name }, type: a.type })),
  ];
  return append({ ...state, reduces: true }, { kind: 'aggregate', groupBy, aggregates: aggregates.map((a) => a.plan) }, columns);
}

type PlanAggregate = Extract<PlanOp, { kind: 'aggregate' }>['aggregates'][number];
const functions: Readonly<Record<string, PlanAggregate['fn']>> = { count_star: 'count', count: 'count', sum: 'sum', sum_no_overflow: 'sum', min: 'min', max: 'max', avg: 'avg', mean: 'avg' };

function aggregateOf(node: unknown, name: string, state: State): { plan: PlanAggregate; type: LogicalType } | undefined {
  const found = aggregateFunction.safeParse(node).data;
  const type = found && logicalOf(found.return_type);
  const fn = found && Object.hasOwn(functions, found.name) ? functions[found.name] : undefined;
  if (!found || !type || !fn || found.aggregate_type !== 'NON_DISTINCT' || found.filter || hasOrder(found.order_bys)) return undefined;
  if (found.children.length === 0) return found.name === 'count_star' ? { plan: { name, fn }, type } : undefined;
  const args = typedAll(found.children, state);
  return args?.length === 1 && args[0] ? { plan: { name, fn, arg: args[0].expr }, type } : undefined;
}

function hasOrder(orderBys: unknown): boolean {
  if (orderBys === null || orderBys === undefined) return false;
  const orders = (orderBys as { orders?: unknown }).orders;
  return !Array.isArray(orders) || orders.length > 0;
}

/** DISTINCT over all columns is a grouping by all of them. */
function distinctRows(node: BoundOperator, state: State): State | undefined {
  const found = distinct.safeParse(node).data;
  if (found?.distinct_type !== 'DISTINCT' || found.order_by) return undefined;
  const targets = typedAll(found.distinct_targets, state);
  const same = targets?.length === state.columns.length && found.distinct_targets.every((t, i) => t.expression_class === 'BOUND_REF' && t.index === i);
  if (!targets || !same) return undefined;
  const groupBy = targets.map((t, i): NamedExpr => ({ name: `g${i}`, expr: t.expr }));
  return append({ ...state, reduces: true }, { kind: 'aggregate', groupBy, aggregates: [] }, targets.map((t, i) => ({ expr: { kind: 'column', name: `g${i}` }, type: t.type })));
}

function orders(terms: readonly unknown[], state: State): OrderBy[] | undefined {
  const out: OrderBy[] = [];
  for (const term of terms) {
    const found = orderTerm.safeParse(term).data;
    const typed = found && translateExpression(found.expression, state.columns);
    const nulls = found && /^NULLS[ _](FIRST|LAST)$/.exec(found.null_order)?.[1];
    const direction = found && /^(ASC|DESC)ENDING$/.exec(found.type)?.[1];
    if (!typed || !nulls || !direction) return undefined;
    out.push({ expr: typed.expr, descending: direction === 'DESC', nullsFirst: nulls === 'FIRST' });
  }
  return out;
}

function rowCount(value: { type: string; constant_integer: number | string }): number | undefined {
  const n = Number(value.constant_integer);
  return value.type === 'CONSTANT_VALUE' && Number.isSafeInteger(n) && n >= 0 ? n : undefined;
}

function typedAll(nodes: readonly BoundExpression[], state: State): Typed[] | undefined {
  const typed = nodes.map((n) => translateExpression(n, state.columns));
  return typed.every((t) => t !== undefined) ? typed : undefined;
}

/** Adds an operator if our types of its columns are DuckDB's. */
function append(state: State, op: PlanOp, columns: Input): State | undefined {
  const schema = opSchema(op, state.schema, `ops[${state.ops.length}]`);
  const typed = columns.every((c) => {
    if (c?.expr.kind !== 'column') return true;
    const { name } = c.expr;
    const column = schema.columns.find((s) => s.name === name);
    return column !== undefined && sameType(column.type, c.type);
  });
  return typed ? { ...state, ops: [...state.ops, op], schema, columns } : undefined;
}

function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    // The plan's own rules say no: the operator stays above.
    if (error instanceof MillraceError) return undefined;
    throw error;
  }
}
