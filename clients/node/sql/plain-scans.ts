import type { Expr } from '../../../pushdown/expr/expr.js';
import type { Plan, PlanOp } from '../../../pushdown/plan/plan.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import type { DatasetSchema } from '../../../pushdown/types/schema.js';
import { type BoundOperator, filter, get } from './bound-plan.js';
import { type FindDataset, type ScanSource, pushableConjuncts, scanSource } from './scan-source.js';
import { conjunctionOf } from './translate-filter.js';

/** One dataset as the original SQL needs it: rows filtered as far as the storage can, columns it reads. */
export interface PlainScan {
  readonly dataset: DatasetSchema;
  /** Positions of the columns the plan gives, in its order; the SQL reads no others. */
  readonly columns: readonly number[];
  readonly plan: Plan;
}

/**
 * Scans under the original SQL, one per dataset however often the query reads it: the union of the columns, and the
 * disjunction of the filters if each place has one. DuckDB evaluates every filter again.
 */
export function plainScans(root: BoundOperator, find: FindDataset): PlainScan[] {
  const places = new Map<string, { dataset: DatasetSchema; columns: Set<number>; predicates: (Expr | undefined)[] }>();
  const visit = (node: BoundOperator, above: BoundOperator | undefined): void => {
    if (node.type === 'LOGICAL_GET' && get.safeParse(node).data?.name === 'seq_scan') {
      const source = scanSource(node, find);
      if (!source) throw new MillraceError('MR_SQL_UNSUPPORTED', 'The query reads something that is no dataset; it may read datasets only.', { httpStatus: 400 });
      if (source.virtual && get.safeParse(node).data?.projection_ids.length) {
        throw new MillraceError('MR_SQL_UNSUPPORTED', `Datasets have no rowid: name columns of "${source.dataset.name}".`, { httpStatus: 400 });
      }
      const place = places.get(source.dataset.name) ?? { dataset: source.dataset, columns: new Set(), predicates: [] };
      places.set(source.dataset.name, place);
      for (const c of source.reads) place.columns.add(c);
      place.predicates.push(predicateAt(source, above));
    }
    for (const child of node.children) visit(child, node);
  };
  visit(root, undefined);
  return [...places.values()].map(({ dataset, columns, predicates }) => plainScan(dataset, [...columns].sort((a, b) => a - b), predicates));
}

/** A scan of everything, for queries whose plan cannot be read. */
export function wholeScan(dataset: DatasetSchema): PlainScan {
  return plainScan(dataset, dataset.columns.map((_, i) => i), [undefined]);
}

function predicateAt(source: ScanSource, above: BoundOperator | undefined): Expr | undefined {
  const expressions = above?.type === 'LOGICAL_FILTER' ? (filter.safeParse(above).data?.expressions ?? []) : [];
  const args = [...source.predicates, ...pushableConjuncts(expressions, source.output, source.dataset).predicates];
  return args.length > 0 ? conjunctionOf(args) : undefined;
}

function plainScan(dataset: DatasetSchema, columns: readonly number[], predicates: readonly (Expr | undefined)[]): PlainScan {
  // A query that reads no column still counts rows: the first column carries them.
  const read = columns.length > 0 ? columns : [0];
  const known = predicates.filter((p) => p !== undefined);
  const ops: PlanOp[] = [];
  const [only] = known;
  if (only && known.length === predicates.length) ops.push({ kind: 'filter', predicate: known.length === 1 ? only : { kind: 'or', args: known } });
  ops.push({ kind: 'project', columns: read.map((c) => ({ name: nameOf(dataset, c), expr: { kind: 'column', name: nameOf(dataset, c) } })) });
  return { dataset, columns: read, plan: { dataset: dataset.name, ops } };
}

function nameOf(dataset: DatasetSchema, column: number): string {
  const found = dataset.columns[column];
  if (!found) throw new MillraceError('MR_SQL_UNSUPPORTED', `Dataset "${dataset.name}" has no columns.`, { httpStatus: 400 });
  return found.name;
}
