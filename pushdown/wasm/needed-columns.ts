import type { Expr } from '../expr/expr.js';
import type { NamedExpr, PlanOp } from '../plan/plan.js';
import { substitute } from './substitute.js';

/** Of `columns` those that the operators above read; all if the result shows them. At least one: rows must be countable. */
export function neededColumns(above: readonly PlanOp[], columns: readonly NamedExpr[]): readonly NamedExpr[] {
  const used = new Set<string>();
  for (const op of above) {
    if (op.kind === 'filter') collectColumns(op.predicate, used);
    else if (op.kind === 'topK') for (const o of op.orderBy) collectColumns(o.expr, used);
    else if (op.kind === 'kernel') return columns;
    else if (op.kind !== 'limit') {
      const read = op.kind === 'project' ? op.columns.map((c) => c.expr) : [...op.groupBy.map((c) => c.expr), ...op.aggregates.flatMap((a) => a.arg ?? [])];
      for (const expr of read) collectColumns(expr, used);
      const kept = columns.filter((c) => used.has(c.name));
      return kept.length > 0 ? kept : columns.slice(0, 1);
    }
  }
  return columns;
}

/** Adds the columns `expr` reads. */
function collectColumns(expr: Expr, into: Set<string>): void {
  class Recorder extends Map<string, Expr> {
    override get(name: string): undefined {
      into.add(name);
    }
  }
  substitute(expr, new Recorder());
}
