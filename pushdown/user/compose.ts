import { invariant } from '../types/error.js';
import type { BaseModule, LinkedModule } from '../wasm/encoder/base-module.js';
import type { FunctionBuilder, Local } from '../wasm/encoder/function-builder.js';
import type { ValType } from '../wasm/encoder/opcodes.js';
import { abi, freshPartFunction, KernelModule } from '../wasm/kernel-module.js';
import { type RowScan, rowScanKernel } from '../wasm/scan-rows.js';
import { reject } from '../runtime/module-reader.js';
import { linkedAlone } from './link-modules.js';
import { ArrowArray } from '../runtime/arrow-c.js';

/** What a user's kernel may export (docs/kernels.md), and the type each must have. */
const kernelFunctions = {
  process: [['i32', 'i32'], ['i32']],
  schema: [[], ['i32']],
  finish: [['i32'], ['i32']],
  reset: [[], []],
  configure: [['i32', 'i32'], ['i32']],
  input_schema: [[], ['i32']],
  merge: [['i32', 'i32'], ['i32']],
  finish_merge: [['i32'], ['i32']],
  result_schema: [[], ['i32']],
  error_text: [[], ['i32']],
  _initialize: [[], []],
} as const satisfies Record<string, readonly [readonly ValType[], readonly ValType[]]>;

type KernelFunction = keyof typeof kernelFunctions;

/** The functions of a user's kernel that are there. Throws KernelFault(ModuleRejected) when one has another type than it must. */
export function kernelFunctionsOf(user: BaseModule): Partial<Record<KernelFunction, { readonly index: number }>> {
  const found: Partial<Record<KernelFunction, { index: number }>> = {};
  for (const [name, [params, results]] of Object.entries(kernelFunctions) as [KernelFunction, readonly [readonly ValType[], readonly ValType[]]][]) {
    const index = user.exports.get(name);
    if (index === undefined) continue;
    const type = user.types[user.functions[index] ?? -1];
    if (type?.params.join() !== params.join() || type.results.join() !== results.join()) reject(`the exported function '${name}' must be (${params.join(', ')}) -> (${results.join(', ')})`);
    found[name] = { index };
  }
  return found;
}

/** Where the part that feeds a kernel is with its morsel. */
const phase = { wantsInput: 0, hasInput: 1, finishing: 2, finished: 3 } as const;

/**
 * A user's kernel behind a row scan, as one module of kernel ABI v1: filter, projection and casts of the scan make batches in the types
 * the kernel takes, the kernel's `process` gets each, then `finish`, per morsel. The digest covers all of it, parameters included.
 * linked: the kernel's module first, then those of functions the scan calls.
 */
export function composeScan(scan: Omit<RowScan, 'base' | 'inner'>, linked: LinkedModule, params: Uint8Array): Uint8Array<ArrayBuffer> {
  const functions = kernelFunctionsOf(first(linked).module);
  const { process, schema, finish } = functions;
  if (!process || !schema) reject('a kernel exports process and schema (scalar functions are called from filters and projections instead)');
  const { kernel } = rowScanKernel({ ...scan, base: linked, inner: true });
  const { module } = kernel;
  const batch = kernel.reserve(ArrowArray.bytes, 64);
  const source = module.global('i32');
  const at = module.global('i32', phase.finished);
  const last = module.global('i32');
  const { configured, reset } = emitReset(kernel, linked, functions, params, (f) => f.call(kernel.reset).i32(phase.finished).globalSet(at));
  // Asked before the first reset, when the module's data is not in its place yet.
  module.func([], ['i32'], 'schema').call(reset).call(schema);
  module.func(['i32'], ['i32'], 'finish').i32(abi.needInput);

  const f = module.func(['i32', 'i32'], ['i32'], 'process');
  const [input, out] = f.params as [Local, Local];
  const status = f.local('i32');
  const failed = () => f.get(status).i32(0).op('i32.lt_s').if(() => f.get(status).op('return'));
  f.globalGet(configured).if(() => f.globalGet(configured).op('return'));
  f.get(input).if(() => f.get(input).globalSet(source).i32(phase.wantsInput).globalSet(at).i32(0).globalSet(last));
  f.loop((again) => {
    f.globalGet(at).i32(phase.finished).op('i32.eq').if(() => f.i32(abi.needInput).op('return'));
    f.globalGet(at).i32(phase.finishing).op('i32.eq').if(() => {
      if (finish) {
        f.get(out).call(finish).tee(status).i32(abi.needInput).op('i32.and').if(() => f.i32(phase.finished).globalSet(at));
        f.get(status).op('return');
      } else f.i32(phase.finished).globalSet(at).i32(abi.needInput).op('return');
    });
    f.globalGet(at).if(
      () => f.i32(0).get(out).call(process).set(status),
      () => {
        f.globalGet(source).i32(batch).call(kernel.process).set(status).i32(0).globalSet(source);
        failed();
        f.get(status).i32(abi.needInput).op('i32.and').globalSet(last);
        f.get(status).i32(abi.outputReady).op('i32.and', 'i32.eqz').if(() => {
          f.globalGet(last).if(() => f.i32(phase.finishing).globalSet(at));
          f.br(again);
        });
        f.i32(batch).get(out).call(process).set(status);
      },
    );
    failed();
    // Neither bit: whoever runs the kernel calls that a violation.
    f.get(status).op('i32.eqz').if(() => f.i32(0).op('return'));
    f.get(status).i32(abi.needInput).op('i32.and').if(
      () => f.i32(phase.finishing).i32(phase.wantsInput).globalGet(last).op('select').globalSet(at),
      () => f.i32(phase.hasInput).globalSet(at),
    );
    f.get(status).i32(abi.outputReady).op('i32.and').if(() => f.i32(abi.outputReady).op('return'));
    f.br(again);
  });
  f.op('unreachable');
  return kernel.build();
}

/** The merge of a user's kernel as a module of kernel ABI v1: takes what the scans gave, row group by row group. */
export function composeMerge(user: BaseModule, params: Uint8Array): Uint8Array<ArrayBuffer> {
  const functions = kernelFunctionsOf(user);
  const { merge, finish_merge: finishMerge, schema, result_schema: resultSchema } = functions;
  if (!merge || !schema) reject('a kernel that merges exports merge and schema');
  const kernel = bareModule(user);
  const { module } = kernel;
  const { configured, reset } = emitReset(kernel, linkedAlone(user), functions, params, () => undefined);
  module.func([], ['i32'], 'schema').call(reset).call(resultSchema ?? schema);
  const process = module.func(['i32', 'i32'], ['i32'], 'process');
  process.globalGet(configured).if(() => process.globalGet(configured).op('return'));
  for (const param of process.params) process.get(param);
  process.call(merge);
  const finish = module.func(['i32'], ['i32'], 'finish');
  if (finishMerge) finish.get(finish.params[0] as Local).call(finishMerge);
  else finish.i32(abi.needInput);
  return kernel.build();
}

/** A module that only says what a kernel is: begin() sets it up and gives what configure() said; the schemas follow. */
export function composeProbe(user: BaseModule, params: Uint8Array): Uint8Array<ArrayBuffer> {
  const functions = kernelFunctionsOf(user);
  if (!functions.process || !functions.schema) reject('a kernel exports process and schema (scalar functions are called from filters and projections instead)');
  const kernel = bareModule(user);
  const { configured } = emitReset(kernel, linkedAlone(user), functions, params, () => undefined);
  kernel.module.func([], ['i32'], 'begin').globalGet(configured);
  for (const name of ['schema', 'input_schema', 'result_schema', 'error_text', 'merge'] as const) {
    const found = functions[name];
    if (!found) continue;
    const f = kernel.module.func(...([kernelFunctions[name][0], kernelFunctions[name][1], name] as const));
    for (const param of f.params) f.get(param);
    f.call(found);
  }
  return kernel.build();
}

/** The user's module with what the ABI's allocator and release_fn need, and no columns of ours. */
function bareModule(user: BaseModule): KernelModule {
  const kernel = new KernelModule([], 1, { base: linkedAlone(user), inner: true });
  kernel.process.op('unreachable');
  kernel.finish.op('unreachable');
  return kernel;
}

/** The kernel's own module: it stays as it is. */
function first({ parts: [part] }: LinkedModule): LinkedModule['parts'][number] {
  invariant(part, 'a kernel has a module');
  return part;
}

/**
 * Emits the exported reset. A kernel without a reset of its own forgets by being made anew: memory, globals and parameters. One that has
 * it is made once and told. Gives the global that holds what configure() refused with (-2 if it said anything but 0).
 */
function emitReset(kernel: KernelModule, linked: LinkedModule, functions: ReturnType<typeof kernelFunctionsOf>, params: Uint8Array, more: (f: FunctionBuilder) => void): { readonly configured: number; readonly reset: FunctionBuilder } {
  const { module } = kernel;
  const configured = module.global('i32');
  const made = module.global('i32');
  const fresh = freshPartFunction(module, first(linked));
  // Functions of other modules never keep anything.
  const others = linked.parts.slice(1).map((part) => freshPartFunction(module, part));
  const f = module.func([], [], 'reset');
  for (const other of others) f.call(other);
  const make = () => {
    f.call(fresh);
    if (functions.configure) {
      f.i32(module.data(params.length > 0 ? params : new Uint8Array(1), 16)).i32(params.length).call(functions.configure);
      f.if(() => f.i32(abi.badInput).globalSet(configured), () => f.i32(0).globalSet(configured));
    }
  };
  if (functions.reset) {
    f.globalGet(made).op('i32.eqz').if(() => {
      make();
      f.i32(1).globalSet(made);
    });
    f.call(functions.reset);
  } else make();
  more(f);
  return { configured, reset: f };
}
