import { MillraceError } from '../../../pushdown/types/error.js';
import type { SqlFunction } from '../sql/context.js';
import type { HostFunction } from '../sql/host-function.js';
import { functionTarget, sameTarget } from './resolve-plan.js';
import type { LoadedModule, UserCodeLibrary } from './user-code.js';

/**
 * The functions among `names` (lower case, `kernel` or `kernel.function`) that kernels have. A name that means none is left to SQL
 * to refuse.
 */
export async function sqlFunctions(names: readonly string[], code: UserCodeLibrary): Promise<SqlFunction[]> {
  const kernels = new Map((await code.names()).map((name) => [name.toLowerCase(), name]));
  const found: SqlFunction[] = [];
  for (const name of names) {
    const [kernel, wanted] = name.split('.');
    const known = kernels.get(kernel ?? '');
    if (known === undefined) continue;
    const loaded = await code.find(known);
    // SQL folds case, WebAssembly does not.
    const exported = wanted === undefined ? undefined : [...loaded.module.exports.keys()].find((e) => e.toLowerCase() === wanted);
    const target = targetOf(wanted === undefined ? known : `${known}.${exported ?? wanted}`, loaded);
    if (target) found.push({ name: wanted === undefined ? known : `${known}.${target.export}`, target });
  }
  return found;
}

function targetOf(name: string, loaded: LoadedModule): SqlFunction['target'] | undefined {
  try {
    return functionTarget(name, loaded);
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'MR_FUNCTION_NOT_FOUND') return undefined;
    throw error;
  }
}

/** Functions a statement was bound to, with their modules. @throws MillraceError MR_KERNEL_NOT_ALLOWED, MR_KERNEL_CHANGED, MR_KERNEL_NOT_FOUND */
export async function hostFunctions(functions: readonly SqlFunction[], code: UserCodeLibrary): Promise<HostFunction[]> {
  const found: HostFunction[] = [];
  for (const { name, target } of functions) {
    const loaded = await code.find(name.split('.')[0]!); // split gives one part at least
    code.check(loaded);
    const now = targetOf(name, loaded);
    if (!now || !sameTarget(now, target)) throw new MillraceError('MR_KERNEL_CHANGED', `The function ${name} was replaced: run the statement again.`, { httpStatus: 409 });
    found.push({ name, target, modules: new Map([[loaded.digest, loaded.module]]) });
  }
  return found;
}
