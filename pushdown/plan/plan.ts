import type { Expr } from '../expr/expr.js';
import type { LogicalType } from '../types/logical.js';
import type { Column } from '../types/schema.js';

/**
 * A typed operator tree over one dataset, leaf first: a chain, since joins stay with the host. Every operator names its
 * input's columns. Row order: filter, project keep the scan's order (row group, then row); aggregate gives groups in
 * order of first appearance; limit takes the first rows; topK sorts.
 */
export interface Plan {
  readonly dataset: string;
  readonly ops: readonly PlanOp[];
}

export type PlanOp =
  | { readonly kind: 'filter'; readonly predicate: Expr }
  | { readonly kind: 'project'; readonly columns: readonly NamedExpr[] }
  | { readonly kind: 'aggregate'; readonly groupBy: readonly NamedExpr[]; readonly aggregates: readonly Aggregate[] }
  /** Ties are broken totally: by the row's place in the scan. */
  | { readonly kind: 'topK'; readonly k: number; readonly orderBy: readonly OrderBy[] }
  | { readonly kind: 'limit'; readonly count: number; readonly offset: number }
  /**
   * A user's kernel (docs/kernels.md): takes the columns below it batch by batch and gives its own, row group by row group. params: what
   * its configure() gets. Whoever plans finds the target; without it the operator has no schema.
   */
  | { readonly kind: 'kernel'; readonly name: string; readonly params: string; readonly target?: KernelTarget };

/** A kernel's module and what it says of its columns, given these parameters. */
export interface KernelTarget {
  /** SHA-256 of the module, hex. */
  readonly digest: string;
  /** What it wants; undefined: any columns, each in its own type. The last may repeat. */
  readonly input: { readonly columns: readonly { readonly name: string; readonly type: LogicalType }[]; readonly repeatsLast: boolean } | undefined;
  /** Columns it gives per row group. */
  readonly output: readonly Column[];
  /** Columns its merge makes of those of all row groups; undefined: it has none, and row groups follow each other. */
  readonly merged: readonly Column[] | undefined;
}

export interface NamedExpr {
  readonly name: string;
  readonly expr: Expr;
}

/** count without an argument counts rows. Types as DuckDB: sum(intN) decimal(38,0), sum(decimal(p,s)) decimal(38,s), avg float64, count int64. */
export interface Aggregate {
  readonly name: string;
  readonly fn: 'sum' | 'min' | 'max' | 'count' | 'avg';
  readonly arg?: Expr;
}

export interface OrderBy {
  readonly expr: Expr;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}
