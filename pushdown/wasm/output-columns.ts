import type { NamedExpr } from '../plan/plan.js';
import { naturalPhysical } from '../plan/schema.js';
import type { PhysicalType } from '../types/physical.js';
import type { Column } from '../types/schema.js';
import { findColumn } from '../expr/infer.js';
import type { Node } from './ir.js';
import type { Lowering } from './lower.js';
import { Unsupported } from './unsupported.js';

/** One column a kernel puts out: a dataset column moved as it is stored, or a computed value. */
export type OutputSource = { readonly kind: 'stored'; readonly input: number } | { readonly kind: 'computed'; readonly node: Node };

export interface OutputPlan {
  readonly column: Column;
  readonly source: OutputSource;
}

/** The storage of a computed node: exact values take the width their bounds need, 32 or 64 bits. */
export function physicalOf(node: Node): PhysicalType {
  switch (node.rep) {
    case 'bool':
      return 'bool';
    case 'i32':
    case 'i64':
    case 'f32':
    case 'f64':
    case 'utf8':
      return node.rep;
    default:
      return node.rep satisfies never;
  }
}

export function planOutput({ name, expr }: NamedExpr, lowering: Lowering): OutputPlan {
  if (expr.kind === 'column') {
    const column = findColumn(expr.name, lowering.schema);
    return { column: { ...column, name }, source: { kind: 'stored', input: lowering.input(column) } };
  }
  const node = lowering.lower(expr);
  const { type, nullable, range } = node;
  if (naturalPhysical(type) === 'i128' && !range) throw new Unsupported('a decimal wider than 64 bits');
  const physical = physicalOf(node);
  return { column: { name, type, physical, nullable, ...(range && { min: range.min, max: range.max }) }, source: { kind: 'computed', node } };
}
