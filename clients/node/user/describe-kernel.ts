import { typeName } from '../../../pushdown/expr/infer.js';
import { KernelFault } from '../../../pushdown/runtime/kernel-fault.js';
import { functionsOf } from '../../../pushdown/user/function-signature.js';
import { kernelShape } from '../../../pushdown/user/kernel-shape.js';
import { type KernelParams, kernelParams } from './kernel-params.js';
import type { LoadedModule } from './user-code.js';

export interface KernelDescription {
  readonly name: string;
  readonly digest: string;
  /** Scalar functions, as `name(types) -> type`. */
  readonly functions: readonly string[];
  /** Columns in and out, `name type` each; undefined: it is no batch kernel, or refuses these parameters (`refusal`). */
  readonly input?: readonly string[] | 'any';
  /** Names of the columns it takes, where it says which and how many. */
  readonly inputNames?: readonly string[];
  readonly output?: readonly string[];
  /** Columns after the merge of all row groups. */
  readonly merged?: readonly string[];
  readonly refusal?: string;
}

export function describeKernel({ name, digest, module }: LoadedModule, params: KernelParams): KernelDescription {
  const functions = functionsOf(module).map((f) => `${f.export}(${f.params.map(typeName).join(', ')}) -> ${typeName(f.result)}`);
  if (!module.exports.has('process')) return { name, digest, functions };
  const columns = (list: readonly { readonly name: string; readonly type: Parameters<typeof typeName>[0] }[]) => list.map((c) => `${c.name} ${typeName(c.type)}`);
  try {
    const { input, output, merged } = kernelShape(module, new TextEncoder().encode(kernelParams(params)));
    return { name, digest, functions, input: input ? columns(input.columns).map((text, i, all) => (input.repeatsLast && i === all.length - 1 ? `${text} ...` : text)) : 'any', ...(input && !input.repeatsLast && { inputNames: input.columns.map((c) => c.name) }), output: columns(output), ...(merged && { merged: columns(merged) }) };
  } catch (error) {
    if (!(error instanceof KernelFault)) throw error;
    return { name, digest, functions, refusal: error.message };
  }
}
