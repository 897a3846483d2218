import type { Expr } from '../expr/expr.js';
import type { Aggregate, NamedExpr, PlanOp } from '../plan/plan.js';
import { eachCall } from './user-code.js';

/**
 * An aggregate over texts that functions make as one over columns, below which a projection makes them: no kernel keeps such texts from
 * row to row, but the scan can compute them. Other operators stay as they are.
 */
export function liftTexts(op: PlanOp): PlanOp[] {
  if (op.kind !== 'aggregate' || !makesText(op)) return [op];
  const columns: NamedExpr[] = [];
  const column = (expr: Expr): Expr => {
    const name = `${columns.length}`;
    columns.push({ name, expr });
    return { kind: 'column', name };
  };
  const groupBy = op.groupBy.map(({ name, expr }) => ({ name, expr: column(expr) }));
  const aggregates = op.aggregates.map((each): Aggregate => (each.arg ? { ...each, arg: column(each.arg) } : each));
  return [{ kind: 'project', columns }, { ...op, groupBy, aggregates }];
}

function makesText(op: PlanOp): boolean {
  let found = false;
  eachCall([op], ({ target }) => {
    found ||= target?.result.kind === 'utf8';
  });
  return found;
}
