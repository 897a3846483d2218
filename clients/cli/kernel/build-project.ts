import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { MillraceError } from '../../../pushdown/types/error.js';
import { kernelFault } from '../../../pushdown/runtime/fault-error.js';
import { KernelFault } from '../../../pushdown/runtime/kernel-fault.js';
import { functionsOf, signatureOf } from '../../../pushdown/user/function-signature.js';
import { compileEngine } from '../../../pushdown/user/engine.js';
import { kernelFunctionsOf } from '../../../pushdown/user/compose.js';
import { readUserModule } from '../../../pushdown/user/read-module.js';
import { checkFunctionType } from '../../../pushdown/wasm/user-function.js';
import { ByteWriter } from '../../../pushdown/wasm/encoder/byte-writer.js';
import { buildAssemblyScript } from './build-assemblyscript.js';
import { buildC, buildRust } from './build-native.js';
import { builtPath, type KernelProject } from './project.js';

const builders = { assemblyscript: buildAssemblyScript, c: buildC, rust: buildRust } as const;

/** Compiles a project, notes its functions in the module, checks that it can be a part of a kernel, and writes it. */
export async function buildProject(project: KernelProject, path = builtPath(project)): Promise<{ readonly wasm: Uint8Array<ArrayBuffer>; readonly path: string }> {
  const compiled = await builders[project.lang](project.dir, project.source, project.memoryPages);
  const wasm = withNote(compiled, JSON.stringify({ name: project.name, lang: project.lang, functions: project.functions }));
  checkBuilt(wasm, project);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, wasm);
  return { wasm, path };
}

/** The module with a custom section `millrace` behind it. */
export function withNote(wasm: Uint8Array, note: string): Uint8Array<ArrayBuffer> {
  const body = new ByteWriter();
  body.name('millrace');
  body.bytes(new TextEncoder().encode(note));
  const out = new ByteWriter();
  out.bytes(wasm);
  out.u8(0);
  out.sized(body);
  return out.copy();
}

function checkBuilt(wasm: Uint8Array<ArrayBuffer>, project: KernelProject): void {
  try {
    const module = readUserModule(wasm);
    compileEngine(wasm);
    kernelFunctionsOf(module);
    for (const [name, text] of Object.entries(project.functions)) checkFunctionType(module, name, { digest: '', export: name, ...signatureOf(text, name) });
    if (!module.exports.has('process') && functionsOf(module).length === 0) throw new MillraceError('MR_KERNEL_BUILD', `${project.source} exports neither process nor a scalar function: nothing could use it.`);
  } catch (error) {
    throw error instanceof KernelFault ? kernelFault(error.fault, `${project.source} builds, but cannot be a kernel: ${error.message}.`, error) : error;
  }
}
