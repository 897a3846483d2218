import type { Expr } from '../../expr/expr.js';
import { findColumn } from '../../expr/infer.js';
import type { PlanOp } from '../../plan/plan.js';
import { type Partial, type Partials, partialsOf, sumPhysical } from '../../plan/partials.js';
import { opSchema } from '../../plan/schema.js';
import { invariant } from '../../types/error.js';
import type { PhysicalType } from '../../types/physical.js';
import type { Column, DatasetSchema } from '../../types/schema.js';
import type { Node, Rep } from '../ir.js';
import type { Lowering } from '../lower.js';
import { refuseMadeText } from '../made-text.js';
import type { AccumulatorSpec, KeySpec } from './layout.js';
import { repKind, wordKindOf } from './word.js';

/** An aggregate made ready for its two kernels: per morsel (scan) and over all morsels' partials (merge). */
export interface GroupShape {
  readonly keys: readonly { readonly node: Node; readonly column: Column }[];
  readonly partials: readonly PreparedPartial[];
  readonly finals: Partials['finals'];
  /** Columns of the result: keys, then one per aggregate. */
  readonly result: readonly Column[];
}

export interface PreparedPartial {
  readonly kind: Partial['kind'];
  readonly node: Node | undefined;
  /** As it travels from scan to merge. */
  readonly column: Column;
  readonly scan: AccumulatorSpec;
  readonly merge: AccumulatorSpec;
}

type AggregateOp = PlanOp & { readonly kind: 'aggregate' };

/**
 * `op` over rows of the dataset itself (projections below it already put into its expressions).
 * @throws Unsupported
 */
export function groupShape(op: AggregateOp, dataset: DatasetSchema, lowering: Lowering): GroupShape {
  const { partials, finals } = partialsOf(op.aggregates, dataset);
  const keys = op.groupBy.map(({ name, expr }) => {
    const node = lowerStored(expr, lowering);
    refuseMadeText(node, 'a group key');
    return { node, column: columnOf(name, expr, node, dataset) };
  });
  const prepared = partials.map((p, i) => preparePartial(p, i, dataset, lowering));
  const named = opSchema(op, dataset, 'aggregate').columns;
  const result = named.map((column, i): Column => {
    const key = keys[i];
    if (key) return key.column;
    const final = finals[i - keys.length];
    invariant(final, 'a column is a key or an aggregate');
    if (final.value === undefined || final.fn === 'avg') return column;
    const partial = prepared[final.value];
    invariant(partial, 'finals point to partials');
    if (final.fn === 'sum') return { ...column, physical: partial.merge.form === 'sumF64' ? 'f64' : partial.merge.form === 'sum64' ? 'i64' : 'i128' };
    const { arg } = op.aggregates[i - keys.length]!;
    invariant(arg && partial.node, 'min and max have an argument');
    return { ...columnOf(column.name, arg, partial.node, dataset), nullable: column.nullable };
  });
  return { keys, partials: prepared, finals, result };
}

/** The shape's keys as the tables of both kernels see them. */
export const keySpecs = (shape: GroupShape): KeySpec[] =>
  shape.keys.map(({ node, column }) => {
    const range = node.rep === 'bool' ? { min: 0n, max: 1n } : node.range;
    return { kind: wordKindOf(column), nullable: column.nullable, ...(range && { range }) };
  });

/** Codes instead of texts for a dictionary column: they keep its order. */
function lowerStored(expr: Expr, lowering: Lowering): Node {
  if (expr.kind !== 'column') return lowering.lower(expr);
  return lowering.stored(findColumn(expr.name, lowering.schema));
}

function columnOf(name: string, expr: Expr, node: Node, dataset: DatasetSchema): Column {
  if (expr.kind === 'column') return { ...findColumn(expr.name, dataset), name };
  return { name, type: node.type, physical: repPhysical[node.rep], nullable: node.nullable, ...node.range };
}

const repPhysical = { i32: 'i32', i64: 'i64', f32: 'f32', f64: 'f64', bool: 'bool', utf8: 'utf8' } as const satisfies Record<Rep, PhysicalType>;
const codePhysical: Readonly<Record<string, PhysicalType>> = { dict8: 'i8', dict16: 'i16', dict32: 'i32' };

function preparePartial({ kind, arg }: Partial, index: number, dataset: DatasetSchema, lowering: Lowering): PreparedPartial {
  const name = `partial ${index}`;
  const count = { form: 'count' } as const;
  if (kind === 'rows' || !arg) return { kind, node: undefined, column: { name, type: { kind: 'int64' }, physical: 'i64', nullable: false }, scan: count, merge: count };
  const node = lowerStored(arg, lowering);
  if (kind === 'count') return { kind, node, column: { name, type: { kind: 'int64' }, physical: 'i64', nullable: false }, scan: count, merge: count };
  if (kind === 'sum') {
    if (node.rep === 'f32' || node.rep === 'f64') return { kind, node, column: { name, type: { kind: 'float64' }, physical: 'f64', nullable: false }, scan: { form: 'sumF64' }, merge: { form: 'sumF64' } };
    invariant(node.range, 'an exact argument has bounds');
    const physical = sumPhysical(node.range, dataset.rowGroupRowsMax);
    const form = (p: 'i64' | 'i128') => ({ form: p === 'i64' ? 'sum64' : 'sum128' }) as const;
    const scale = node.type.kind === 'decimal' ? node.type.scale : 0;
    return { kind, node, column: { name, type: { kind: 'decimal', precision: 38, scale }, physical, nullable: false }, scan: form(physical), merge: form(sumPhysical(node.range, Math.max(dataset.rows, dataset.rowGroupRowsMax))) };
  }
  refuseMadeText(node, `an argument of ${kind}`);
  const spec = { form: kind, kind: repKind(node.rep) } as const;
  const stored = columnOf(name, arg, node, dataset);
  const code = codePhysical[stored.physical];
  // A code that stands for no value need not be in the dictionary: it travels as a number.
  const column: Column = code ? { name, type: { kind: 'int32' }, physical: code, nullable: false } : { name, type: stored.type, physical: stored.physical, nullable: false };
  return { kind, node, column, scan: spec, merge: spec };
}
