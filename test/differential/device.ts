import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, connect } from '../../clients/node/index.js';
import type { ClaimPolicy } from '../../clients/node/scan/claim-policy.js';
import { DatasetViews } from '../../clients/node/scan/dataset-view.js';
import { PlanExecution } from '../../clients/node/scan/execute.js';
import type { Pushdown } from '../../clients/node/scan/options.js';
import { QueryResult } from '../../clients/node/result/query-result.js';
import { HostEngines } from '../../clients/node/sql/host-engines.js';
import { RestClient } from '../../clients/node/transport/rest-client.js';
import { ShmTransport } from '../../clients/node/transport/shm-transport.js';
import { native } from '../../native/index.js';
import { CommandQueue } from '../../native/queue.js';
import type { Plan } from '../../pushdown/plan/plan.js';
import { planSchema } from '../../pushdown/plan/schema.js';
import type { Rows } from '../../pushdown/reference/run.js';
import type { Batch } from '../../pushdown/types/batch.js';
import { compilePlan } from '../../pushdown/wasm/compile-plan.js';
import { type DaemonProcess, startDaemonProcess } from '../e2e/daemon-process.js';
import { type Data, dataOf } from './data.js';
import type { DuckExecutor } from './duckdb.js';
import type { Executor } from './executor.js';
import type { Random } from './random.js';

/** Small, so that little data has many morsels. */
const rowGroupRows = 32;

/** A real daemon with slots, a real client, and datasets that went through Parquet and ingest. */
export class DeviceUnderTest {
  readonly #dir = mkdtempSync(join(tmpdir(), 'millrace-differential-'));
  #loaded: Data | undefined;
  readonly #rest: RestClient;
  readonly #engines = new HostEngines(() => native().openDuckDB({ memoryLimitBytes: 2 ** 28, threads: 2, locked: true }));
  readonly #views: DatasetViews;
  readonly #shm: ShmTransport;
  /** Morsels by who ran them. */
  readonly morsels = { device: 0, host: 0 };

  private constructor(
    readonly daemon: DaemonProcess,
    readonly client: Client,
    socketPath: string,
  ) {
    this.#rest = new RestClient(new URL(daemon.url), undefined);
    this.#views = new DatasetViews(this.#rest);
    this.#shm = new ShmTransport(new CommandQueue(native().attachDevice(socketPath, { dataBytes: 64 << 20, entries: 64 }), { entries: 64 }));
  }

  static async start(): Promise<DeviceUnderTest> {
    const daemon = await startDaemonProcess({ args: ['--row-group-rows', String(rowGroupRows)] });
    const client = await connect({ url: daemon.url, transport: 'http' });
    const { socketPath } = (await client.status()) as { socketPath: string };
    return new DeviceUnderTest(daemon, client, socketPath);
  }

  /** The data cut into row groups as the store cuts it. */
  static cut(data: Data): Data {
    const rows = data.values.flat();
    const groups = Array.from({ length: Math.ceil(rows.length / rowGroupRows) }, (_, i) => rows.slice(i * rowGroupRows, (i + 1) * rowGroupRows));
    return dataOf(data.schema.columns, groups);
  }

  /** Publishes the data as dataset t. */
  async load(data: Data, duck: DuckExecutor): Promise<void> {
    if (this.#loaded === data) return;
    const path = join(this.#dir, 't.parquet');
    await duck.load(data);
    // DuckDB's Parquet dictionaries make one value of 0 and -0.
    await duck.connection.run(`COPY t TO '${path}' (FORMAT parquet, DICTIONARY_SIZE_LIMIT 1)`);
    await this.client.put('t', path, { replace: true });
    this.#views.forget('t');
    this.#loaded = data;
  }

  /** Runs plans over what was loaded last. */
  side(name: string, pushdown: Pushdown, claims?: Random): Executor {
    return { name, rule: 'bits', run: (plan, data) => this.#run(plan, data, pushdown, claims) };
  }

  async #run(plan: Plan, data: Data, pushdown: Pushdown, claims: Random | undefined): Promise<Rows & { rule?: 'sql' }> {
    const execution = new PlanExecution({ views: this.#views, compile: compilePlan, engines: this.#engines, transport: async () => this.#shm, ...(claims ? { claims: randomClaims(claims) } : {}) }, plan, { pushdown });
    const batches: Batch[] = [];
    for await (const batch of execution) batches.push(batch);
    const { morselsDevice, morselsHost } = execution.stats();
    this.morsels.device += morselsDevice;
    this.morsels.host += morselsHost;
    const result = new QueryResult(execution.columns(batches), batches, execution.stats());
    const rest = execution.prepared?.compiled.rest ?? [];
    const rows = { columns: planSchema(plan, data.schema).columns, rows: result.toCanonicalRows() };
    // DuckDB computes what no kernel took.
    return rest.some((op) => op.kind !== 'limit' && op.kind !== 'filter') ? { ...rows, rule: 'sql' } : rows;
  }

  async stop(): Promise<void> {
    await this.#shm.close();
    this.#engines.close();
    this.#rest.close();
    await this.client.close();
    await this.daemon.dispose();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** Claims of random size at every turn: any split of a scan between device and host may come out. */
function randomClaims(random: Random): ClaimPolicy {
  const most = random.int(1, 12);
  return (_, { total, deviceDone, hostDone }) => Math.min(random.int(1, most), total - deviceDone - hostDone);
}
