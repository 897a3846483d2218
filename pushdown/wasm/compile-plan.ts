import type { Expr } from '../expr/expr.js';
import { MillraceError, invariant } from '../types/error.js';
import type { CompiledPlan, Decision, Merge, ScanKernel } from '../plan/compiled.js';
import type { NamedExpr, Plan, PlanOp } from '../plan/plan.js';
import { planSchema } from '../plan/schema.js';
import { valueBytes } from '../types/physical.js';
import type { Column, DatasetSchema } from '../types/schema.js';
import { compileScan } from './compile.js';
import { compileGroupScan } from './group/compile-group.js';
import { groupShape } from './group/shape.js';
import { Lowering } from './lower.js';
import { compileGroupMerge } from './merge/compile-merge.js';
import { checkSize } from './expr-size.js';
import { neededColumns } from './needed-columns.js';
import { substitute } from './substitute.js';
import { compileTopK } from './topk/compile-topk.js';
import { compileKernelOp } from '../user/compile-kernel.js';
import { compileUngrouped } from './ungrouped/compile-ungrouped.js';
import { Unsupported } from './unsupported.js';

/**
 * Cuts a plan for near-data execution: the longest prefix of operators that kernels take goes into one scan kernel and its
 * merge, what is above stays in `rest`.
 * @throws MillraceError MR_PLAN_* when the plan is wrong; never for what kernels cannot do
 */
export function compilePlan(plan: Plan, dataset: DatasetSchema): CompiledPlan {
  planSchema(plan, dataset);
  const ops = supportedFiltersFirst(plan.ops, dataset);
  let refused: string | undefined;
  for (let taken = prefixMax(ops); taken >= 0; taken--) {
    try {
      const parts = compilePrefix(ops.slice(0, taken), ops.slice(taken), dataset);
      return { ...parts, rest: ops.slice(taken), decisions: decisionsOf(ops, taken, refused) };
    } catch (error) {
      if (!(error instanceof Unsupported)) throw error;
      refused ??= error.reason;
    }
  }
  throw new MillraceError('MR_PLAN_UNSUPPORTED', `no kernel can read the columns this plan needs: ${refused ?? 'unknown reason'}`, { httpStatus: 422 });
}

/** A kernel that needs no value, count(*), still needs rows, and rows come with a column: the narrowest. Kernels ignore further ones. */
function countable(inputs: readonly number[], dataset: DatasetSchema): readonly number[] {
  if (inputs.length > 0) return inputs;
  const bits = dataset.columns.map(({ physical, nullable }) => (physical === 'utf8' ? 1024 : physical === 'bool' ? 1 : 8 * (valueBytes[physical] ?? 16)) + (nullable ? 1 : 0));
  return [bits.indexOf(Math.min(...bits))];
}

/** Filters and projections, and the first operator that is neither. */
function prefixMax(ops: readonly PlanOp[]): number {
  const end = ops.findIndex((op) => op.kind !== 'filter' && op.kind !== 'project');
  return end < 0 ? ops.length : end + 1;
}

type Parts = Pick<CompiledPlan, 'scan' | 'merge' | 'output'>;

function compilePrefix(prefix: readonly PlanOp[], rest: readonly PlanOp[], dataset: DatasetSchema): Parts {
  const { conjuncts, columns, last } = flatten(prefix, dataset);
  const predicate = conjuncts.length === 0 ? undefined : conjuncts.length === 1 ? conjuncts[0] : ({ kind: 'and', args: conjuncts } as const);
  const prune = predicate ? { prune: predicate } : {};
  const finish = (scan: ScanKernel, merge: Merge, output: readonly Column[]): Parts => ({ scan: { ...scan, inputColumns: countable(scan.inputColumns, dataset), ...prune }, merge, output });
  switch (last?.kind) {
    case undefined: {
      const wanted = neededColumns(rest, columns);
      const scan = compileScan(rowOps(predicate, wanted), dataset);
      return finish(scan, { kind: 'concat', offset: 0 }, scan.output);
    }
    case 'limit': {
      const rows = last.offset + last.count;
      const scan = compileScan([...rowOps(predicate, neededColumns(rest, columns)), last], dataset);
      return finish({ ...scan, limitRows: rows }, { kind: 'concat', offset: last.offset, limit: last.count }, scan.output);
    }
    case 'topK': {
      if (last.k === 0) return compilePrefix([...prefix.slice(0, -1), { kind: 'limit', count: 0, offset: 0 }], rest, dataset);
      const { scan, merge, output } = compileTopK(last, predicate, neededColumns(rest, columns), dataset);
      return finish(scan, merge, output);
    }
    case 'aggregate': {
      const lowering = new Lowering(dataset);
      const shape = groupShape(last, dataset, lowering);
      const scan = shape.keys.length === 0 ? compileUngrouped(shape.partials, predicate, lowering, dataset) : compileGroupScan(shape, predicate, lowering, dataset);
      const merge = compileGroupMerge(shape, scan.output, dataset);
      return finish(scan, merge, shape.result);
    }
    case 'kernel': {
      const { scan, merge, output } = compileKernelOp(last, predicate, columns, dataset);
      return finish(scan, merge, output);
    }
    default:
      return invariant(false, 'filters and projections are flattened') as never;
  }
}

const rowOps = (predicate: Expr | undefined, columns: readonly NamedExpr[]): PlanOp[] => [...(predicate ? [{ kind: 'filter', predicate } as const] : []), { kind: 'project', columns }];

interface Flat {
  readonly conjuncts: readonly Expr[];
  /** Columns below the last operator, as expressions over the dataset. */
  readonly columns: readonly NamedExpr[];
  /** The aggregate, topK or limit on top, its expressions over the dataset too. */
  readonly last: Exclude<PlanOp, { kind: 'filter' | 'project' }> | undefined;
}

function flatten(prefix: readonly PlanOp[], dataset: DatasetSchema): Flat {
  const conjuncts: Expr[] = [];
  let columns: readonly NamedExpr[] = dataset.columns.map(({ name }) => ({ name, expr: { kind: 'column', name } }));
  let definitions = new Map(columns.map((c) => [c.name, c.expr]));
  for (const op of prefix) {
    const inline = (expr: Expr) => {
      const inlined = substitute(expr, definitions);
      checkSize(inlined);
      return inlined;
    };
    const named = (list: readonly NamedExpr[]) => list.map((c) => ({ name: c.name, expr: inline(c.expr) }));
    switch (op.kind) {
      case 'filter':
        conjuncts.push(inline(op.predicate));
        break;
      case 'project':
        columns = named(op.columns);
        definitions = new Map(columns.map((c) => [c.name, c.expr]));
        break;
      case 'limit':
      case 'kernel':
        return { conjuncts, columns, last: op };
      case 'topK':
        return { conjuncts, columns, last: { ...op, orderBy: op.orderBy.map((o) => ({ ...o, expr: inline(o.expr) })) } };
      case 'aggregate':
        return { conjuncts, columns, last: { ...op, groupBy: named(op.groupBy), aggregates: op.aggregates.map((a) => (a.arg ? { ...a, arg: inline(a.arg) } : a)) } };
      default:
        op satisfies never;
    }
  }
  return { conjuncts, columns, last: undefined };
}

/** Every filter as its conjuncts, those a kernel takes before the others, so that an unsupported one costs only itself. */
function supportedFiltersFirst(ops: readonly PlanOp[], dataset: DatasetSchema): readonly PlanOp[] {
  const out: PlanOp[] = [];
  let run: PlanOp[] = [];
  let below: PlanOp[] = [];
  const flush = () => {
    const supported = (op: PlanOp) => op.kind === 'filter' && isSupported(op.predicate, below, dataset);
    out.push(...run.filter(supported), ...run.filter((op) => !supported(op)));
    run = [];
  };
  for (const op of ops) {
    if (op.kind === 'filter') {
      const conjuncts = op.predicate.kind === 'and' && op.predicate.args.length > 0 ? op.predicate.args : [op.predicate];
      run.push(...conjuncts.map((predicate) => ({ kind: 'filter', predicate }) as const));
    } else {
      flush();
      out.push(op);
      below = [...out];
    }
  }
  flush();
  return out;
}

function isSupported(predicate: Expr, below: readonly PlanOp[], dataset: DatasetSchema): boolean {
  if (below.some((op) => op.kind !== 'filter' && op.kind !== 'project')) return true;
  try {
    const { columns } = flatten(below, dataset);
    new Lowering(dataset).lower(substitute(predicate, new Map(columns.map((c) => [c.name, c.expr]))));
    return true;
  } catch (error) {
    if (error instanceof Unsupported) return false;
    throw error;
  }
}

function decisionsOf(ops: readonly PlanOp[], taken: number, refused: string | undefined): Decision[] {
  return ops.map((op, i) => {
    const partial = op.kind === 'aggregate' || op.kind === 'topK';
    if (i < taken) return { op: op.kind, cause: partial ? 'partial' : 'scan', support: 'exact', reason: op.kind === 'kernel' ? 'in the scan kernel, row group by row group' : partial ? 'partial per row group, merged on the host' : 'in the scan kernel' };
    const reason = i === taken && refused ? refused : 'above an operator that ends the scan';
    return { op: op.kind, cause: i === taken ? 'unsupported' : 'above', support: 'unsupported', reason };
  });
}
