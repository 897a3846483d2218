import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { sha256Hex } from '../../node/transport/module-digest.js';
import { UserCodeLibrary } from '../../node/user/user-code.js';
import { kernelParams } from '../../node/user/kernel-params.js';
import { runLocal } from '../../node/user/local-run.js';
import { type LooseRows, rowsOf } from '../../node/user/loose-input.js';
import { functionTarget } from '../../node/user/resolve-plan.js';
import { decodeBatch } from '../../../pushdown/reference/decode.js';
import type { PlanOp } from '../../../pushdown/plan/plan.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import type { LogicalType } from '../../../pushdown/types/logical.js';
import type { KernelProject } from './project.js';

const kinds = z.enum(['bool', 'int8', 'int16', 'int32', 'int64', 'float32', 'float64', 'utf8', 'date']);
const values = z.array(z.unknown());
const schema = z.array(
  z.union([
    z.strictObject({ call: z.string(), args: values, expect: z.unknown() }),
    z.strictObject({
      columns: z.record(z.string(), kinds), rows: z.array(values), expect: z.array(values),
      params: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.union([z.string(), z.number()]))])).default({}),
      /** Rows of a row group; several sizes: each must give what is expected. Without: all at once. */
      rowGroupRows: z.union([z.number().int().min(1), z.array(z.number().int().min(1)).min(1)]).optional(),
    }),
  ]),
);
type Case = z.output<typeof schema>[number];

/**
 * Runs the cases of the project's test/*.json by the kernels slots run. Gives how many passed.
 * @throws MillraceError MR_KERNEL_TEST at the first that does not, with what came and what was expected
 */
export async function testProject(project: KernelProject, wasm: Uint8Array): Promise<number> {
  const code = new UserCodeLibrary({ json: noDaemon, bytes: noDaemon }, sha256Hex);
  const loaded = code.use(project.name, wasm);
  let passed = 0;
  for (const file of caseFiles(project.dir)) {
    for (const [i, test] of readCases(file).entries()) {
      for (const { input, ops, expect, at } of runsOf(test, project.name, loaded)) {
        const run = await runLocal({ dataset: 'test', ops }, input.columns, input.batches, code);
        const rows: unknown[][] = [];
        for await (const batch of run.batches) rows.push(...decodeBatch(batch).map((row) => row.map(plain)));
        if (!isDeepStrictEqual(rows, expect)) throw new MillraceError('MR_KERNEL_TEST', `${file}, case ${i + 1}${at}:\n  expected ${shown(expect)}\n  but got  ${shown(rows)}`);
      }
      passed++;
    }
  }
  if (passed === 0) throw new MillraceError('MR_KERNEL_TEST', `There is no test: write test/kernel.json (docs/kernels.md).`);
  return passed;
}

function caseFiles(dir: string): string[] {
  const folder = join(dir, 'test');
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')).sort().map((name) => join(folder, name)) : [];
}

function readCases(file: string): Case[] {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new MillraceError('MR_KERNEL_TEST', `${file} is not JSON: ${(cause as Error).message}.`, { cause });
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw new MillraceError('MR_KERNEL_TEST', `${file}: ${parsed.error.issues.map((i) => `${i.path.join('.')}: ${i.message}`).join('; ')}.`);
  return parsed.data;
}

interface Run { readonly input: LooseRows; readonly ops: readonly PlanOp[]; readonly expect: unknown; readonly at: string }

function runsOf(test: Case, name: string, loaded: Parameters<typeof functionTarget>[1]): Run[] {
  if ('call' in test) {
    const called = `${name}.${test.call}`;
    const { params } = functionTarget(called, loaded);
    const input = rowsOf(params.map((type, i) => ({ name: `a${i}`, type })), [test.args]);
    const args = params.map((_, i) => ({ kind: 'column', name: `a${i}` }) as const);
    return [{ input: params.length > 0 ? input : rowsOf([{ name: 'a0', type: { kind: 'int32' } }], [[0]]), ops: [{ kind: 'project', columns: [{ name: 'result', expr: { kind: 'call', name: called, args } }] }], expect: [[test.expect]], at: '' }];
  }
  const columns = Object.entries(test.columns).map(([column, kind]) => ({ name: column, type: { kind } as LogicalType }));
  const sizes = test.rowGroupRows === undefined ? [Math.max(1, test.rows.length)] : [test.rowGroupRows].flat();
  return sizes.map((size) => ({ input: rowsOf(columns, test.rows, size), ops: [{ kind: 'kernel', name, params: kernelParams(test.params) }], expect: test.expect, at: sizes.length > 1 ? `, row groups of ${size}` : '' }));
}

/** As JSON has it: whole numbers as numbers where they are exact, floats that JSON has no word for as text. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  return Object.is(value, -0) ? 0 : value;
}

const shown = (value: unknown): string => {
  const text = JSON.stringify(value);
  return text.length > 2000 ? `${text.slice(0, 2000)}...` : text;
};

const noDaemon = (): Promise<never> => Promise.reject(new MillraceError('MR_KERNEL_NOT_FOUND', 'Tests run without a daemon: only this kernel is there.'));
