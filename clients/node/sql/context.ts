import type { NativeDuckDB } from '../../../native/index.js';
import type { FunctionTarget } from '../../../pushdown/expr/expr.js';
import type { Plan } from '../../../pushdown/plan/plan.js';
import type { Batch } from '../../../pushdown/types/batch.js';
import type { DatasetSchema } from '../../../pushdown/types/schema.js';
import type { HostFunction } from './host-function.js';

export type Pushdown = 'auto' | 'always' | 'never';

/** What running one plan cost. */
export interface PlanStats {
  /** Bytes that crossed the link. */
  readonly linkBytes: number;
  /** Where a link is modelled: the least it takes them, milliseconds. */
  readonly linkModelMs?: number;
  readonly rowsScanned: number;
  readonly morselsDevice: number;
  readonly morselsHost: number;
  readonly morselsPruned: number;
  /** What kernels took in slots, milliseconds. */
  readonly kernelMs: number;
}

/** A running plan: its batches as they come; leaving the loop early ends the scan. Statistics are whole after the last batch. */
export interface PlanRun extends AsyncIterable<Batch> {
  stats(): PlanStats;
}

export interface SqlOptions {
  readonly pushdown?: Pushdown;
  readonly signal?: AbortSignal;
  /** Names in lower case: other datasets are not there for this statement. */
  readonly datasets?: ReadonlySet<string>;
}

/** A user's function under the name it has in SQL. */
export interface SqlFunction {
  readonly name: string;
  readonly target: FunctionTarget;
}

/** What SQL needs of the client it runs in. */
export interface SqlContext {
  /** Datasets a statement may name. Dictionaries may be absent: the planner does not read them. */
  datasets(): Promise<readonly DatasetSchema[]>;
  runPlan(plan: Plan, options: SqlOptions): PlanRun;
  /** Users' functions among names that SQL has none for (`f`, `kernel.f`, lower case), as they are now. Absent: there are none. */
  functions?(names: readonly string[]): Promise<readonly SqlFunction[]>;
  /** Those functions as the host runs them: the modules they were bound to. @throws MillraceError MR_KERNEL_NOT_ALLOWED, MR_KERNEL_CHANGED */
  hostFunctions?(functions: readonly SqlFunction[]): Promise<readonly HostFunction[]>;
  /** An engine of its own. locked: it reaches no file and no setting. */
  openDuckDB(options: { locked: boolean; memoryLimitBytes: number; threads: number }): NativeDuckDB;
}
