import type { Expr } from '../expr/expr.js';
import type { PlanOp } from '../plan/plan.js';

/** Names of the functions and kernels of users that operators mention, in order, repeated ones once. */
export function userCodeIn(ops: readonly PlanOp[]): string[] {
  const names = new Set<string>();
  for (const op of ops) if (op.kind === 'kernel') names.add(op.name);
  eachCall(ops, (call) => names.add(call.name));
  return [...names];
}

/** Calls of functions in a plan's operators or an expression, outermost first. */
export function eachCall(node: unknown, visit: (call: Extract<Expr, { kind: 'call' }>) => void): void {
  if (Array.isArray(node)) for (const each of node) eachCall(each, visit);
  else if (typeof node === 'object' && node !== null && !ArrayBuffer.isView(node)) {
    if ((node as Partial<Expr>).kind === 'call') visit(node as Extract<Expr, { kind: 'call' }>);
    for (const each of Object.values(node)) eachCall(each, visit);
  }
}
