import type { Expr } from '../../../pushdown/expr/expr.js';
import { type TableFilter, constantFilter, expressionFilter, inFilter, nestedFilter } from './bound-plan.js';
import { constantValue } from './constant-value.js';
import { type Typed, compare, membership, translateExpression } from './translate-expression.js';

/**
 * What of a scan filter can be asked of the storage. exact: the filter itself; inexact: a superset of its rows; optional: a
 * hint that says nothing about the rows; unknown: nothing can be asked.
 */
export type FilterVerdict = { readonly kind: 'exact' | 'inexact'; readonly predicate: Expr } | { readonly kind: 'optional' | 'unknown' };

const unknown: FilterVerdict = { kind: 'unknown' };

/** A filter DuckDB moved into the scan of `column`. */
export function translateFilter(node: TableFilter, column: Typed): FilterVerdict {
  switch (node.filter_type) {
    // Optional filters only skip blocks: an operator above the scan repeats them, or they belong to a TOP_N at run time.
    case 'OPTIONAL_FILTER': case 'DYNAMIC_FILTER': case 'BLOOM_FILTER': return { kind: 'optional' };
    case 'IS_NULL': case 'IS_NOT_NULL': return exact({ expr: { kind: 'isNull', arg: column.expr, negated: node.filter_type === 'IS_NOT_NULL' }, type: { kind: 'bool' } });
    case 'CONSTANT_COMPARISON': {
      const found = constantFilter.safeParse(node).data;
      const value = found && constantValue(found.constant);
      return value ? exact(compare(found.comparison_type, column, { expr: { kind: 'literal', ...value }, type: value.type })) : unknown;
    }
    case 'IN_FILTER': {
      const values = inFilter.safeParse(node).data?.values.map(constantValue);
      const literals = values?.flatMap((v): Typed[] => (v ? [{ expr: { kind: 'literal', ...v }, type: v.type }] : []));
      return values && literals?.length === values.length ? exact(membership(column, literals, false)) : unknown;
    }
    case 'EXPRESSION_FILTER': {
      const found = expressionFilter.safeParse(node).data;
      const typed = found && translateExpression(found.expr, [column]);
      return typed?.type.kind === 'bool' ? exact(typed) : unknown;
    }
    case 'CONJUNCTION_AND': return all(node, column);
    case 'CONJUNCTION_OR': return any(node, column);
    default: return unknown;
  }
}

function exact(typed: Typed | undefined): FilterVerdict {
  return typed ? { kind: 'exact', predicate: typed.expr } : unknown;
}

function all(node: TableFilter, column: Typed): FilterVerdict {
  const children = nestedFilter.safeParse(node).data?.child_filters.map((f) => translateFilter(f, column));
  if (!children) return unknown;
  const args = children.flatMap((c) => ('predicate' in c ? [c.predicate] : []));
  const whole = children.every((c) => c.kind === 'exact' || c.kind === 'optional');
  if (args.length === 0) return whole ? { kind: 'optional' } : unknown;
  return { kind: whole ? 'exact' : 'inexact', predicate: conjunctionOf(args) };
}

function any(node: TableFilter, column: Typed): FilterVerdict {
  const children = nestedFilter.safeParse(node).data?.child_filters.map((f) => translateFilter(f, column));
  if (!children || children.length === 0 || children.some((c) => c.kind === 'unknown')) return unknown;
  // An optional branch lets every row through as far as anybody may rely on it.
  if (children.some((c) => c.kind === 'optional')) return { kind: 'optional' };
  const predicate: Expr = { kind: 'or', args: children.flatMap((c) => ('predicate' in c ? [c.predicate] : [])) };
  return { kind: children.every((c) => c.kind === 'exact') ? 'exact' : 'inexact', predicate };
}

/** The conjuncts of an expression, flattened; the whole when it is no conjunction. */
export function conjunctionOf(args: readonly Expr[]): Expr {
  const flat = args.flatMap((a) => (a.kind === 'and' ? a.args : [a]));
  const only = flat[0];
  return flat.length === 1 && only ? only : { kind: 'and', args: flat };
}
