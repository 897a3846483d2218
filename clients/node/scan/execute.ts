import { planSchema } from '../../../pushdown/plan/schema.js';
import type { CompilePlan } from '../../../pushdown/plan/compiled.js';
import type { Plan } from '../../../pushdown/plan/plan.js';
import type { Batch } from '../../../pushdown/types/batch.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import type { Column } from '../../../pushdown/types/schema.js';
import { cancelled } from '../cancelled.js';
import type { ResultStream } from '../result/result-stream.js';
import type { HostEngines } from '../sql/host-engines.js';
import type { Transport } from '../transport/transport.js';
import { type ResolvedPlan, resolvePlan } from '../user/resolve-plan.js';
import type { UserCode } from '../user/user-code.js';
import { type ClaimPolicy, nextClaim } from './claim-policy.js';
import type { DatasetLookup } from './dataset-view.js';
import { linkModelMs, type ModelledLink } from './link-model.js';
import { merged } from './merge.js';
import type { QueryOptions, QueryStats } from './options.js';
import { preparedPlan } from './prepared-plans.js';
import type { Prepared } from './prepare.js';
import { ratesOf } from './rates.js';
import { rowsAbove } from './rows-above.js';
import { ScanRun } from './scan-run.js';

/** What running plans needs of the client. */
export interface ExecuteContext {
  readonly views: DatasetLookup;
  readonly compile: CompilePlan;
  /** DuckDB for what no kernel takes. */
  readonly engines: Pick<HostEngines, 'run'>;
  /** How much the host claims and when; nextClaim unless given. */
  readonly claims?: ClaimPolicy;
  /** The link this host's data crosses by the daemon's model, where it has one. */
  readonly link?: ModelledLink;
  /** Where the functions and kernels plans name are found; absent: there are none. */
  readonly userCode?: UserCode;
  transport(): Promise<Transport>;
}

/** One run of a plan: compile, prune, open the scan, let device and host work, merge in morsel order, run the rest. */
export class PlanExecution implements ResultStream {
  readonly #context: ExecuteContext;
  readonly #plan: Plan;
  readonly #options: QueryOptions;
  #prepared: Prepared | undefined;
  #scan: ScanRun | undefined;
  #transport: Transport | undefined;
  #rows = 0;
  #ms = 0;

  constructor(context: ExecuteContext, plan: Plan, options: QueryOptions = {}) {
    this.#context = context;
    this.#plan = plan;
    this.#options = options;
  }

  /** Columns of the result: of the batches that came, or what the plan says. */
  columns(batches: readonly Batch[]): readonly Column[] {
    return batches[0]?.columns ?? (this.#prepared ? outputColumns(this.#prepared) : []);
  }

  get prepared(): Prepared | undefined {
    return this.#prepared;
  }

  /** The time the scan was foretold to take, over the time it took; undefined: it ended before anything could be foretold. */
  get foretold(): number | undefined {
    return this.#scan?.foretold;
  }

  stats(): QueryStats {
    const run = this.#scan;
    const morselsDevice = run?.morselsDevice ?? 0;
    const morselsHost = run?.morselsHost ?? 0;
    const linkBytes = run?.linkBytes ?? 0;
    return {
      linkBytes, ...(this.#context.link ? { linkModelMs: linkModelMs(this.#context.link, linkBytes) } : {}), rowsScanned: run?.rowsScanned ?? 0, morselsDevice, morselsHost,
      morselsPruned: this.#prepared ? this.#prepared.view.layout.rowGroups - morselsDevice - morselsHost : 0,
      rows: this.#rows, ms: this.#ms, kernelMs: (run?.kernelNs ?? 0) / 1e6, transport: this.#transport?.kind ?? 'http',
      place: morselsDevice > 0 ? (morselsHost > 0 ? 'both' : 'device') : morselsHost > 0 ? 'host' : 'none',
    };
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Batch, void, void> {
    const started = performance.now();
    const { signal } = this.#options;
    const onAbort = (): void => void this.#scan?.close(signal && cancelled(signal));
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      if (signal?.aborted) throw cancelled(signal);
      const { prepared, run } = await this.#open();
      if (signal?.aborted) throw cancelled(signal);
      for await (const batch of this.#batches(prepared, run)) {
        this.#rows += batch.rows;
        this.#ms = performance.now() - started;
        yield batch;
      }
      if (signal?.aborted) throw cancelled(signal);
    } finally {
      signal?.removeEventListener('abort', onAbort);
      await this.#scan?.close();
      this.#ms = performance.now() - started;
    }
  }

  async #open(): Promise<{ prepared: Prepared; run: ScanRun | undefined }> {
    const { views, compile } = this.#context;
    this.#transport = await this.#context.transport();
    const resolved: ResolvedPlan = await resolvePlan(this.#plan, this.#context.userCode);
    for (let attempt = 0; ; attempt++) {
      const prepared = await preparedPlan(resolved, await views.get(this.#plan.dataset), compile);
      this.#prepared = prepared;
      try {
        if (prepared.rowGroups.length > 0) this.#scan = await openRun(prepared, this.#transport, this.#options, this.#context.claims ?? nextClaim);
        // Without a scan nobody has said yet that this version is still the published one.
        else if (attempt === 0) throw new MillraceError('MR_DATASET_CHANGED', 'unchecked');
        return { prepared, run: this.#scan };
      } catch (error) {
        if (attempt > 0 || !(error instanceof MillraceError) || (error.code !== 'MR_DATASET_CHANGED' && error.code !== 'MR_DATASET_NOT_FOUND')) throw error;
        views.forget(this.#plan.dataset);
      }
    }
  }

  #batches(prepared: Prepared, run: ScanRun | undefined): AsyncIterable<Batch> {
    const rows = merged(prepared.compiled, run ? run.morsels() : nothing());
    return prepared.compiled.rest.length === 0 ? rows : this.#rest(prepared, rows);
  }

  async *#rest({ compiled, schema }: Prepared, rows: AsyncIterable<Batch>): AsyncGenerator<Batch, void, void> {
    const batches: Batch[] = [];
    for await (const batch of rows) batches.push(batch);
    const { engines, compile } = this.#context;
    yield* (await rowsAbove(compiled.rest, { columns: compiled.output, batches }, { engines, compile, modules: schema.modules, signal: this.#options.signal })).batches;
  }
}

function outputColumns({ compiled, plan }: Prepared): readonly Column[] {
  return compiled.rest.length === 0 ? compiled.output : planSchema({ ...plan, ops: compiled.rest }, { columns: compiled.output }).columns;
}

async function openRun(prepared: Prepared, transport: Transport, options: QueryOptions, claims: ClaimPolicy): Promise<ScanRun> {
  const { compiled, view, rowGroups } = prepared;
  const pushdown = options.pushdown ?? 'auto';
  const open = (device: boolean) => transport.openScan({
    dataset: view.info, layout: view.layout, columns: compiled.scan.inputColumns, rowGroups, outputBytesMax: compiled.scan.outputBytesMaxPerMorsel,
    ...(device ? { wasm: compiled.scan.wasm, madeOf: [...(prepared.schema.modules?.keys() ?? [])] } : {}),
    ...(compiled.scan.limitRows === undefined ? {} : { limitRows: compiled.scan.limitRows }),
    ...(options.morselDeadlineMs === undefined ? {} : { deadlineMs: options.morselDeadlineMs }),
    ...(options.feed === undefined ? {} : { feed: options.feed }),
  });
  try {
    return new ScanRun(prepared, await open(pushdown !== 'never'), pushdown, claims, ratesOf(transport));
  } catch (error) {
    // What the tenant may not run in slots a host runs itself, where it was not told otherwise.
    if (pushdown !== 'auto' || !(error instanceof MillraceError) || error.code !== 'MR_KERNEL_NOT_ALLOWED') throw error;
    return new ScanRun(prepared, await open(false), 'never', claims, ratesOf(transport));
  }
}

async function* nothing(): AsyncGenerator<never, void, void> {}
