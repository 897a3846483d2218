import { MillraceError, invariant } from '../pushdown/types/error.js';

/** A piece of an association's data region, for the data of commands. Its bytes are shared with the device. */
export interface Region {
  /** Byte offset in the data region: prp1. */
  readonly offset: number;
  readonly bytes: number;
  readonly view: Uint8Array;
}

const ALIGN = 4096;

interface Held extends Region {
  readonly spanBytes: number;
  commands: number;
  released: boolean;
}
interface Waiter {
  readonly bytes: number;
  readonly resolve: (region: Region) => void;
}

/**
 * First-fit allocator with coalescing over one data region. A region released while a command still uses it (its caller
 * aborted) comes back only when that command completed: the device may write into it until then.
 */
export class RegionAllocator {
  #free: { offset: number; bytes: number }[];
  #waiters: Waiter[] = [];
  #held = new Set<Held>();

  constructor(private readonly data: ArrayBuffer) {
    this.#free = [{ offset: 0, bytes: data.byteLength - (data.byteLength % ALIGN) }];
  }

  /** Waits, first come first served, until `bytes` are free. MR_REGION_TOO_LARGE if they never can be. */
  async acquire(bytes: number, signal?: AbortSignal): Promise<Region> {
    signal?.throwIfAborted();
    if (!Number.isSafeInteger(bytes) || bytes <= 0) throw new MillraceError('MR_REGION_INVALID', `A region of ${bytes} bytes cannot be made.`);
    if (bytes > this.data.byteLength) throw new MillraceError('MR_REGION_TOO_LARGE', `${bytes} bytes are needed at once, the data region has ${this.data.byteLength}: attach with a larger dataBytes.`);
    const now = this.#waiters.length === 0 ? this.#take(bytes) : undefined;
    if (now) return now;
    return new Promise<Region>((resolve, reject) => {
      const onAbort = () => {
        this.#waiters = this.#waiters.filter((w) => w !== waiter);
        reject(signal?.reason);
        this.#serve();
      };
      const waiter: Waiter = {
        bytes,
        resolve: (region) => {
          signal?.removeEventListener('abort', onAbort);
          resolve(region);
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiters.push(waiter);
    });
  }

  release(region: Region): void {
    const held = region as Held;
    invariant(this.#held.has(held) && !held.released, 'a region is released once, to the queue it came from');
    held.released = true;
    if (held.commands === 0) this.#give(held);
  }

  /** A command that names the region was submitted; call the result once it completed. */
  use(region: Region): () => void {
    const held = region as Held;
    invariant(this.#held.has(held) && !held.released, 'a command uses a region that is held');
    held.commands++;
    return () => {
      held.commands--;
      if (held.released && held.commands === 0) this.#give(held);
    };
  }

  #take(bytes: number): Held | undefined {
    const spanBytes = Math.ceil(bytes / ALIGN) * ALIGN;
    const at = this.#free.findIndex((f) => f.bytes >= spanBytes);
    if (at < 0) return undefined;
    const from = this.#free[at];
    const { offset } = from;
    if (from.bytes === spanBytes) this.#free.splice(at, 1);
    else this.#free[at] = { offset: offset + spanBytes, bytes: from.bytes - spanBytes };
    const held: Held = { offset, bytes, spanBytes, view: new Uint8Array(this.data, offset, bytes), commands: 0, released: false };
    this.#held.add(held);
    return held;
  }

  #give(held: Held): void {
    this.#held.delete(held);
    let at = this.#free.findIndex((f) => f.offset > held.offset);
    if (at < 0) at = this.#free.length;
    this.#free.splice(at, 0, { offset: held.offset, bytes: held.spanBytes });
    this.#join(at);
    this.#join(at - 1);
    this.#serve();
  }

  #join(at: number): void {
    const left = this.#free[at];
    const right = this.#free[at + 1];
    if (!left || !right || left.offset + left.bytes !== right.offset) return;
    this.#free.splice(at, 2, { offset: left.offset, bytes: left.bytes + right.bytes });
  }

  #serve(): void {
    for (let next = this.#waiters[0]; next; next = this.#waiters[0]) {
      const region = this.#take(next.bytes);
      if (!region) return;
      this.#waiters.shift();
      next.resolve(region);
    }
  }
}
