import { DatasetLayout } from '../../../native/dataset-layout.js';
import type { Expr } from '../../../pushdown/expr/expr.js';
import type { Plan, PlanOp } from '../../../pushdown/plan/plan.js';
import type { DatasetInfo } from '../../../pushdown/types/dataset-info.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import type { Column, DatasetSchema } from '../../../pushdown/types/schema.js';

/** One version of a dataset as planning and chunk reads need it. */
export interface DatasetView {
  readonly info: DatasetInfo;
  readonly layout: DatasetLayout;
  /** The schema with the dictionaries of the columns a plan may look into. */
  schemaFor(plan: Plan): Promise<DatasetSchema>;
}

/** The daemon's REST face, as far as looking up datasets needs it. */
export interface DatasetSource {
  json<T>(path: string): Promise<T>;
  bytes(path: string): Promise<Uint8Array>;
}

/** Where plans find their datasets. */
export interface DatasetLookup {
  get(name: string): Promise<DatasetView>;
  /** What is known of it turned out to be old. */
  forget(name: string): void;
}

/** A version as the daemon's REST face tells it; dictionaries are fetched when a plan needs them. */
class RestDatasetView implements DatasetView {
  readonly #dictionaries = new Map<string, Promise<readonly string[]>>();

  constructor(
    readonly info: DatasetInfo,
    readonly layout: DatasetLayout,
    private readonly rest: DatasetSource,
  ) {}

  async schemaFor(plan: Plan): Promise<DatasetSchema> {
    const wanted = columnsNamed(plan);
    const dictionaries = await Promise.all(this.info.columns.map((column) => (column.dictionaryEntries !== undefined && (!wanted || wanted.has(column.name)) ? this.#dictionary(column.name) : undefined)));
    const schema = bareSchema(this.info);
    return { ...schema, columns: schema.columns.map((column, i) => (dictionaries[i] ? { ...column, dictionary: dictionaries[i] } : column)) };
  }

  #dictionary(column: string): Promise<readonly string[]> {
    let values = this.#dictionaries.get(column);
    if (!values) {
      values = this.rest.json<{ values: string[] }>(`/v1/datasets/${encodeURIComponent(this.info.name)}/dictionaries/${encodeURIComponent(column)}`).then((answer) => answer.values);
      this.#dictionaries.set(column, values);
      values.catch(() => this.#dictionaries.delete(column));
    }
    return values;
  }
}

/** A dataset's schema without dictionaries. */
export function bareSchema({ name, rows, rowGroups, rowGroupRowsMax, columns }: DatasetInfo): DatasetSchema {
  return {
    name, rows, rowGroups, rowGroupRowsMax,
    columns: columns.map((c): Column => ({
      name: c.name, type: c.type, physical: c.physical, nullable: c.nullable,
      ...(c.min === undefined ? {} : { min: BigInt(c.min) }), ...(c.max === undefined ? {} : { max: BigInt(c.max) }),
    })),
  };
}

/** The datasets a client has looked up. A query that finds its view old (another version was published) looks it up again. */
export class DatasetViews implements DatasetLookup {
  readonly #views = new Map<string, Promise<DatasetView>>();
  readonly #rest: DatasetSource;

  constructor(rest: DatasetSource) {
    this.#rest = rest;
  }

  get(name: string): Promise<DatasetView> {
    let view = this.#views.get(name);
    if (!view) {
      view = this.#load(name);
      this.#views.set(name, view);
      view.catch(() => this.#views.delete(name));
    }
    return view;
  }

  forget(name: string): void {
    this.#views.delete(name);
  }

  async #load(name: string): Promise<DatasetView> {
    const path = `/v1/datasets/${encodeURIComponent(name)}`;
    // A replace between the two answers shows as another handle.
    for (let attempt = 0; attempt < 3; attempt++) {
      const info = await this.#rest.json<DatasetInfo>(path);
      const layout = new DatasetLayout(new Uint8Array(await this.#rest.bytes(`${path}/layout`)));
      if (layout.handle === info.handle) return new RestDatasetView(info, layout, this.#rest);
    }
    throw new MillraceError('MR_DATASET_CHANGED', `Dataset ${name} is being replaced again and again: try later.`, { httpStatus: 409 });
  }
}

/** Names a plan mentions; undefined: it gives all columns of the dataset. More than it needs does no harm. */
function columnsNamed(plan: Plan): Set<string> | undefined {
  if (!plan.ops.some((op) => op.kind === 'project' || op.kind === 'aggregate')) return undefined;
  const names = new Set<string>();
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    else if (typeof value === 'object' && value !== null) {
      const node = value as Partial<Extract<Expr, { kind: 'column' }>> & Partial<PlanOp>;
      if (node.kind === 'column' && typeof (node as { name?: unknown }).name === 'string') names.add((node as { name: string }).name);
      else Object.values(value).forEach(visit);
    }
  };
  visit(plan.ops);
  return names;
}
