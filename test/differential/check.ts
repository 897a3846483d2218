import { MillraceError } from '../../pushdown/types/error.js';
import type { Plan } from '../../pushdown/plan/plan.js';
import type { Rows } from '../../pushdown/reference/run.js';
import { difference, sameBits, sqlEqual } from './compare.js';
import type { Data } from './data.js';
import { type Executor, reference } from './executor.js';

/**
 * Runs all sides; undefined: they agree. An overflow on one side must be an error on every side, unless the value is one
 * that the result does not need. DuckDB's optimizer finds more such values than kernels do: its success proves nothing.
 */
export async function disagreement(plan: Plan, data: Data, sides: readonly Executor[]): Promise<string | undefined> {
  const expected = await outcome(reference, plan, data);
  for (const side of sides) {
    const actual = await outcome(side, plan, data);
    if (expected instanceof Error || actual instanceof Error) {
      if (expected instanceof Error && (actual instanceof Error || side.rule === 'sql' || mayBeLazy(plan))) continue;
      return `${side.name}: ${expected instanceof Error ? `reference fails (${expected.message}), it does not` : `fails: ${actual instanceof Error ? actual.stack : ''}`}`;
    }
    const differs = difference(expected, actual, (actual.rule ?? side.rule) === 'bits' ? sameBits : sqlEqual(plan, data));
    if (differs) return `${side.name}: ${differs}`;
  }
  return undefined;
}

/** Rows that a limit cuts off and columns that an aggregate does not read need not be computed. */
function mayBeLazy(plan: Plan): boolean {
  const aggregate = plan.ops.findIndex((op) => op.kind === 'aggregate');
  return plan.ops.some((op) => op.kind === 'limit' || op.kind === 'topK') || plan.ops.slice(0, Math.max(0, aggregate)).some((op) => op.kind === 'project');
}

async function outcome(side: Executor, plan: Plan, data: Data): Promise<(Rows & { readonly rule?: 'sql' }) | Error> {
  try {
    return await side.run(plan, data);
  } catch (error) {
    // The reference knows one way to fail on a valid plan; anything else is a bug of ours.
    if (side === reference && !(error instanceof MillraceError && error.code === 'MR_ARITHMETIC_OVERFLOW')) throw error;
    return error instanceof Error ? error : new Error(String(error));
  }
}
