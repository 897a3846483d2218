import { castable, inferNullable, inferType, findColumn, typeName } from '../expr/infer.js';
import { isFloat, isInteger } from '../expr/common-type.js';
import { MillraceError } from '../types/error.js';
import type { LogicalType } from '../types/logical.js';
import type { PhysicalType } from '../types/physical.js';
import type { Column, Schema } from '../types/schema.js';
import type { Aggregate, KernelTarget, NamedExpr, Plan, PlanOp } from './plan.js';

/** Rows a topK may keep: it sorts in memory wherever it runs. */
export const topKRowsMax = 1_000_000;
/** Operators one plan may have. */
export const planOpsMax = 64;

/**
 * Checks `plan` against the dataset it reads and gives the columns of its result. Physical types are the widest natural
 * ones unless a column passes through unchanged, which keeps its storage type, bounds and dictionary.
 * @throws MillraceError MR_PLAN_*; field names the operator and the column, e.g. `ops[1].columns[0] "x"`
 */
export function planSchema(plan: Plan, dataset: Schema): Schema {
  if (plan.ops.length > planOpsMax) throw new MillraceError('MR_PLAN_LIMIT', `a plan may have ${planOpsMax} operators, this has ${plan.ops.length}`, { field: 'ops', httpStatus: 400 });
  return plan.ops.reduce<Schema>((schema, op, i) => opSchema(op, schema, `ops[${i}]`), dataset);
}

/** The schema above `op` when `input` is below it. `at` is what errors name. */
export function opSchema(op: PlanOp, input: Schema, at: string): Schema {
  switch (op.kind) {
    case 'filter': {
      const type = located(`${at}.predicate`, () => inferType(op.predicate, input));
      if (type.kind !== 'bool') throw planError('MR_PLAN_TYPE', `a filter needs a bool, not ${typeName(type)}`, `${at}.predicate`);
      return input;
    }
    case 'project':
      return { columns: namedColumns(op.columns, input, `${at}.columns`, true) };
    case 'aggregate': {
      if (op.groupBy.length + op.aggregates.length === 0) throw planError('MR_PLAN_EMPTY', 'an aggregate needs a key or a function', at);
      for (const [i, key] of op.groupBy.entries()) located(`${at}.groupBy[${i}] "${key.name}"`, () => inferType(key.expr, input));
      const keys = namedColumns(op.groupBy, input, `${at}.groupBy`, false);
      const values = op.aggregates.map((a, i) => located(`${at}.aggregates[${i}] "${a.name}"`, () => aggregateColumn(a, input, op.groupBy.length > 0)));
      const columns = [...keys, ...values];
      mustBeUnique(columns, at);
      return { columns };
    }
    case 'topK':
      mustBeCount(op.k, `${at}.k`, topKRowsMax);
      if (op.orderBy.length === 0) throw planError('MR_PLAN_EMPTY', 'topK needs at least one order', `${at}.orderBy`);
      for (const [i, o] of op.orderBy.entries()) located(`${at}.orderBy[${i}]`, () => inferType(o.expr, input));
      return input;
    case 'limit':
      mustBeCount(op.count, `${at}.count`, Number.MAX_SAFE_INTEGER);
      mustBeCount(op.offset, `${at}.offset`, Number.MAX_SAFE_INTEGER);
      return input;
    case 'kernel':
      return { columns: kernelColumns(op, input, at) };
    default:
      return op satisfies never;
  }
}

function namedColumns(exprs: readonly NamedExpr[], input: Schema, at: string, needed: boolean): Column[] {
  if (needed && exprs.length === 0) throw planError('MR_PLAN_EMPTY', 'a projection needs at least one column', at);
  const columns = exprs.map((c, i) => located(`${at}[${i}] "${c.name}"`, () => exprColumn(c, input)));
  mustBeUnique(columns, at);
  return columns;
}

/** The column an expression makes. */
export function exprColumn({ name, expr }: NamedExpr, input: Schema): Column {
  if (expr.kind === 'column') return { ...findColumn(expr.name, input), name };
  const type = inferType(expr, input);
  return { name, type, physical: naturalPhysical(type), nullable: inferNullable(expr, input) };
}

/** @throws MillraceError MR_PLAN_TYPE when the function does not take the argument */
export function aggregateColumn(aggregate: Aggregate, input: Schema, grouped: boolean): Column {
  const { name, fn, arg } = aggregate;
  if (!arg) {
    if (fn !== 'count') throw new MillraceError('MR_PLAN_TYPE', `${fn} needs an argument`, { httpStatus: 400 });
    return { name, type: { kind: 'int64' }, physical: 'i64', nullable: false };
  }
  const from = inferType(arg, input);
  if (fn === 'count') return { name, type: { kind: 'int64' }, physical: 'i64', nullable: false };
  // Without groups the only row exists even over no rows: its values are NULL then.
  const nullable = !grouped || inferNullable(arg, input);
  if (fn === 'min' || fn === 'max') return { ...exprColumn({ name, expr: arg }, input), nullable };
  const type = fn === 'sum' ? sumType(from) : from.kind === 'decimal' || isInteger(from) || isFloat(from) ? ({ kind: 'float64' } as const) : undefined;
  if (!type) throw new MillraceError('MR_PLAN_TYPE', `${fn} does not take ${typeName(from)}`, { httpStatus: 400 });
  return { name, type, physical: naturalPhysical(type), nullable };
}

/** DuckDB: HUGEINT for integers, decimal(38, s), double; undefined: sum does not take it. */
export function sumType(from: LogicalType): LogicalType | undefined {
  if (isFloat(from)) return { kind: 'float64' };
  if (isInteger(from)) return { kind: 'decimal', precision: 38, scale: 0 };
  return from.kind === 'decimal' ? { kind: 'decimal', precision: 38, scale: from.scale } : undefined;
}

/** The storage a computed value of `type` has when nothing narrower is proven. */
export function naturalPhysical(type: LogicalType): PhysicalType {
  switch (type.kind) {
    case 'bool':
      return 'bool';
    case 'int8':
      return 'i8';
    case 'int16':
    case 'uint8':
      return 'i16';
    case 'int32':
    case 'uint16':
    case 'date':
      return 'i32';
    case 'int64':
    case 'uint32':
    case 'timestamp':
      return 'i64';
    case 'float32':
      return 'f32';
    case 'float64':
      return 'f64';
    case 'utf8':
    case 'opaque':
      return 'utf8';
    case 'decimal':
      return type.precision <= 9 ? 'i32' : type.precision <= 18 ? 'i64' : 'i128';
    default:
      return type satisfies never;
  }
}

function kernelColumns({ name, target }: Extract<PlanOp, { kind: 'kernel' }>, input: Schema, at: string): readonly Column[] {
  if (!target) throw planError('MR_KERNEL_NOT_FOUND', `the kernel ${name} is not known here`, at);
  located(`${at} "${name}"`, () => kernelInputs(target, input.columns));
  const columns = target.merged ?? target.output;
  mustBeUnique(columns, at);
  return columns;
}

/**
 * The types a kernel gets its input columns in: those it asks for, or each column's own (decimals as float64).
 * @throws MillraceError MR_PLAN_TYPE when the columns are not what it asks for
 */
export function kernelInputs({ input: wanted }: KernelTarget, columns: readonly Column[]): LogicalType[] {
  const error = (detail: string) => new MillraceError('MR_PLAN_TYPE', detail, { httpStatus: 400 });
  if (!wanted) {
    return columns.map(({ name, type }) => {
      if (type.kind === 'opaque') throw error(`"${name}" is ${typeName(type)}, which no kernel takes: select other columns`);
      return type.kind === 'decimal' ? { kind: 'float64' } : type;
    });
  }
  const least = wanted.repeatsLast ? wanted.columns.length - 1 : wanted.columns.length;
  const list = wanted.columns.map((c) => `${c.name} ${typeName(c.type)}`).join(', ');
  if (columns.length < least || (!wanted.repeatsLast && columns.length > least)) throw error(`it takes ${wanted.repeatsLast ? `${least} or more columns (${list} ...)` : `${least} columns (${list})`}, not ${columns.length}`);
  return columns.map(({ name, type: from }, i) => {
    const { type } = wanted.columns[Math.min(i, wanted.columns.length - 1)]!; // at least one where columns are taken
    if (!castable(from, type)) throw error(`column "${name}" is ${typeName(from)} where it takes ${typeName(type)}`);
    return type;
  });
}

function mustBeUnique(columns: readonly Column[], at: string): void {
  const seen = new Set<string>();
  for (const { name } of columns) {
    if (seen.has(name)) throw planError('MR_PLAN_DUPLICATE_COLUMN', `two columns are called "${name}": give one another name`, `${at} "${name}"`);
    seen.add(name);
  }
}

function mustBeCount(n: number, at: string, max: number): void {
  if (!Number.isSafeInteger(n) || n < 0 || n > max) throw planError('MR_PLAN_LIMIT', `needs an integer from 0 to ${max}, not ${n}`, at);
}

const planError = (code: string, detail: string, field: string) => new MillraceError(code, `${field}: ${detail}`, { field, httpStatus: 400 });

/** Errors of expressions do not know where they stand in the plan: say it. */
function located<T>(at: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof MillraceError) throw new MillraceError(error.code, `${at}: ${error.message}`, { ...error.at, field: error.at.field === undefined ? at : `${at} "${error.at.field}"` });
    throw error;
  }
}
