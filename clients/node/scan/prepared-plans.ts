import type { CompilePlan } from '../../../pushdown/plan/compiled.js';
import type { Plan } from '../../../pushdown/plan/plan.js';
import type { ResolvedPlan } from '../user/resolve-plan.js';
import type { DatasetView } from './dataset-view.js';
import { type Prepared, prepare } from './prepare.js';

/** Plans kept per version of a dataset: their modules, host kernels and measured rates with them. */
const plansMax = 64;

interface Kept {
  readonly compile: CompilePlan;
  /** By the plan's text, least recently used first. */
  readonly plans: Map<string, Promise<Prepared>>;
}

const kept = new WeakMap<DatasetView, Kept>();

/** The plan compiled against this version of its dataset: once, however often it runs. */
export function preparedPlan(resolved: ResolvedPlan, view: DatasetView, compile: CompilePlan): Promise<Prepared> {
  let known = kept.get(view);
  if (known?.compile !== compile) kept.set(view, (known = { compile, plans: new Map() }));
  const { plans } = known;
  const key = planText(resolved.plan);
  const found = plans.get(key);
  if (found) {
    plans.delete(key);
    plans.set(key, found);
    return found;
  }
  const made = prepare(resolved, view, compile);
  plans.set(key, made);
  made.catch(() => plans.delete(key));
  if (plans.size > plansMax) for (const oldest of plans.keys()) {
    plans.delete(oldest);
    break;
  }
  return made;
}

/** Equal for equal plans only. JSON knows neither bigints nor the numbers that are no numbers, nor bytes. */
function planText(plan: Plan): string {
  return JSON.stringify(plan, (_, value: unknown) => {
    if (typeof value === 'bigint') return { bigint: value.toString() };
    if (typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0))) return { number: Object.is(value, -0) ? '-0' : String(value) };
    if (value instanceof Uint8Array) return { bytes: [...value] };
    return value;
  });
}
