import type { Plan } from '../../pushdown/plan/plan.js';
import { type Rows, runReference } from '../../pushdown/reference/run.js';
import type { Data } from './data.js';

/** One side of the comparison. */
export interface Executor {
  readonly name: string;
  /** bits: result must equal the reference bit for bit, row for row. sql: DuckDB's rules (compare.ts). */
  readonly rule: 'bits' | 'sql';
  /** `rule` in the result: this one plan is to be compared by another rule. */
  run(plan: Plan, data: Data): Promise<Rows & { readonly rule?: 'sql' }>;
}

export const reference: Executor = {
  name: 'reference',
  rule: 'bits',
  run: async (plan, data) => runReference(plan, data.schema, data.rowGroups),
};
