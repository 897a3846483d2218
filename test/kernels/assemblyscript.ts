import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildAssemblyScript } from '../../clients/cli/kernel/build-assemblyscript.js';

const sdk = new URL('../../sdk/assemblyscript/millrace.ts', import.meta.url);

/** AssemblyScript as `millrace kernel build` compiles it; the SDK's file lies beside it. */
export async function assemblyScript(source: string, memoryPages = 16): Promise<Uint8Array<ArrayBuffer>> {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-as-'));
  try {
    writeFileSync(join(dir, 'kernel.ts'), source);
    writeFileSync(join(dir, 'millrace.ts'), readFileSync(sdk));
    return await buildAssemblyScript(dir, 'kernel.ts', memoryPages);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
