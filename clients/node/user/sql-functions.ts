import { MillraceError } from '../../../pushdown/types/error.js';
import type { SqlFunction } from '../sql/context.js';
import { functionTarget } from './resolve-plan.js';
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
