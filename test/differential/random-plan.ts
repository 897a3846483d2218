import { isFloat, isNumeric } from '../../pushdown/expr/common-type.js';
import type { Expr } from '../../pushdown/expr/expr.js';
import { inferType } from '../../pushdown/expr/infer.js';
import type { Aggregate, NamedExpr, OrderBy, Plan, PlanOp } from '../../pushdown/plan/plan.js';
import { opSchema } from '../../pushdown/plan/schema.js';
import type { Column, Schema } from '../../pushdown/types/schema.js';
import type { Data } from './data.js';
import { type Scope, randomNumber, randomPredicate } from './random-expr.js';
import type { Random } from './random.js';

const column = (c: Column): Expr => ({ kind: 'column', name: c.name });

/** A random valid plan: filters, a projection, then an aggregate, a top-k or a limit, sometimes with more above. */
export function randomPlan(random: Random, data: Data): Plan {
  const rows = data.values.flat();
  const index = new Map(data.schema.columns.map((c, i) => [c.name, i]));
  const sample = (name: string) => {
    const i = index.get(name);
    return i === undefined || rows.length === 0 ? null : (random.pick(rows)[i] ?? null);
  };
  const ops: PlanOp[] = [];
  let schema: Schema = data.schema;
  const push = (op: PlanOp) => {
    schema = opSchema(op, schema, `ops[${ops.length}]`);
    ops.push(op);
  };
  const scope = (): Scope => ({ columns: schema.columns, sample });
  if (random.chance(0.7)) push({ kind: 'filter', predicate: randomPredicate(random, scope(), 2) });
  if (random.chance(0.4)) push({ kind: 'project', columns: randomProjection(random, scope()) });
  if (random.chance(0.15)) push({ kind: 'filter', predicate: randomPredicate(random, scope(), 1) });
  const kind = random.pick(['rows', 'aggregate', 'group', 'group', 'group', 'topK', 'limit'] as const);
  if (kind === 'topK') push(randomTopK(random, schema));
  if (kind === 'limit') push({ kind: 'limit', count: random.int(0, 50), offset: random.pick([0, 0, 3, 40]) });
  if (kind === 'aggregate' || kind === 'group') {
    push(randomAggregate(random, scope(), kind === 'group'));
    // Float aggregates may differ in the last bits from DuckDB's: nothing above may decide by them.
    const exact = { columns: schema.columns.filter((c) => !isFloat(c.type)) };
    if (exact.columns.length > 0 && random.chance(0.2)) push({ kind: 'filter', predicate: randomPredicate(random, { columns: exact.columns, sample: () => null }, 1) });
    if (exact.columns.length > 0 && random.chance(0.2)) push(randomTopK(random, exact));
    if (random.chance(0.1)) push({ kind: 'limit', count: random.int(0, 5), offset: random.int(0, 2) });
  }
  return { dataset: data.schema.name, ops };
}

function randomProjection(random: Random, scope: Scope): NamedExpr[] {
  return Array.from({ length: random.int(1, 5) }, (_, i) => {
    const computed = random.chance(0.5) ? randomNumber(random, scope, 2) : random.chance(0.2) ? randomPredicate(random, scope, 1) : undefined;
    return { name: `p${i}`, expr: computed ?? column(random.pick(scope.columns)) };
  });
}

function randomAggregate(random: Random, scope: Scope, grouped: boolean): PlanOp {
  const groupBy = grouped
    ? Array.from({ length: random.pick([1, 1, 2, 3]) }, (_, i): NamedExpr => ({ name: `k${i}`, expr: random.chance(0.1) ? (keyExpr(random, scope) ?? column(random.pick(scope.columns))) : column(random.pick(scope.columns)) }))
    : [];
  const aggregates = Array.from({ length: random.int(grouped ? 0 : 1, 5) }, (_, i): Aggregate => {
    const fn = random.pick(['sum', 'sum', 'min', 'max', 'count', 'avg'] as const);
    const name = `a${i}`;
    if (fn === 'count') return random.chance(0.5) ? { name, fn } : { name, fn, arg: column(random.pick(scope.columns)) };
    if (fn === 'min' || fn === 'max') return { name, fn, arg: column(random.pick(scope.columns)) };
    const arg = random.chance(0.4) ? randomNumber(random, scope, 2) : undefined;
    const numeric = scope.columns.filter((c) => isNumeric(c.type));
    if (arg) return { name, fn, arg };
    return numeric.length === 0 ? { name, fn: 'count' } : { name, fn, arg: column(random.pick(numeric)) };
  });
  return { kind: 'aggregate', groupBy, aggregates };
}

/** log1p is not compared bit for bit with DuckDB: no keys of it. */
function keyExpr(random: Random, scope: Scope): Expr | undefined {
  const expr = random.chance(0.5) ? randomPredicate(random, scope, 0) : randomNumber(random, scope, 1);
  return expr && isFloat(inferType(expr, scope)) ? undefined : expr;
}

function randomTopK(random: Random, schema: Schema): PlanOp {
  const orderBy = Array.from({ length: random.pick([1, 1, 2, 3]) }, (): OrderBy => ({ expr: column(random.pick(schema.columns)), descending: random.chance(0.5), nullsFirst: random.chance(0.5) }));
  return { kind: 'topK', k: random.pick([0, 1, 3, 10, 100, 5000]), orderBy };
}
