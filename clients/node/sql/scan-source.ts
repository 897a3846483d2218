import type { Expr } from '../../../pushdown/expr/expr.js';
import { inferType } from '../../../pushdown/expr/infer.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import type { DatasetSchema } from '../../../pushdown/types/schema.js';
import { type BoundExpression, type BoundGet, type BoundOperator, conjunction, get } from './bound-plan.js';
import { logicalOf, sameType } from './duck-type.js';
import { type Input, type Typed, translateExpression } from './translate-expression.js';
import { translateFilter } from './translate-filter.js';

/** Finds a dataset by the name its shadow table has. */
export type FindDataset = (table: string) => DatasetSchema | undefined;

/** A bound scan of one dataset. */
export interface ScanSource {
  readonly dataset: DatasetSchema;
  /** Columns the scan reads, filters included: positions in the dataset. */
  readonly reads: readonly number[];
  /** What BOUND_REF #i above the scan means. */
  readonly output: Input;
  /** Gives a virtual column (row id). */
  readonly virtual: boolean;
  /** Predicates the storage can take. */
  readonly predicates: readonly Expr[];
  /** Whether `predicates` is all the scan filters. */
  readonly exact: boolean;
}

/** Reads a LOGICAL_GET; undefined when it is no scan of a dataset, or of a kind not known here. */
export function scanSource(node: BoundOperator, find: FindDataset): ScanSource | undefined {
  const found = get.safeParse(node).data;
  const dataset = found && found.name === 'seq_scan' ? find(found.function_data.table) : undefined;
  if (!found || !dataset || found.extra_info?.sample_options || !sameColumns(found, dataset)) return undefined;
  // Fields of a struct: only columns that come whole, as text, have any.
  if (found.column_indexes.some((c) => c.child_indexes.length > 0 && !(typeof c.index === 'number' && dataset.columns[c.index]?.type.kind === 'opaque'))) return undefined;
  const columns = dataset.columns.map((c): Typed | undefined => (c.type.kind === 'opaque' ? undefined : { expr: { kind: 'column', name: c.name }, type: c.type }));
  const indexes = found.column_indexes.map((c) => c.index);
  // Virtual columns (row id, "no column") have indexes no dataset reaches.
  const real = indexes.map((i) => (typeof i === 'number' && i < columns.length ? i : undefined));
  const given = found.projection_ids.length > 0 ? found.projection_ids.map((p) => real[p]) : real;
  const output = given.map((i) => (i === undefined ? undefined : columns[i]));
  const predicates: Expr[] = [];
  let exact = true;
  for (const { key, value } of found.table_filters.filters) {
    const column = columns[key];
    const verdict = column ? translateFilter(value, column) : undefined;
    if (verdict && 'predicate' in verdict && typesAsBound(verdict.predicate, dataset)) predicates.push(verdict.predicate);
    else if (verdict?.kind !== 'optional') exact = false;
    if (verdict?.kind === 'inexact') exact = false;
  }
  return { dataset, reads: real.filter((i) => i !== undefined), output, virtual: given.includes(undefined), predicates, exact };
}

/** Conjuncts of filter expressions that the storage can take, and whether they are all. */
export function pushableConjuncts(expressions: readonly BoundExpression[], input: Input, schema: DatasetSchema): { predicates: Expr[]; exact: boolean } {
  const conjuncts = expressions.flatMap((e) => (e.expression_class === 'BOUND_CONJUNCTION' && e.type === 'CONJUNCTION_AND' ? (conjunction.safeParse(e).data?.children ?? [e]) : [e]));
  const translated = conjuncts.map((e) => translateExpression(e, input));
  const predicates = translated.flatMap((t) => (t?.type.kind === 'bool' && typesAsBound(t.expr, schema) ? [t.expr] : []));
  return { predicates, exact: predicates.length === conjuncts.length };
}

function typesAsBound(predicate: Expr, schema: DatasetSchema): boolean {
  try {
    return inferType(predicate, schema).kind === 'bool';
  } catch (error) {
    if (error instanceof MillraceError) return false;
    throw error;
  }
}

function sameColumns(found: BoundGet, dataset: DatasetSchema): boolean {
  return found.names.length === dataset.columns.length
    && dataset.columns.every((c, i) => {
      if (c.type.kind === 'opaque') return c.name === found.names[i];
      const bound = found.returned_types[i] && logicalOf(found.returned_types[i]);
      return c.name === found.names[i] && bound !== undefined && sameType(bound, c.type);
    });
}
