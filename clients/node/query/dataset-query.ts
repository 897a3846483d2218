import type { Aggregate, NamedExpr, OrderBy, Plan, PlanOp } from '../../../pushdown/plan/plan.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import type { QueryResult } from '../result/query-result.js';
import type { ResultStream } from '../result/result-stream.js';
import type { ExplainOptions, Explanation } from '../scan/explain.js';
import type { QueryOptions } from '../scan/options.js';
import { type KernelParams, kernelParams } from '../user/kernel-params.js';
import type { AggregateCall } from './aggregate.js';
import { type Expression, type Operand, col, toExpr } from './expression.js';

/** What a query needs of the client that made it. */
export interface QueryRunner {
  collect(plan: Plan, options?: QueryOptions): Promise<QueryResult>;
  stream(plan: Plan, options?: QueryOptions): ResultStream;
  explain(plan: Plan, options?: ExplainOptions): Promise<Explanation>;
}

/** A column by name, or expressions by output name. */
export type Selection = string | Readonly<Record<string, Operand>>;

/** A lazy query over one dataset. Every method gives a new query; nothing runs before collect(), stream() or explain(). */
export class DatasetQuery {
  readonly plan: Plan;
  readonly #runner: QueryRunner;

  constructor(runner: QueryRunner, dataset: string, ops: readonly PlanOp[] = []) {
    this.#runner = runner;
    this.plan = Object.freeze({ dataset, ops: Object.freeze([...ops]) });
    Object.freeze(this);
  }

  /** Keeps rows for which the predicate is true (not NULL). */
  filter(predicate: Expression): DatasetQuery {
    return this.#with({ kind: 'filter', predicate: predicate.node });
  }

  /** select('a', 'b', { c: col('x').mul(2) }): output columns in the order given. */
  select(...selection: Selection[]): DatasetQuery {
    return this.#with({ kind: 'project', columns: named(selection) });
  }

  groupBy(...keys: Selection[]): Grouping {
    return new Grouping((aggregates) => this.#with({ kind: 'aggregate', groupBy: named(keys), aggregates }));
  }

  /** Aggregates over all rows: one row. */
  agg(aggregates: Readonly<Record<string, AggregateCall>>): DatasetQuery {
    return this.groupBy().agg(aggregates);
  }

  /** The first k rows of that order. Strings sort ascending; ties go by the row's place in the dataset. */
  topK(k: number, ...orderBy: (string | OrderBy)[]): DatasetQuery {
    if (orderBy.length === 0) throw new MillraceError('MR_QUERY_ORDER', 'topK needs at least one sort key: topK(10, col("x").desc()).', { field: 'orderBy' });
    return this.#with({ kind: 'topK', k: wholeNumber(k, 'k'), orderBy: orderBy.map((o) => (typeof o === 'string' ? col(o).asc() : o)) });
  }

  /**
   * The rows so far through a user's kernel: its columns instead of these (docs/kernels.md). Filters and select() below run in the same
   * module; what stands above runs on the host.
   */
  kernel(name: string, params: KernelParams = {}): DatasetQuery {
    return this.#with({ kind: 'kernel', name, params: kernelParams(params) });
  }

  limit(rows: number, offset = 0): DatasetQuery {
    return this.#with({ kind: 'limit', count: wholeNumber(rows, 'rows'), offset: wholeNumber(offset, 'offset') });
  }

  /** Runs the query; all rows in memory. */
  collect(options?: QueryOptions): Promise<QueryResult> {
    return this.#runner.collect(this.plan, options);
  }

  /** Runs the query; batches as they come, with back-pressure to the device. Leaving the loop ends the scan. */
  stream(options?: QueryOptions): ResultStream {
    return this.#runner.stream(this.plan, options);
  }

  /** Where each operator would run and why; with analyze the query runs and actual figures are filled in. */
  explain(options?: ExplainOptions): Promise<Explanation> {
    return this.#runner.explain(this.plan, options);
  }

  #with(op: PlanOp): DatasetQuery {
    return new DatasetQuery(this.#runner, this.plan.dataset, [...this.plan.ops, op]);
  }
}

/** groupBy(...) waiting for its aggregates. */
export class Grouping {
  readonly #finish: (aggregates: readonly Aggregate[]) => DatasetQuery;
  constructor(finish: (aggregates: readonly Aggregate[]) => DatasetQuery) {
    this.#finish = finish;
  }
  agg(aggregates: Readonly<Record<string, AggregateCall>>): DatasetQuery {
    return this.#finish(Object.entries(aggregates).map(([name, call]) => ({ name, ...call })));
  }
}

function named(selection: readonly Selection[]): NamedExpr[] {
  return selection.flatMap((s) => (typeof s === 'string' ? [{ name: s, expr: col(s).node }] : Object.entries(s).map(([name, operand]) => ({ name, expr: toExpr(operand) }))));
}

function wholeNumber(value: number, field: string): number {
  if (!Number.isSafeInteger(value) || value < 0) throw new MillraceError('MR_QUERY_NUMBER', `${field} must be a whole number of 0 or more, not ${value}.`, { field });
  return value;
}
