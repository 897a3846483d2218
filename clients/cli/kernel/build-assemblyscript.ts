import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { packageRoot } from '../../../native/index.js';
import { MillraceError } from '../../../pushdown/types/error.js';

interface Compiler {
  main(args: string[], options: { stdout: Output; stderr: Output; readFile(name: string, base: string): Promise<string | null>; writeFile(name: string, contents: Uint8Array | string, base: string): void; listFiles(): string[] }): Promise<{ error: Error | null }>;
}
interface Output { write(chunk: string | Uint8Array): void }

/**
 * Compiles an AssemblyScript kernel with the `assemblyscript` of its project, or that of this installation.
 * @throws MillraceError MR_SDK_MISSING, MR_KERNEL_BUILD with the compiler's words
 */
export async function buildAssemblyScript(dir: string, source: string, memoryPages: number): Promise<Uint8Array<ArrayBuffer>> {
  const compiler = (await import(pathToFileURL(compilerPath(dir)).href)) as { default?: Compiler } & Compiler;
  let words = '';
  let wasm: Uint8Array | undefined;
  const take: Output = { write: (chunk) => { words += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8'); } };
  const { error } = await (compiler.default ?? compiler).main(
    // Stub: memory is taken and never given back, until the host clears it before the next row group. abort: a trap, without a text.
    [source, '--outFile', 'kernel.wasm', '-O3', '--runtime', 'stub', '--exportStart', '_initialize', '--use', 'abort=', '--enable', 'simd', '--initialMemory', String(memoryPages), '--noExportMemory'],
    {
      stdout: take, stderr: take, listFiles: () => [],
      // A project has the SDK's file beside it; one that has not gets it from here.
      readFile: (name) => readFile(resolve(dir, name), 'utf8').catch(() => (name === 'millrace.ts' ? readFile(join(packageRoot, 'sdk/assemblyscript/millrace.ts'), 'utf8') : null)),
      writeFile: (name, contents) => { if (name.endsWith('.wasm') && typeof contents !== 'string') wasm = contents; },
    },
  );
  if (error || !wasm) throw new MillraceError('MR_KERNEL_BUILD', `AssemblyScript does not take ${source}:\n${words.trim() || String(error)}`);
  return new Uint8Array(wasm);
}

/** Node looks for packages in these folders; the package's own exports are for import only, which cannot be asked about another place. */
function compilerPath(dir: string): string {
  for (const from of [resolve(dir), dirname(fileURLToPath(import.meta.url))]) {
    for (let at = from; ; at = dirname(at)) {
      const path = join(at, 'node_modules/assemblyscript/dist/asc.js');
      if (existsSync(path)) return path;
      if (dirname(at) === at) break;
    }
  }
  throw new MillraceError('MR_SDK_MISSING', `The AssemblyScript compiler is not installed: run npm install --save-dev assemblyscript in ${resolve(dir)}.`);
}
