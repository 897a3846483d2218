import type { Expr, FunctionTarget } from '../../../pushdown/expr/expr.js';
import { typeName } from '../../../pushdown/expr/infer.js';
import type { KernelTarget, Plan, PlanOp } from '../../../pushdown/plan/plan.js';
import { kernelFault } from '../../../pushdown/runtime/fault-error.js';
import { KernelFault } from '../../../pushdown/runtime/kernel-fault.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import { functionsOf } from '../../../pushdown/user/function-signature.js';
import { kernelShape } from '../../../pushdown/user/kernel-shape.js';
import type { UserModule } from '../../../pushdown/user/read-module.js';
import { liftTexts } from '../../../pushdown/user/lift-texts.js';
import { userCodeIn } from '../../../pushdown/user/user-code.js';
import type { LoadedModule, UserCode } from './user-code.js';

/** A plan whose user code is found, and the modules it is in, by digest. */
export interface ResolvedPlan {
  readonly plan: Plan;
  readonly modules: ReadonlyMap<string, UserModule> | undefined;
}

/**
 * Finds the functions and kernels a plan names, as they are now, and types the plan with them. A plan without any is given back as it is.
 * @throws MillraceError MR_KERNEL_NOT_FOUND, MR_KERNEL_NOT_ALLOWED, MR_FUNCTION_NOT_FOUND, MR_KERNEL_* for what is wrong with a module or its parameters
 */
export async function resolvePlan(plan: Plan, code: UserCode | undefined): Promise<ResolvedPlan> {
  const names = userCodeIn(plan.ops);
  if (names.length === 0) return { plan, modules: undefined };
  if (!code) throw new MillraceError('MR_KERNEL_NOT_FOUND', `There is no kernel ${names[0]} here.`, { httpStatus: 404 });
  const loaded = new Map<string, LoadedModule>();
  for (const name of new Set(names.map(kernelName))) loaded.set(name, await code.find(name));
  for (const each of loaded.values()) code.check(each);
  const found = (name: string) => loaded.get(kernelName(name))!; // every name was looked up
  const ops = plan.ops.flatMap((op): PlanOp[] => {
    if (op.kind === 'kernel') return [{ ...op, target: kernelTarget(found(op.name), op.params) }];
    const resolved = withTargets(op, found) as PlanOp;
    return resolved.kind === 'filter' ? [{ ...resolved, predicate: asBool(resolved.predicate) }] : liftTexts(resolved);
  });
  return { plan: { ...plan, ops }, modules: new Map([...loaded.values()].map((l) => [l.digest, l.module])) };
}

/** `kernel` or `kernel.function`. */
const kernelName = (name: string): string => name.split('.')[0]!; // split gives one part at least

/** The function a name means: kernel.function; or the kernel's function of the same name, or its only one. */
export function functionTarget(name: string, { digest, module }: LoadedModule): FunctionTarget {
  const [kernel, wanted] = name.split('.');
  const functions = functionsOf(module);
  const found = wanted === undefined ? (functions.find((f) => f.export === kernel) ?? (functions.length === 1 ? functions[0] : undefined)) : functions.find((f) => f.export === wanted);
  if (!found) throw new MillraceError('MR_FUNCTION_NOT_FOUND', `There is no function ${name}; kernel ${kernel} has ${functions.map((f) => f.export).join(', ') || 'no functions'}.`, { field: name, httpStatus: 404 });
  return { digest, ...found };
}

const targets = new WeakMap<UserModule, Map<string, KernelTarget>>();

function kernelTarget({ name, digest, module }: LoadedModule, params: string): KernelTarget {
  let known = targets.get(module);
  if (!known) targets.set(module, (known = new Map()));
  let target = known.get(params);
  if (target) return target;
  try {
    target = { digest, ...kernelShape(module, new TextEncoder().encode(params)) };
  } catch (error) {
    throw error instanceof KernelFault ? kernelFault(error.fault, `The kernel ${name} cannot be used: ${error.message}.`, error) : error;
  }
  if (known.size >= 64) known.clear();
  known.set(params, target);
  return target;
}

/** A copy of the node in which every call has its target. */
function withTargets(node: unknown, found: (name: string) => LoadedModule): unknown {
  if (Array.isArray(node)) return node.map((each) => withTargets(each, found));
  if (typeof node !== 'object' || node === null) return node;
  const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, withTargets(value, found)]));
  if (copy.kind !== 'call') return copy;
  const target = functionTarget(copy.name as string, found(copy.name as string));
  // The statement was typed with what the function was then.
  if (copy.target !== undefined && !sameTarget(copy.target as FunctionTarget, target)) throw new MillraceError('MR_KERNEL_CHANGED', `The function ${String(copy.name)} was replaced: run the statement again.`, { httpStatus: 409 });
  return { ...copy, target };
}

export function sameTarget(a: FunctionTarget, b: FunctionTarget): boolean {
  const text = (t: FunctionTarget) => [t.digest, t.export, ...t.params.map(typeName), typeName(t.result)].join();
  return text(a) === text(b);
}

/** Where a truth value is wanted, a function's number means whether it is not 0. */
function asBool(expr: Expr): Expr {
  switch (expr.kind) {
    case 'call':
      return expr.target?.result.kind === 'bool' ? expr : { kind: 'cast', arg: expr, type: { kind: 'bool' } };
    case 'and':
    case 'or':
      return { ...expr, args: expr.args.map(asBool) };
    case 'not':
      return { ...expr, arg: asBool(expr.arg) };
    default:
      return expr;
  }
}
