import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildProject } from '../../clients/cli/kernel/build-project.js';
import { readProject } from '../../clients/cli/kernel/project.js';
import { packageRoot } from '../../native/index.js';

/** The module of a kernel in kernels/, built as `millrace kernel build` does, and left nowhere. */
export async function exampleKernel(name: string): Promise<Uint8Array<ArrayBuffer>> {
  const scratch = mkdtempSync(join(tmpdir(), 'millrace-example-'));
  try {
    return (await buildProject(readProject(join(packageRoot, 'kernels', name)), join(scratch, 'kernel.wasm'))).wasm;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
