import type { OrderBy, Plan, PlanOp } from '../plan/plan.js';
import { opSchema, planSchema } from '../plan/schema.js';
import type { Batch } from '../types/batch.js';
import { MillraceError } from '../types/error.js';
import type { Column, Schema } from '../types/schema.js';
import { accumulatorOf } from './aggregate.js';
import { decodeBatch } from './decode.js';
import { type Row, evaluator } from './evaluate.js';
import { type Value, canonical, compareValues } from './value.js';

export interface Rows {
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
}

/** A row with its place in the scan, which decides float sums and ties. */
interface PlacedRow {
  readonly values: Row;
  readonly morsel: number;
  readonly rowInMorsel: number;
}

/**
 * Runs a plan over row groups, row by row: the oracle of every other evaluator. Its float results have the bits that
 * kernels and their merge must have.
 * @throws MillraceError MR_PLAN_*, MR_ARITHMETIC_OVERFLOW
 */
export function runReference(plan: Plan, schema: Schema, rowGroups: readonly Batch[]): Rows {
  const columns = planSchema(plan, schema).columns;
  let rows: PlacedRow[] = rowGroups.flatMap((batch, morsel) => decodeBatch(batch).map((values, rowInMorsel) => ({ values, morsel, rowInMorsel })));
  let input = schema;
  for (const [i, op] of plan.ops.entries()) {
    rows = runOp(op, input, rows);
    input = opSchema(op, input, `ops[${i}]`);
  }
  return { columns, rows: rows.map((r) => r.values) };
}

function runOp(op: PlanOp, schema: Schema, rows: readonly PlacedRow[]): PlacedRow[] {
  switch (op.kind) {
    case 'filter': {
      const keep = evaluator(op.predicate, schema);
      return rows.filter((r) => keep(r.values) === true);
    }
    case 'project': {
      const columns = op.columns.map((c) => evaluator(c.expr, schema));
      return rows.map((r) => ({ ...r, values: columns.map((value) => value(r.values)) }));
    }
    case 'aggregate':
      return aggregate(op, schema, rows).map(asOneMorsel);
    case 'topK':
      return sorted(op.orderBy, schema, rows).slice(0, op.k).map((r, i) => asOneMorsel(r.values, i));
    case 'limit':
      return rows.slice(op.offset, op.offset + op.count);
    case 'kernel':
      throw new MillraceError('MR_PLAN_UNSUPPORTED', `the kernel ${op.name} is its module's to run`, { httpStatus: 422 });
    default:
      return op satisfies never;
  }
}

/** Above an aggregate or a sort there are no morsels any more. */
const asOneMorsel = (values: Row, rowInMorsel: number): PlacedRow => ({ values, morsel: 0, rowInMorsel });

function aggregate(op: PlanOp & { kind: 'aggregate' }, schema: Schema, rows: readonly PlacedRow[]): Row[] {
  const keys = op.groupBy.map((k) => evaluator(k.expr, schema));
  const makers = op.aggregates.map((a) => accumulatorOf(a, schema, keys.length > 0));
  const newGroup = (key: Row) => ({ key, accumulators: makers.map((make) => make()) });
  const groups = new Map<string, ReturnType<typeof newGroup>>();
  if (keys.length === 0) groups.set('', newGroup([]));
  let morsel = -1;
  const endMorsel = () => {
    for (const g of groups.values()) for (const a of g.accumulators) a.endMorsel();
  };
  for (const row of rows) {
    if (row.morsel !== morsel) endMorsel();
    morsel = row.morsel;
    const key = keys.map((k) => canonical(k(row.values)));
    const text = keys.length === 0 ? '' : JSON.stringify(key.map(keyText));
    let group = groups.get(text);
    if (!group) groups.set(text, (group = newGroup(key)));
    for (const a of group.accumulators) a.add(row.values, row.rowInMorsel);
  }
  endMorsel();
  return [...groups.values()].map((g) => [...g.key, ...g.accumulators.map((a) => a.result())]);
}

/** Equal exactly for values of one group: all NaNs are one, NULL is another. */
const keyText = (v: Value): string => (v === null ? 'null' : `${typeof v} ${String(v)}`);

function sorted(orderBy: readonly OrderBy[], schema: Schema, rows: readonly PlacedRow[]): PlacedRow[] {
  const keys = orderBy.map((o) => {
    return { value: evaluator(o.expr, schema), ...o };
  });
  const keyed = rows.map((row) => ({ row, key: keys.map((k) => k.value(row.values)) }));
  // Array.prototype.sort is stable: ties stay in scan order.
  keyed.sort((a, b) => {
    for (const [i, { descending, nullsFirst }] of keys.entries()) {
      const [x, y] = [a.key[i]!, b.key[i]!];
      if (x === null || y === null) {
        if (x === y) continue;
        return (x === null) === nullsFirst ? -1 : 1;
      }
      const order = compareValues(x, y);
      if (order !== 0) return descending ? -order : order;
    }
    return 0;
  });
  return keyed.map((k) => k.row);
}
