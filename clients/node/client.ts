import type { Readable } from 'node:stream';
import type { Plan } from '../../pushdown/plan/plan.js';
import { naturalPhysical } from '../../pushdown/plan/schema.js';
import type { Batch } from '../../pushdown/types/batch.js';
import type { Column } from '../../pushdown/types/schema.js';
import type { DatasetInfo } from '../../pushdown/types/dataset-info.js';
import type { QueryRunner } from './query/dataset-query.js';
import { putDataset, type PutOptions, type PutSource } from './put/put-dataset.js';
import { DatasetQuery } from './query/dataset-query.js';
import type { NativeDuckDB } from '../../native/index.js';
import { QueryResult } from './result/query-result.js';
import type { ResultStream } from './result/result-stream.js';
import { type DatasetDescription, describeDataset } from './describe.js';
import { type ExecuteContext, PlanExecution } from './scan/execute.js';
import { type ExplainOptions, type ExplainRow, type Explanation, explainPlan, explainRun } from './scan/explain.js';
import { KernelStream, type KernelStreamOptions } from './scan/kernel-stream.js';
import { type PlanEstimate, estimatePlan } from './scan/estimate.js';
import { bareSchema } from './scan/dataset-view.js';
import type { Pushdown, QueryOptions } from './scan/options.js';
import { explainRows, explainText } from './sql/explain-sql.js';
import { hostFunctions, sqlFunctions } from './user/sql-functions.js';
import { describeKernel, type KernelDescription } from './user/describe-kernel.js';
import type { KernelParams } from './user/kernel-params.js';
import type { KernelInfo, UserCodeLibrary } from './user/user-code.js';
import { SqlEngine, type SqlRun } from './sql/sql-query.js';
import { KeyValue, type KvTransport } from './kv/key-value.js';
import type { RestClient } from './transport/rest-client.js';

export type { PutOptions, PutProgress, PutSource } from './put/put-dataset.js';

export interface ClientContext extends ExecuteContext {
  readonly userCode: UserCodeLibrary;
  /** The way to the key/value namespace, as good as there is now. */
  kvTransport(): Promise<KvTransport>;
  /** Ceiling of each DuckDB on the host, and of the rows one SQL statement may bring to it. */
  readonly hostMemoryBytes: number;
  openDuckDB(config: { readonly locked: boolean; readonly memoryLimitBytes: number; readonly threads: number }): NativeDuckDB;
}

/** What reading a whole dataset and comparing its checksums found. */
export interface VerifyReport {
  readonly name: string;
  readonly version: number;
  readonly chunks: number;
  readonly bytes: number;
  /** Chunks whose checksum does not match. */
  readonly damaged: readonly { readonly column: string; readonly rowGroup: number | 'dictionary' }[];
}

export interface SqlExplanation {
  readonly plan: readonly ExplainRow[];
  /** The same as a table. */
  readonly text: string;
}

/** One daemon, as a client sees it. Made by connect(). */
export class Client implements QueryRunner {
  readonly #rest: RestClient;
  readonly #context: ClientContext;
  readonly #closing: () => Promise<void>;
  #sql: SqlEngine | undefined;

  constructor(rest: RestClient, context: ClientContext, closing: () => Promise<void>) {
    this.#rest = rest;
    this.#context = context;
    this.#closing = closing;
  }

  get url(): string {
    return this.#rest.url.origin;
  }

  async datasets(): Promise<DatasetInfo[]> {
    return (await this.#rest.json<{ datasets: DatasetInfo[] }>('/v1/datasets')).datasets;
  }

  /** One dataset. @throws MillraceError MR_DATASET_NOT_FOUND */
  info(name: string): Promise<DatasetInfo> {
    return this.#rest.json(datasetPath(name));
  }

  /**
   * Loads files as one dataset: a local path (a glob or a folder stands for all its files, in order of their names), several,
   * bytes or a stream of them. Resolves when it is published; until then nothing of it is. See PutOptions.
   */
  async put(name: string, source: PutSource, options: PutOptions = {}): Promise<DatasetInfo> {
    const info = await putDataset(this.#rest, name, source, options);
    this.#context.views.forget(name);
    return info;
  }

  async remove(name: string): Promise<void> {
    await this.#rest.bytes(datasetPath(name), { method: 'DELETE' });
    this.#context.views.forget(name);
  }

  /** The dataset as an Arrow IPC stream with logical types. */
  export(name: string): Promise<Readable> {
    return this.#rest.stream(`${datasetPath(name)}/export`);
  }

  /** Schema, physical types, row groups and zone maps of a dataset. @throws MillraceError MR_DATASET_NOT_FOUND */
  async describe(name: string): Promise<DatasetDescription> {
    this.#context.views.forget(name);
    return describeDataset(await this.#context.views.get(name));
  }

  /** Has the daemon read every chunk of a dataset from the media and compare checksums. Damage is in the report, not thrown. */
  verify(name: string, signal?: AbortSignal): Promise<VerifyReport> {
    return this.#rest.json(`${datasetPath(name)}/verify`, { method: 'POST', signal });
  }

  /** Kernels stored at the daemon. */
  async kernels(): Promise<KernelInfo[]> {
    return (await this.#rest.json<{ kernels: KernelInfo[] }>('/v1/kernels')).kernels;
  }

  /** Stores a kernel under a name: for SQL, call() and kernel() of everybody on this device. @throws MillraceError MR_KERNEL_EXISTS, MR_KERNEL_NAME */
  pushKernel(name: string, wasm: Uint8Array, options: { readonly replace?: boolean } = {}): Promise<KernelInfo> {
    return this.#rest.json(`${kernelPath(name)}${options.replace ? '?replace=1' : ''}`, { method: 'PUT', body: wasm, contentType: 'application/wasm' });
  }

  /** One stored kernel. @throws MillraceError MR_KERNEL_NOT_FOUND */
  kernelInfo(name: string): Promise<KernelInfo> {
    return this.#rest.json(kernelPath(name));
  }

  /** The module of a stored kernel. @throws MillraceError MR_KERNEL_NOT_FOUND */
  kernelModule(name: string): Promise<Uint8Array> {
    return this.#rest.bytes(`${kernelPath(name)}/module`);
  }

  async removeKernel(name: string): Promise<void> {
    await this.#rest.bytes(kernelPath(name), { method: 'DELETE' });
  }

  /** Uses a module under a name in this client's queries without storing it. @throws MillraceError MR_KERNEL_MODULE_REJECTED */
  useKernel(name: string, wasm: Uint8Array): void {
    this.#context.userCode.use(name, wasm);
  }

  /** What a kernel is: its functions, and its columns given these parameters. @throws MillraceError MR_KERNEL_* */
  async describeKernel(name: string, params: KernelParams = {}): Promise<KernelDescription> {
    return describeKernel(await this.#context.userCode.find(name), params);
  }

  /**
   * Runs a kernel of ABI v1 that keeps its state, over all row groups of a dataset in order; it moves between the device and here while it runs
   * (KernelStream.moveTo). Nothing runs before its outputs are asked for.
   */
  kernelStream(dataset: string, wasm: Uint8Array<ArrayBuffer>, options: KernelStreamOptions): KernelStream {
    this.#context.views.forget(dataset);
    return new KernelStream(async () => ({ transport: await this.#context.transport(), view: await this.#context.views.get(dataset) }), wasm, options);
  }

  /** The device's key/value namespace: keys of 1 to 16 bytes, values up to 2 MiB, durable when put() resolves. */
  kv(): KeyValue {
    return new KeyValue(() => this.#context.kvTransport());
  }

  /** Device counters, versions, uptime. */
  status(): Promise<Record<string, unknown>> {
    return this.#rest.json('/v1/status');
  }

  /** The last entries of the daemon's audit log, oldest first: who ran which kernel on which dataset. For the operator. */
  async audit(limit = 100): Promise<readonly Record<string, unknown>[]> {
    return (await this.#rest.json<{ entries: Record<string, unknown>[] }>(`/v1/audit?limit=${limit}`)).entries;
  }

  /** A query over one dataset; nothing runs before collect(), stream() or explain(). */
  dataset(name: string): DatasetQuery {
    return new DatasetQuery(this, name);
  }

  async collect(plan: Plan, options?: QueryOptions): Promise<QueryResult> {
    const execution = new PlanExecution(this.#context, plan, options);
    const batches = [];
    for await (const batch of execution) batches.push(batch);
    return new QueryResult(execution.columns(batches), batches, execution.stats());
  }

  /** Runs one SQL query over the daemon's datasets. Throws MR_SQL_SYNTAX, MR_SQL_BIND, MR_SQL_UNSUPPORTED with position. */
  async sql(text: string, options?: QueryOptions): Promise<QueryResult> {
    const started = performance.now();
    const run = await this.sqlEngine.run(text, options);
    const batches: Batch[] = [];
    for await (const batch of run) batches.push(batch);
    const rows = batches.reduce((sum, batch) => sum + batch.rows, 0);
    const columns = batches[0]?.columns ?? run.columns.map((column): Column => ({ ...column, physical: naturalPhysical(column.type), nullable: true }));
    const stats = run.stats();
    const place = stats.morselsDevice > 0 ? (stats.morselsHost > 0 ? 'both' : 'device') : stats.morselsHost > 0 ? 'host' : 'none';
    return new QueryResult(columns, batches, { ...stats, rows, ms: performance.now() - started, place, transport: (await this.#context.transport()).kind });
  }

  /** Where each part of a SQL query would run and why; with analyze it runs, once, and actual figures are filled in. */
  async explainSql(text: string, options: ExplainOptions & { readonly datasets?: ReadonlySet<string> } = {}): Promise<SqlExplanation> {
    const engine = this.sqlEngine;
    const plan = await engine.plan(text, options.signal, options.datasets);
    if (!options.analyze) {
      const plans = plan.kind === 'scans' ? plan.scans.map((s) => s.plan) : [plan.plan];
      const parts: ExplainRow[][] = [];
      for (const part of plans) parts.push([...(await this.explain(part, options)).plan]);
      const rows = explainRows(plan, parts);
      return { plan: rows, text: explainText(rows) };
    }
    const started = performance.now();
    const run = engine.runPlanned(plan, options);
    let count = 0;
    for await (const batch of run) count += batch.rows;
    const rows = this.explainSqlRun(run, { rows: count, ms: performance.now() - started, pushdown: options.pushdown ?? 'auto' });
    return { plan: rows, text: explainText(rows) };
  }

  /** Explains a statement that has run. */
  explainSqlRun(run: SqlRun, actual: { readonly rows: number; readonly ms: number; readonly pushdown: Pushdown }): ExplainRow[] {
    return explainRows(run.plan, run.runs().flatMap((r) => (r instanceof PlanExecution ? [explainRun(r, actual.pushdown).plan] : [])), actual);
  }

  /** What each scan of a SQL query would read and push, in the order they would run. Nothing runs. */
  async estimateSql(text: string, signal?: AbortSignal): Promise<PlanEstimate[]> {
    const plan = await this.sqlEngine.plan(text, signal);
    const estimates: PlanEstimate[] = [];
    for (const part of plan.kind === 'scans' ? plan.scans.map((s) => s.plan) : [plan.plan]) estimates.push(await estimatePlan(this.#context, part));
    return estimates;
  }

  /** SQL in parts: planning, streaming, explaining. */
  get sqlEngine(): SqlEngine {
    this.#sql ??= new SqlEngine({
      datasets: async () => (await this.datasets()).map(bareSchema),
      runPlan: (plan, options) => this.stream(plan, options),
      functions: (names) => sqlFunctions(names, this.#context.userCode),
      hostFunctions: (functions) => hostFunctions(functions, this.#context.userCode),
      openDuckDB: (config) => this.#context.openDuckDB(config),
    }, { engineMemoryBytes: this.#context.hostMemoryBytes, hostRowBytesMax: this.#context.hostMemoryBytes });
    return this.#sql;
  }

  stream(plan: Plan, options?: QueryOptions): ResultStream {
    return new PlanExecution(this.#context, plan, options);
  }

  explain(plan: Plan, options?: ExplainOptions): Promise<Explanation> {
    return explainPlan(this.#context, plan, options);
  }

  /** Ends connections and engines; running queries fail. */
  close(): Promise<void> {
    this.#sql?.close();
    return this.#closing();
  }
}

const kernelPath = (name: string): string => `/v1/kernels/${encodeURIComponent(name)}`;
const datasetPath = (name: string): string => `/v1/datasets/${encodeURIComponent(name)}`;
