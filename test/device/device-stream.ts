// One stream on a real device: its frames are fetched all the time, and what came of each morsel is kept in order.
import { closeScan, openScan, scanResult } from '../../native/scan-commands.js';
import { faultText } from '../../pushdown/runtime/kernel-fault.js';
import { readFrames } from '../../pushdown/runtime/frame-read.js';
import { FrameKind, ScanFlag } from '../../pushdown/runtime/wire.gen.js';
import type { SlotDevice } from './slot-device.js';

export interface StreamOptions {
  readonly held?: boolean;
  readonly tenant?: number;
  readonly program?: number;
  readonly rowGroups: readonly number[];
  readonly deadlineMs?: number;
}

export class DeviceStream {
  /** Per morsel, the first output column of each frame as hex; '' for a frame without rows. */
  readonly outputs = new Map<number, string[]>();
  /** Slots in the order in which frames came. */
  readonly places: number[] = [];
  /** Morsels whose last frame is here. */
  whole = 0;
  fault: number | undefined;
  faultText: string | undefined;
  /** Frames that came twice, or out of order. */
  strange = 0;
  readonly over: Promise<void>;

  private constructor(readonly device: SlotDevice, readonly scan: number) {
    this.over = this.#read();
    this.over.catch(() => undefined);
  }

  /** The module is loaded already as options.program (0). */
  static async open(device: SlotDevice, handle: number, options: StreamOptions): Promise<DeviceStream> {
    const flags = ScanFlag.DeviceRuns | ScanFlag.Stream | (options.held ? ScanFlag.Held : 0);
    const scan = await openScan(device.queue, { datasetHandle: handle, program: options.program ?? 0, flags, columns: [0], rowGroups: options.rowGroups, ...(options.tenant ? { tenant: options.tenant } : {}), ...(options.deadlineMs ? { deadlineMs: options.deadlineMs } : {}) });
    return new DeviceStream(device, scan);
  }

  /** Everything put out so far, in morsel order. */
  hex(): string[] {
    return [...this.outputs].sort(([a], [b]) => a - b).flatMap(([, frames]) => frames.filter((hex) => hex !== ''));
  }

  async close(): Promise<void> {
    await closeScan(this.device.queue, this.scan);
    await this.over.catch(() => undefined);
  }

  async #read(): Promise<void> {
    const region = await this.device.queue.acquire(4 << 20);
    try {
      for (;;) {
        const { bytes, end } = await scanResult(this.device.queue, this.scan, region);
        for (const frame of readFrames(region.view.slice(0, bytes)).frames) {
          if (frame.kind === FrameKind.End) continue;
          if (frame.kind === FrameKind.Fault) {
            this.fault ??= frame.code;
            this.faultText ??= faultText(frame.buffers);
            continue;
          }
          const frames = this.outputs.get(frame.morsel) ?? [];
          if (frame.sequence !== frames.length || frame.morsel < this.whole) this.strange++;
          frames.push(Buffer.from(frame.buffers[1] as Uint8Array).toString('hex'));
          this.outputs.set(frame.morsel, frames);
          this.places.push(frame.place);
          if (frame.last) this.whole = frame.morsel + 1;
        }
        if (end) return;
      }
    } finally {
      this.device.queue.release(region);
    }
  }
}
