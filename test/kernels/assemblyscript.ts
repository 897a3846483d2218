import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildAssemblyScript } from '../../clients/cli/kernel/build-assemblyscript.js';

/** AssemblyScript as `millrace kernel build` compiles it. */
export async function assemblyScript(source: string, memoryPages = 16): Promise<Uint8Array<ArrayBuffer>> {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-as-'));
  try {
    writeFileSync(join(dir, 'kernel.ts'), source);
    return await buildAssemblyScript(dir, 'kernel.ts', memoryPages);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
