import type { Transport } from '../transport/transport.js';

/** What pulling costs before anything was pulled: a loopback connection, and shared memory. */
const priors = { http: { latencyMs: 1, bytesPerMs: 1e6 }, shm: { latencyMs: 0.15, bytesPerMs: 6e6 } } as const;
/** Weight of the newest measurement. */
const newest = 0.4;
/** Host and device together against the device alone, below which the host was no help. */
const helpMin = 1.05;
/** Scans that pass before the host tries again to help where it did not; doubles each time. */
const restScansMin = 8;
const restScansMax = 512;

/** What one connection has shown of its link and of the machine behind it. Learned only from work that had to be done anyway. */
export class LinkRates {
  #latencyMs: number;
  #bytesPerMs: number;
  #restScans = 0;
  #rest = restScansMin;

  /** Cores device and host take from each other; infinite where they have their own. */
  readonly cores: number;

  constructor({ kind, coresShared = Number.POSITIVE_INFINITY }: Transport) {
    ({ latencyMs: this.#latencyMs, bytesPerMs: this.#bytesPerMs } = priors[kind]);
    this.cores = coresShared;
  }

  get latencyMs(): number { return this.#latencyMs; }
  get bytesPerMs(): number { return this.#bytesPerMs; }
  get helpHurts(): boolean { return this.#restScans > 0; }

  /** A run was pulled: waited so long for its first frame and for all of it. bytes: of the morsels after the first. */
  pulled(run: { readonly firstMs: number; readonly bytes: number; readonly waitedMs: number }): void {
    if (run.bytes > 0 && run.waitedMs > 0) this.#bytesPerMs += newest * (run.bytes / run.waitedMs - this.#bytesPerMs);
    this.#latencyMs += newest * (run.firstMs - this.#latencyMs);
  }

  scanOpened(): void {
    if (this.#restScans > 0) this.#restScans--;
  }

  /** gain: the rate of device and host together over the device's alone. */
  helped(gain: number): void {
    if (gain >= helpMin) this.#rest = restScansMin;
    else {
      this.#restScans = this.#rest;
      this.#rest = Math.min(this.#rest * 2, restScansMax);
    }
  }
}

const rates = new WeakMap<Transport, LinkRates>();

/** The rates of a connection, kept as long as it. */
export function ratesOf(transport: Transport): LinkRates {
  let known = rates.get(transport);
  if (!known) rates.set(transport, (known = new LinkRates(transport)));
  return known;
}
