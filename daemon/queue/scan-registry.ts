import type { DatasetInfo } from '../../pushdown/types/dataset-info.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { DatasetLayout } from '../../native/dataset-layout.js';
import type { CommandQueue } from '../../native/queue.js';
import { openScan } from '../../native/scan-commands.js';
import { ScanFlag } from '../../pushdown/runtime/wire.gen.js';
import type { ProgramTable } from './program-table.js';
import { ScanSession } from './scan-session.js';

/** Scans REST clients may have open at a time: bounds regions and leases. */
export const restScansMax = 64;

export interface ScanWish {
  readonly program?: number | undefined;
  readonly columns: readonly number[];
  readonly rowGroups: readonly number[];
  readonly deviceRuns: boolean;
  readonly outputBytesMax: number;
  readonly deadlineMs: number;
  readonly limitRows: number;
  readonly feed?: 'resident' | 'window' | undefined;
  readonly stream?: 'run' | 'held' | undefined;
  /** What the device calls whom the scan is for. */
  readonly tenant: number;
  readonly actor: number;
}

/** The open scans of REST clients, over the daemon's own association. */
export class ScanRegistry {
  readonly #sessions = new Map<number, ScanSession>();
  readonly #queue: CommandQueue;
  readonly #programs: ProgramTable;
  readonly #idleMs: number;
  #opening = 0;

  constructor(queue: CommandQueue, programs: ProgramTable, idleMs: number) {
    this.#queue = queue;
    this.#programs = programs;
    this.#idleMs = idleMs;
  }

  async open(info: DatasetInfo, layoutBytes: Uint8Array, wish: ScanWish): Promise<ScanSession> {
    const layout = new DatasetLayout(layoutBytes);
    checkWish(wish, layout);
    if (this.#sessions.size + this.#opening >= restScansMax) throw new MillraceError('MR_TOO_MANY_SCANS', `${restScansMax} scans are open: close some or try again later.`, { httpStatus: 429 });
    const { program } = wish;
    const pind = program === undefined ? undefined : this.#programs.hold(program);
    this.#opening++;
    try {
      const id = await openScan(this.#queue, {
        datasetHandle: layout.handle, columns: wish.columns, rowGroups: wish.rowGroups, outputBytesMax: wish.outputBytesMax, deadlineMs: wish.deadlineMs, limitRows: wish.limitRows, flags: flagsOf(wish), tenant: wish.tenant, actor: wish.actor,
        ...(pind !== undefined && wish.deviceRuns ? { program: pind } : {}),
      });
      const columns = wish.columns.map((index) => ({ index, utf8: info.columns[index]?.physical === 'utf8' }));
      const session = new ScanSession(this.#queue, id, { layout, columns, rowGroups: wish.rowGroups, outputBytesMax: wish.outputBytesMax, deviceRuns: wish.deviceRuns }, {
        idleMs: this.#idleMs,
        onClosed: () => {
          this.#sessions.delete(id);
          if (program !== undefined) this.#programs.release(program);
        },
      });
      this.#sessions.set(id, session);
      return session;
    } catch (error) {
      if (program !== undefined) this.#programs.release(program);
      throw error;
    } finally {
      this.#opening--;
    }
  }

  get(id: number): ScanSession {
    const session = this.#sessions.get(id);
    if (!session) throw new MillraceError('MR_SCAN_NOT_FOUND', `Scan ${id} is not open (any more): a scan nobody reads is closed.`, { httpStatus: 404 });
    return session;
  }

  get size(): number {
    return this.#sessions.size;
  }

  async closeAll(): Promise<void> {
    await Promise.allSettled([...this.#sessions.values()].map((session) => session.close()));
  }
}

function flagsOf(wish: ScanWish): number {
  return (wish.stream ? ScanFlag.Stream : 0) | (wish.stream === 'held' ? ScanFlag.Held : 0) | (wish.deviceRuns ? ScanFlag.DeviceRuns : 0) | (wish.feed === 'resident' ? ScanFlag.FeedResident : wish.feed === 'window' ? ScanFlag.FeedWindow : 0);
}

function checkWish(wish: ScanWish, layout: DatasetLayout): void {
  if (wish.deviceRuns && wish.program === undefined) throw new MillraceError('MR_REQUEST_INVALID', 'program: a scan the device runs needs a program: POST /v1/programs first.', { field: 'program' });
  if (wish.stream && (!wish.deviceRuns || wish.limitRows > 0 || wish.rowGroups.length === 0)) throw new MillraceError('MR_REQUEST_INVALID', 'stream: the device runs a stream, over one row group at least and without limitRows.', { field: 'stream' });
  if (wish.columns.some((column) => column >= layout.columns)) throw new MillraceError('MR_REQUEST_INVALID', `columns: the dataset has ${layout.columns} columns.`, { field: 'columns' });
  let last = -1;
  for (const rowGroup of wish.rowGroups) {
    if (rowGroup <= last || rowGroup >= layout.rowGroups) throw new MillraceError('MR_REQUEST_INVALID', `rowGroups: must rise and stay below ${layout.rowGroups}.`, { field: 'rowGroups' });
    last = rowGroup;
  }
}
