import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join, relative, resolve } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { quoteName } from '../../../pushdown/plan/sql-expr.js';
import type { PlanOp } from '../../../pushdown/plan/plan.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import type { Client } from '../../node/client.js';
import { PlanExecution } from '../../node/scan/execute.js';
import { kernelParams } from '../../node/user/kernel-params.js';
import { type LooseFormat, looseRows } from '../../node/user/loose-input.js';
import { runLocal } from '../../node/user/local-run.js';
import { kernelFault } from '../../../pushdown/runtime/fault-error.js';
import { KernelFault } from '../../../pushdown/runtime/kernel-fault.js';
import { bytesText } from '../bytes.js';
import { buildProject } from '../kernel/build-project.js';
import { initProject } from '../kernel/init-project.js';
import { builtPath, type Language, projectFile, readProject } from '../kernel/project.js';
import { testProject } from '../kernel/test-project.js';
import { type FileFormat, type Rows, writeRows } from '../output/formats.js';
import { plural } from '../plural.js';
import { firstRows, resultTable, tableRowsMax, textTable } from '../output/table.js';
import { writeOut } from '../output/write.js';
import { type ConnectSettings, withClient } from '../settings.js';
import { isNumeric } from './sql.js';

export function kernelInit(name: string, { lang, dir }: { readonly lang: Language; readonly dir?: string }): void {
  const folder = dir ?? name;
  initProject(folder, name, lang);
  process.stderr.write(`made ${folder}/: millrace kernel test ${folder} builds and tests it${lang === 'assemblyscript' ? ' (npm install there gives it a compiler of its own)' : ''}\n`);
}

export async function kernelBuild(dir: string): Promise<void> {
  const { wasm, path } = await buildProject(readProject(dir));
  process.stderr.write(`${relative('', path) || path}: ${bytesText(wasm.length)}, sha256 ${digestOf(wasm)}\n`);
}

export async function kernelTest(dir: string): Promise<void> {
  const project = readProject(dir);
  const { wasm } = await buildProject(project);
  const passed = await testProject(project, wasm);
  await writeOut(`${project.name}: ${passed} cases passed\n`);
}

export async function kernelPush(what: string | undefined, settings: ConnectSettings & { readonly name?: string; readonly replace?: boolean }): Promise<void> {
  const { name, wasm } = await moduleAt(what ?? '.');
  await withClient({ ...settings, transport: 'http' }, async (client) => {
    const info = await client.pushKernel(settings.name ?? name, wasm, settings.replace ? { replace: true } : {});
    process.stderr.write(`pushed ${info.name}: ${bytesText(info.bytes)}, sha256 ${info.digest}\n`);
  });
}

export async function kernelLs(name: string | undefined, settings: ConnectSettings & { readonly output?: 'table' | 'json' }): Promise<void> {
  await withClient({ ...settings, transport: 'http' }, async (client) => {
    const format = settings.output ?? (process.stdout.isTTY ? 'table' : 'json');
    if (name !== undefined) {
      const found = { ...(await client.kernelInfo(name)), ...(await client.describeKernel(name)) };
      if (format === 'json') return writeOut(`${JSON.stringify(found)}\n`);
      const columns = (list: readonly string[] | 'any' | undefined) => (typeof list === 'string' ? 'any columns' : (list?.join(', ') ?? ''));
      const lines = [
        `${found.name}: ${bytesText(found.bytes)}, sha256 ${found.digest}, by ${found.pushedBy}, ${new Date(found.pushedAtMs).toISOString()}`, ...found.functions.map((f) => `function  ${f}`),
        ...(found.refusal === undefined ? [] : [`kernel    ${found.refusal}`]), ...(found.output ? [`takes     ${columns(found.input)}`, `gives     ${columns(found.merged ?? found.output)}`] : []),
      ];
      return writeOut(`${lines.join('\n')}\n`);
    }
    const kernels = await client.kernels();
    if (format === 'json') return writeOut(kernels.map((k) => `${JSON.stringify(k)}\n`).join(''));
    if (kernels.length === 0) return writeOut('no kernels yet: millrace kernel init, millrace kernel push\n');
    const left = (column: string) => ({ name: column, numeric: false });
    await writeOut(textTable([left('name'), { name: 'size', numeric: true }, left('sha256'), left('by'), left('when')], kernels.map((k) => [k.name, bytesText(k.bytes), k.digest.slice(0, 16), k.pushedBy, new Date(k.pushedAtMs).toISOString()])));
  });
}

export async function kernelRm(names: readonly string[], settings: ConnectSettings): Promise<void> {
  await withClient({ ...settings, transport: 'http' }, async (client) => {
    for (const name of names) {
      await client.removeKernel(name);
      process.stderr.write(`removed ${name}\n`);
    }
  });
}

export interface KernelRunSettings extends ConnectSettings {
  /** A stored kernel's name, a module's path or a project's folder; the project here without. */
  readonly kernel?: string;
  readonly param: readonly string[];
  readonly columns?: string;
  readonly where?: string;
  readonly input?: string;
  readonly format?: LooseFormat;
  readonly pushdown: 'auto' | 'always' | 'never';
  readonly output?: 'table' | FileFormat;
  readonly stats?: boolean;
}

/** Runs a kernel over a dataset, or over rows that are none (--input). */
export async function kernelRun(dataset: string | undefined, settings: KernelRunSettings, signal: AbortSignal): Promise<void> {
  if ((dataset === undefined) === (settings.input === undefined)) throw new MillraceError('MR_USAGE', 'Name a dataset, or give rows by --input FILE or --input -.');
  if (settings.input !== undefined && (settings.columns ?? settings.where) !== undefined) throw new MillraceError('MR_USAGE', '--columns and --where are for datasets: filter what you give by --input before.');
  const local = settings.kernel === undefined || isLocal(settings.kernel) ? await moduleAt(settings.kernel ?? '.') : undefined;
  const name = local?.name ?? settings.kernel ?? '';
  const params = paramsOf(settings.param);
  if (dataset === undefined && local) return runLoose(settings, local, params);
  await withClient(settings, async (client) => {
    if (local) client.useKernel(local.name, local.wasm);
    if (dataset !== undefined) return runDataset(client, dataset, name, params, settings, signal);
    return runLoose(settings, { name, wasm: await client.kernelModule(name) }, params);
  });
}

async function runDataset(client: Client, dataset: string, name: string, params: Readonly<Record<string, string>>, settings: KernelRunSettings, signal: AbortSignal): Promise<void> {
  const ops: PlanOp[] = [...(await rowsFor(client, dataset, name, params, settings, signal)), { kind: 'kernel', name, params: kernelParams(params) }];
  const run = client.stream({ dataset, ops }, { pushdown: settings.pushdown, signal }) as PlanExecution;
  await print(run, () => run.columns([]), settings, signal);
  if (!settings.stats && !process.stderr.isTTY) return;
  const { rows, linkBytes, morselsDevice, morselsHost, morselsPruned, ms } = run.stats();
  const where = [[morselsDevice, 'on the device'], [morselsHost, 'on the host'], [morselsPruned, 'pruned']].filter(([n]) => n !== 0).map(([n, text]) => `${n} ${text}`).join(', ');
  process.stderr.write(`${plural(rows, 'row')}, ${bytesText(linkBytes)} over the link, ${ms.toFixed(1)} ms (row groups: ${where}), kernel sha256 ${run.prepared ? digestOf(run.prepared.compiled.scan.wasm) : 'none'}\n`);
}

/** Filter and columns, as SQL writes them; without columns those the kernel names, where the dataset has them. */
async function rowsFor(client: Client, dataset: string, name: string, params: Readonly<Record<string, string>>, { columns, where }: KernelRunSettings, signal: AbortSignal): Promise<readonly PlanOp[]> {
  const info = await client.info(dataset);
  const wanted = (await client.describeKernel(name, params)).inputNames;
  const named = wanted?.every((column) => info.columns.some((c) => c.name === column)) ? wanted : info.columns.map((c) => c.name);
  const list = columns ?? named.map(quoteName).join(', ');
  const plan = await client.sqlEngine.plan(`SELECT ${list} FROM ${quoteName(dataset)}${where === undefined ? '' : ` WHERE ${where}`}`, signal);
  if (plan.kind !== 'plan') throw new MillraceError('MR_USAGE', '--columns and --where take what kernels compute: columns, arithmetic, comparisons, LIKE, functions of kernels.');
  return plan.plan.ops;
}

async function runLoose(settings: KernelRunSettings, { name, wasm }: LocalModule, params: Readonly<Record<string, string>>): Promise<void> {
  const { sha256Hex } = await import('../../node/transport/module-digest.js');
  const { UserCodeLibrary } = await import('../../node/user/user-code.js');
  const { kernelShape } = await import('../../../pushdown/user/kernel-shape.js');
  const code = new UserCodeLibrary({ json: nothing, bytes: nothing }, sha256Hex);
  const { module } = code.use(name, wasm);
  const input = settings.input ?? '-';
  const bytes = input === '-' ? await buffer(process.stdin) : readInput(input);
  const format = settings.format ?? (/\.(arrow|arrows|feather|ipc)$/i.test(input) ? 'arrow' : /\.(txt|log)$/i.test(input) ? 'raw' : 'ndjson');
  try {
    const wanted = kernelShape(module, new TextEncoder().encode(kernelParams(params))).input;
    const rows = await looseRows(bytes, format, wanted && !wanted.repeatsLast ? wanted.columns : undefined);
    const run = await runLocal({ dataset: 'input', ops: [{ kind: 'kernel', name, params: kernelParams(params) }] }, rows.columns, rows.batches, code);
    await print(run.batches, () => run.columns, settings, new AbortController().signal);
    if (settings.stats || process.stderr.isTTY) process.stderr.write(`${rows.batches.reduce((sum, b) => sum + b.rows, 0)} rows in, here, kernel sha256 ${digestOf(run.wasm)}\n`);
  } catch (error) {
    throw error instanceof KernelFault ? kernelFault(error.fault, `The kernel ${name} failed: ${error.message}.`, error) : error;
  }
}

async function print(batches: Rows extends AsyncIterable<infer B> ? AsyncIterable<B> : never, columns: () => Rows['columns'], settings: KernelRunSettings, signal: AbortSignal): Promise<void> {
  const format = settings.output ?? (process.stdout.isTTY ? 'table' : 'json');
  if (format === 'table') {
    const { rows, total } = await firstRows(batches, tableRowsMax);
    if (total > rows.length) process.stderr.write(`the first ${rows.length} of ${total} rows; -o json or -o csv gives all\n`);
    await writeOut(resultTable(columns().map((c) => ({ name: c.name, numeric: isNumeric(c.type) })), rows));
    return;
  }
  // What the columns are is known when the first batch is there, or when there is none.
  const iterator = batches[Symbol.asyncIterator]();
  const first = await iterator.next();
  const rows: Rows = {
    columns: columns(),
    async *[Symbol.asyncIterator]() {
      for (let next = first; !next.done; next = await iterator.next()) yield next.value;
    },
  };
  await writeRows(rows, format, undefined, signal);
}

interface LocalModule { readonly name: string; readonly wasm: Uint8Array }

const isLocal = (kernel: string): boolean => kernel.endsWith('.wasm') || existsSync(join(kernel, projectFile));

/** A module's file, or a project: built where it was not. */
async function moduleAt(path: string): Promise<LocalModule> {
  if (path.endsWith('.wasm')) return { name: basename(path, '.wasm'), wasm: readInput(path) };
  const project = readProject(path);
  return { name: project.name, wasm: existsSync(builtPath(project)) ? readInput(builtPath(project)) : (await buildProject(project)).wasm };
}

function readInput(path: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (cause) {
    throw new MillraceError('MR_USAGE', `${resolve(path)} cannot be read (${(cause as NodeJS.ErrnoException).code ?? String(cause)}).`, { cause });
  }
}

function paramsOf(params: readonly string[]): Record<string, string> {
  return Object.fromEntries(params.map((text) => {
    const at = text.indexOf('=');
    if (at < 1) throw new MillraceError('MR_USAGE', `--param ${text}: write --param name=value.`);
    return [text.slice(0, at), text.slice(at + 1)];
  }));
}

const nothing = (): Promise<never> => Promise.reject(new MillraceError('MR_KERNEL_NOT_FOUND', 'Only this kernel is there.'));
const digestOf = (wasm: Uint8Array): string => createHash('sha256').update(wasm).digest('hex');
