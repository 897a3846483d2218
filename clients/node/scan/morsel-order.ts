import { invariant } from '../../../pushdown/types/error.js';
import type { Batch } from '../../../pushdown/types/batch.js';

/** Bytes of finished morsels that may wait for their turn or for the consumer before producers are held back. */
export const waitingBytesMax = 64 << 20;

export interface FinishedMorsel {
  readonly morsel: number;
  readonly batches: readonly Batch[];
  readonly bytes: number;
}

/**
 * Where the device's and the host's finished morsels meet: takes them in any order, drops what was seen before
 * (a claim that came back may be delivered twice), and hands them on in morsel order, so that any split gives the same bits.
 */
export class MorselOrder {
  readonly #total: number;
  readonly #held = new Map<number, FinishedMorsel>();
  #next = 0;
  #heldBytes = 0;
  #readyBytes = 0;
  #finished = 0;
  #failure: unknown;
  #closed = false;
  #last = false;
  #wakeConsumer: (() => void) | undefined;
  readonly #waiting: (() => void)[] = [];

  constructor(total: number) {
    this.#total = total;
  }

  /** Morsels finished so far, in order or not. */
  get finished(): number { return this.#finished; }
  get complete(): boolean { return this.#finished === this.#total; }
  get heldBytes(): number { return this.#heldBytes; }
  /** First morsel that has not been handed on. */
  get next(): number { return this.#next; }

  seen(morsel: number): boolean {
    return morsel < this.#next || this.#held.has(morsel);
  }

  /** False: seen before, dropped. */
  add(finished: FinishedMorsel): boolean {
    invariant(finished.morsel < this.#total, 'morsel index lies in the scan');
    if (this.#closed || this.seen(finished.morsel)) return false;
    this.#held.set(finished.morsel, finished);
    this.#heldBytes += finished.bytes;
    this.#finished++;
    this.#recount();
    if (finished.morsel === this.#next) this.#wakeConsumer?.();
    return true;
  }

  /** Ends the consumer with an error (the first one counts). */
  fail(error: unknown): void {
    if (this.#closed) return;
    this.#failure ??= { error };
    this.#wakeConsumer?.();
    this.#release();
  }

  /** No more morsels will come (a limit was reached): the consumer ends after the ones before the first gap. */
  endEarly(): void {
    this.#last = true;
    this.#wakeConsumer?.();
  }

  /** The consumer needs no more: producers are let go. */
  close(): void {
    this.#closed = true;
    this.#held.clear();
    this.#heldBytes = this.#readyBytes = 0;
    this.#wakeConsumer?.();
    this.#release();
  }

  /** Resolves when what is ready for the consumer has shrunk below the bound: the back-pressure of both sides. */
  async room(): Promise<void> {
    while (!this.#closed && !this.#failure && this.#readyBytes > waitingBytesMax) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Lets producers that wait for a change look again. */
  nudge(): void {
    this.#release();
  }

  /** Resolves at the next change that producers wait for (something was consumed, the order ended, a nudge). */
  change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Morsels in order; ends when all were handed on. One consumer. */
  async *inOrder(): AsyncGenerator<FinishedMorsel, void, void> {
    while (this.#next < this.#total) {
      if (this.#failure) throw (this.#failure as { error: unknown }).error;
      const morsel = this.#held.get(this.#next);
      if (!morsel) {
        if (this.#closed || this.#last) return;
        await new Promise<void>((resolve) => { this.#wakeConsumer = resolve; });
        this.#wakeConsumer = undefined;
        continue;
      }
      this.#held.delete(this.#next);
      this.#next++;
      this.#heldBytes -= morsel.bytes;
      this.#recount();
      this.#release();
      yield morsel;
    }
  }

  #recount(): void {
    let bytes = 0;
    for (let at = this.#next; ; at++) {
      const morsel = this.#held.get(at);
      if (!morsel) break;
      bytes += morsel.bytes;
    }
    this.#readyBytes = bytes;
  }

  #release(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
