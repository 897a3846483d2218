import { availableParallelism } from 'node:os';
import type { CommandQueue } from '../../../native/queue.js';
import { loadProgram, openScan, unloadProgram } from '../../../native/scan-commands.js';
import { ScanFlag } from '../../../pushdown/runtime/wire.gen.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import { ShmKv } from '../kv/shm-kv.js';
import { moduleDigest } from './module-digest.js';
import { ShmScan } from './shm-scan.js';
import type { Scan, ScanRequest, Transport } from './transport.js';

/** Program indexes of one association. */
const programsMax = 64;

interface Program {
  readonly index: number;
  readonly loaded: Promise<void>;
  scans: number;
}

/** Whom the scans of an association that may act for others are for. */
export interface OnBehalfOf {
  readonly tenant: number;
  readonly actor: number;
  /** SHA-256 of the only kernels that one may run; absent: any. */
  readonly kernels?: ReadonlySet<string>;
}

/** Scans over the device's own queue: commands and data through memory shared with it, the daemon's JavaScript not involved. */
export class ShmTransport implements Transport {
  readonly kind = 'shm';
  readonly coresShared = availableParallelism();
  readonly #queue: CommandQueue;
  readonly #onBehalfOf: (() => OnBehalfOf) | undefined;
  /** By digest of the module, least recently used first. */
  readonly #programs = new Map<string, Program>();
  readonly #free = Array.from({ length: programsMax }, (_, i) => programsMax - 1 - i);

  /** onBehalfOf: whom a scan is for, where the association may act for others; then it vouches for kernels its planner made, too. */
  constructor(queue: CommandQueue, onBehalfOf?: () => OnBehalfOf) {
    this.#queue = queue;
    this.#onBehalfOf = onBehalfOf;
  }

  get closed(): boolean {
    return this.#queue.closed;
  }

  async openScan(request: ScanRequest): Promise<Scan> {
    const program = request.wasm && (await this.#program(request.wasm));
    const release = (): void => {
      if (program) program.scans--;
    };
    try {
      const { columns, rowGroups, outputBytesMax, deadlineMs, limitRows, layout, madeOf } = request;
      const whom = this.#onBehalfOf?.();
      const id = await openScan(this.#queue, {
        datasetHandle: layout.handle, columns, rowGroups, outputBytesMax, flags: flagsOf(request), ...(whom ? { tenant: whom.tenant, actor: whom.actor } : {}), ...(whom && program && madeOf ? { madeOf } : {}),
        ...(program ? { program: program.index } : {}), ...(deadlineMs === undefined ? {} : { deadlineMs }), ...(limitRows === undefined ? {} : { limitRows }),
      });
      return new ShmScan(this.#queue, id, request, release);
    } catch (error) {
      release();
      throw error;
    }
  }

  keyValue(): ShmKv {
    return new ShmKv(this.#queue);
  }

  async close(): Promise<void> {
    this.#queue.close();
  }

  /** The program, held against eviction by one scan more. */
  async #program(wasm: Uint8Array<ArrayBuffer>): Promise<Program> {
    const digest = moduleDigest(wasm);
    let program = this.#programs.get(digest);
    if (program) this.#programs.delete(digest);
    else {
      const free = this.#free.pop();
      const index = free ?? this.#evict();
      const room = free === undefined ? unloadProgram(this.#queue, index) : Promise.resolve();
      program = { index, loaded: room.then(() => loadProgram(this.#queue, index, wasm)), scans: 0 };
    }
    this.#programs.set(digest, program);
    program.scans++;
    try {
      await program.loaded;
      return program;
    } catch (error) {
      program.scans--;
      if (this.#programs.get(digest) === program) {
        this.#programs.delete(digest);
        // Part of it may lie there: unloaded before its index is used again.
        await unloadProgram(this.#queue, program.index).catch(() => undefined);
        this.#free.push(program.index);
      }
      throw error;
    }
  }

  #evict(): number {
    for (const [digest, program] of this.#programs)
      if (program.scans === 0) {
        this.#programs.delete(digest);
        return program.index;
      }
    throw new MillraceError('MR_TOO_MANY_PROGRAMS', `${programsMax} queries run at once over this connection: wait for one or connect again.`, { httpStatus: 429 });
  }
}

function flagsOf({ wasm, feed, stream }: ScanRequest): number {
  return (stream ? ScanFlag.Stream : 0) | (stream === 'held' ? ScanFlag.Held : 0) | (wasm ? ScanFlag.DeviceRuns : 0) | (feed === 'resident' ? ScanFlag.FeedResident : feed === 'window' ? ScanFlag.FeedWindow : 0);
}
