import type { Expr } from '../expr/expr.js';

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
  | { readonly kind: 'limit'; readonly count: number; readonly offset: number };

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
