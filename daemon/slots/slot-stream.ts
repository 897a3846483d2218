import type { KernelInstance } from '../../pushdown/runtime/kernel.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { CheckpointPhase, StreamFlag, StreamHeader } from '../../pushdown/runtime/wire.gen.js';
import type { SlotPrograms } from './slot-programs.js';

/** What SlotRestore and SlotCheckpoint ask (StreamHeader). The device is trusted, the checkpoint it hands over is not. */
export interface StreamOrder {
  readonly scan: number;
  readonly program: number;
  readonly inputColumns: number;
  readonly forget: boolean;
  readonly areaOffset: number;
  readonly areaBytes: number;
  readonly pieceOffset: number;
  readonly totalBytes: number;
  readonly batches: number;
}

export function readStreamOrder(data: DataView, at: number): StreamOrder {
  const u32 = (field: number) => data.getUint32(at + field, true);
  const u64 = (field: number) => u32(field) + u32(field + 4) * 2 ** 32;
  return {
    scan: u32(StreamHeader.scan), program: u32(StreamHeader.program), inputColumns: u32(StreamHeader.inputColumns), forget: (u32(StreamHeader.flags) & StreamFlag.Forget) !== 0,
    areaOffset: u64(StreamHeader.areaOffsetBytes), areaBytes: u64(StreamHeader.areaBytes), pieceOffset: u64(StreamHeader.pieceOffsetBytes), totalBytes: u64(StreamHeader.totalBytes), batches: u64(StreamHeader.batches),
  };
}

/** The one kernel of the slot that keeps its state from morsel to morsel. */
export class SlotStream {
  readonly #programs: SlotPrograms;
  #scan = 0;
  #instance: KernelInstance | undefined;
  #restore: ReturnType<KernelInstance['restore']> | undefined;

  constructor(programs: SlotPrograms) {
    this.#programs = programs;
  }

  /** The stream's instance, if its state is whole. */
  instance(scan: number): KernelInstance | undefined {
    return this.#scan === scan && !this.#restore ? this.#instance : undefined;
  }

  /** Takes one piece of a checkpoint; the first makes a fresh instance. Throws KernelFault, MR_CHECKPOINT_INVALID, MR_CHECKPOINT_MISMATCH. */
  restore(order: StreamOrder, piece: Uint8Array): void {
    if (order.pieceOffset === 0) {
      this.forget();
      this.#instance = this.#programs.streamInstance(order.program, order.inputColumns);
      this.#scan = order.scan;
      if (order.totalBytes === 0) return;
      this.#restore = this.#instance.restore();
    }
    if (!this.#instance || !this.#restore) throw new Error('invariant broken: a later piece of a checkpoint that was not begun');
    this.#restore.push(piece);
    if (order.pieceOffset + order.areaBytes < order.totalBytes) return;
    this.#restore.end();
    this.#restore = undefined;
    const { batches, phase } = this.#instance.cursor;
    if (batches !== order.batches || phase !== CheckpointPhase.Streaming) throw new MillraceError('MR_CHECKPOINT_MISMATCH', `the checkpoint does not fit here: it was taken after ${batches} batches (phase ${phase}), the stream goes on after ${order.batches}`);
  }

  /** Writes the checkpoint into the area; `more(bytes)` hands a full one over. Returns the bytes in it at the end. */
  checkpoint(area: Uint8Array, more: (bytes: number) => void): number {
    if (!this.#instance || this.#restore) throw new Error('invariant broken: a checkpoint of no stream');
    let used = 0;
    for (const piece of this.#instance.checkpoint()) {
      for (let at = 0; at < piece.length; ) {
        if (used === area.length) {
          more(used);
          used = 0;
        }
        const part = piece.subarray(at, at + Math.min(piece.length - at, area.length - used));
        area.set(part, used);
        used += part.length;
        at += part.length;
      }
    }
    return used;
  }

  forget(): void {
    this.#scan = 0;
    this.#instance = this.#restore = undefined;
    this.#programs.endStream();
  }
}
