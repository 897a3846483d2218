import { MillraceError } from '../types/error.js';
import type { Schema } from '../types/schema.js';
import type { Aggregate, NamedExpr, OrderBy, Plan, PlanOp } from './plan.js';
import { opSchema } from './schema.js';
import { exprSql, quoteName } from './sql-expr.js';
import { sqlType } from './sql-type.js';

/**
 * `plan` as one DuckDB query over `table`, whose columns are `schema`'s (logical types). One CTE per operator. Where an
 * operator depends on row order a row number is carried along, so that first-appearance groups, ties and limits come out
 * as the plan says, given that DuckDB preserves the table's insertion order (its default).
 */
export function planSql(plan: Plan, schema: Schema, table: string): string {
  const ordered = plan.ops.some((op) => op.kind === 'aggregate' || op.kind === 'topK' || op.kind === 'limit');
  const row = quoteName(rowName(plan, schema));
  const ctes = [`s0 AS (SELECT ${columnList(schema)}${ordered ? `, row_number() OVER () AS ${row}` : ''} FROM ${quoteName(table)})`];
  let input = schema;
  plan.ops.forEach((op, i) => {
    ctes.push(`s${i + 1} AS (${opSql(op, input, `s${i}`, ordered ? row : undefined)})`);
    input = opSchema(op, input, `ops[${i}]`);
  });
  return `WITH ${ctes.join(', ')} SELECT ${columnList(input)} FROM s${plan.ops.length}${ordered ? ` ORDER BY ${row}` : ''}`;
}

function opSql(op: PlanOp, input: Schema, from: string, row: string | undefined): string {
  const rowColumn = row === undefined ? '' : `, ${row}`;
  switch (op.kind) {
    case 'filter':
      return `SELECT * FROM ${from} WHERE ${exprSql(op.predicate, input)}`;
    case 'project':
      return `SELECT ${named(op.columns, input).join(', ')}${rowColumn} FROM ${from}`;
    case 'aggregate': {
      const keys = named(op.groupBy, input);
      const values = op.aggregates.map((a) => `${aggregateSql(a, input)} AS ${quoteName(a.name)}`);
      const grouping = keys.length === 0 ? '' : ` GROUP BY ${keys.map((_, i) => i + 1).join(', ')}`;
      return `SELECT ${[...keys, ...values].join(', ')}, ${keys.length === 0 ? '1' : `min(${row})`} AS ${row} FROM ${from}${grouping}`;
    }
    case 'topK': {
      const order = [...op.orderBy.map((o) => orderSql(o, input)), row].join(', ');
      return `SELECT ${columnList(input)}, row_number() OVER (ORDER BY ${order}) AS ${row} FROM ${from} ORDER BY ${order} LIMIT ${op.k}`;
    }
    case 'limit':
      return `SELECT * FROM ${from} ORDER BY ${row} LIMIT ${op.count} OFFSET ${op.offset}`;
    case 'kernel':
      throw new MillraceError('MR_PLAN_UNSUPPORTED', `the kernel ${op.name} is no SQL`, { httpStatus: 422 });
    default:
      return op satisfies never;
  }
}

const columnList = (schema: Schema): string => schema.columns.map((c) => quoteName(c.name)).join(', ');
const named = (columns: readonly NamedExpr[], input: Schema): string[] => columns.map((c) => `${exprSql(c.expr, input)} AS ${quoteName(c.name)}`);
const orderSql = ({ expr, descending, nullsFirst }: OrderBy, input: Schema): string =>
  `${exprSql(expr, input)} ${descending ? 'DESC' : 'ASC'} NULLS ${nullsFirst ? 'FIRST' : 'LAST'}`;

function aggregateSql({ fn, arg, name }: Aggregate, input: Schema): string {
  if (!arg) return 'count(*)';
  const call = `${fn}(${exprSql(arg, input)})`;
  if (fn !== 'sum') return call;
  // DuckDB says HUGEINT for integers, plans say decimal(38, 0).
  const type = opSchema({ kind: 'aggregate', groupBy: [], aggregates: [{ fn, arg, name }] }, input, '').columns[0]!.type;
  return `CAST(${call} AS ${sqlType(type)})`;
}

/** DuckDB compares names without case. */
function rowName(plan: Plan, schema: Schema): string {
  const names = plan.ops.flatMap((op) => (op.kind === 'project' ? op.columns.map((c) => c.name) : op.kind === 'aggregate' ? [...op.groupBy, ...op.aggregates].map((c) => c.name) : []));
  const taken = new Set([...schema.columns.map((c) => c.name), ...names].map((n) => n.toLowerCase()));
  let name = 'mr_row';
  while (taken.has(name)) name += '_';
  return name;
}
