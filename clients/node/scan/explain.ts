import type { QueryOptions } from './options.js';

export interface ExplainOptions extends QueryOptions {
  /** Runs the query and fills in what really happened. */
  readonly analyze?: boolean;
}

/** One line of EXPLAIN, top operator first; ids are indented by depth as TiDB's. */
export interface ExplainRow {
  readonly id: string;
  readonly op: string;
  readonly estRows: number | null;
  readonly actRows: number | null;
  readonly where: 'device' | 'host' | 'device+host' | 'link';
  /** Bytes that left this operator over the link; null: unknown before it ran. */
  readonly bytes: number | null;
  /** Milliseconds; null: not run. */
  readonly time: number | null;
  readonly info: string;
}

export interface Explanation {
  readonly plan: readonly ExplainRow[];
}
