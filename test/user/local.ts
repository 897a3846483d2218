import { createHash } from 'node:crypto';
import { UserCodeLibrary } from '../../clients/node/user/user-code.js';
import { runLocal } from '../../clients/node/user/local-run.js';
import type { PlanOp } from '../../pushdown/plan/plan.js';
import { decodeBatch } from '../../pushdown/reference/decode.js';
import type { Value } from '../../pushdown/reference/value.js';
import type { Batch } from '../../pushdown/types/batch.js';
import type { Column } from '../../pushdown/types/schema.js';

const nowhere = { json: () => Promise.reject(new Error('no daemon')), bytes: () => Promise.reject(new Error('no daemon')) };
export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Modules under names, as a client that was given them. */
export function libraryOf(modules: Readonly<Record<string, Uint8Array>>): UserCodeLibrary {
  const library = new UserCodeLibrary(nowhere, sha256);
  for (const [name, wasm] of Object.entries(modules)) library.use(name, wasm);
  return library;
}

/** Rows of a plan over batches, run here by the kernels a slot would run. */
export async function localRows(ops: readonly PlanOp[], columns: readonly Column[], batches: readonly Batch[], modules: Readonly<Record<string, Uint8Array>>): Promise<Value[][]> {
  const run = await runLocal({ dataset: 'batches', ops }, columns, batches, libraryOf(modules));
  const rows: Value[][] = [];
  for await (const batch of run.batches) rows.push(...decodeBatch(batch));
  return rows;
}
