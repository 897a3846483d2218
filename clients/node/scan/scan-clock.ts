import type { Frame } from '../../../pushdown/runtime/frame-read.js';
import { threadUse } from '../platform.js';
import type { ScanProgress } from './claim-policy.js';
import { foretoldMs } from './foretell.js';
import type { Prepared } from './prepare.js';
import type { LinkRates } from './rates.js';

/** Setting up the kernel on the host for the first time, milliseconds. */
const setUpMs = 2;
/** Copying chunks into the kernel's window. */
const copyBytesPerMs = 8e6;

/** What earlier runs of a plan have shown. */
interface PlanRates {
  hostKernelMs?: number;
}

const planRates = new WeakMap<Prepared, PlanRates>();

/** Takes the times of one scan, from which the claim policy decides. */
export class ScanClock {
  readonly #prepared: Prepared;
  readonly #link: LinkRates;
  readonly #plan: PlanRates;
  readonly #opened = performance.now();
  readonly #use = threadUse();
  #morselBytes: number | undefined;
  #deviceDone = 0;
  #firstAt = 0;
  #lastAt = 0;
  #kernelNs = 0;
  /** The device's own time per morsel, and the client's, before the host began to help. */
  #alone: { readonly deviceMs: number | undefined; readonly idle: number; readonly resultMs: number } | undefined;
  #askedAt = 0;
  #deviceDoneAtClaim = 0;
  #waitingSince = 0;
  #arrivedAt = 0;
  #firstMs = 0;
  #waitedMs = 0;
  #waitedBytes = 0;
  #runMorsels = 0;
  #foretoldMs: number | undefined;
  #hostLastAt = 0;

  constructor(prepared: Prepared, link: LinkRates) {
    this.#prepared = prepared;
    this.#link = link;
    let plan = planRates.get(prepared);
    if (!plan) planRates.set(prepared, (plan = {}));
    this.#plan = plan;
    link.scanOpened();
  }

  deviceFinished(kernelNs: bigint): void {
    this.#lastAt = performance.now();
    if (this.#deviceDone++ === 0) this.#firstAt = this.#lastAt;
    this.#kernelNs += Number(kernelNs);
  }

  /** A run is asked for, perhaps. */
  asks(deviceDone: number): void {
    this.#askedAt = this.#waitingSince = performance.now();
    this.#deviceDoneAtClaim = deviceDone;
    this.#firstMs = this.#waitedMs = this.#waitedBytes = this.#runMorsels = 0;
  }

  arrived(frame: Frame): void {
    this.#arrivedAt = performance.now();
    const waited = this.#arrivedAt - this.#waitingSince;
    this.#alone ??= { deviceMs: this.#deviceMorselMs(), ...this.#client() };
    if (this.#runMorsels++ === 0) this.#firstMs = waited;
    else {
      this.#waitedMs += waited;
      this.#waitedBytes += frame.buffers.reduce((sum, buffer) => sum + buffer.byteLength, 0);
    }
  }

  hostFinished(): void {
    this.#hostLastAt = performance.now();
    const ms = this.#hostLastAt - this.#arrivedAt;
    this.#plan.hostKernelMs = this.#plan.hostKernelMs === undefined ? ms : this.#plan.hostKernelMs * 0.7 + ms * 0.3;
  }

  /** What the consumer took is nobody's time: the wait for the next chunk begins. */
  waits(): void {
    this.#waitingSince = performance.now();
  }

  claimEnded(deviceDone: number): void {
    if (this.#runMorsels === 0) return;
    this.#link.pulled({ firstMs: this.#firstMs, bytes: this.#waitedBytes, waitedMs: this.#waitedMs });
    const deviceMs = this.#alone?.deviceMs;
    // Too short a run says nothing about the rate of both.
    if (deviceMs !== undefined && deviceMs > 0 && this.#runMorsels >= 4) this.#link.helped(((this.#runMorsels + deviceDone - this.#deviceDoneAtClaim) / (performance.now() - this.#askedAt)) * deviceMs);
  }

  progress(total: number, deviceDone: number, hostDone: number): ScanProgress {
    const { idle, resultMs } = this.#alone ?? this.#client();
    const bytes = this.#bytesPerMorsel();
    const kernelMs = this.#plan.hostKernelMs ?? (this.#deviceDone > 0 ? this.#kernelNs / 1e6 / this.#deviceDone : 0) + bytes / copyBytesPerMs;
    return {
      total, deviceDone, hostDone,
      elapsedMs: performance.now() - this.#opened,
      deviceMorselMs: this.#deviceMorselMs(),
      hostMorselMs: bytes / this.#link.bytesPerMs + kernelMs,
      claimMs: this.#link.latencyMs + (this.#plan.hostKernelMs === undefined ? setUpMs : 0),
      hostIdle: idle, resultMorselMs: resultMs, helpHurts: this.#link.helpHurts,
    };
  }

  /** The scan's end is foretold once, as soon as it can be. */
  foretell(progress: ScanProgress, wanted: number): void {
    this.#foretoldMs ??= foretoldMs(progress, wanted);
  }

  /** The time foretold over the time from opening to the last morsel of either side. */
  get foretold(): number | undefined {
    const took = Math.max(this.#lastAt, this.#hostLastAt) - this.#opened;
    return this.#foretoldMs === undefined || !(took > 0) || !(this.#foretoldMs > 0) || !Number.isFinite(this.#foretoldMs) ? undefined : this.#foretoldMs / took;
  }

  /** Between the first finished morsel and the last: opening, loading and the first morsel's cold start say nothing of the rest. */
  #deviceMorselMs(): number | undefined {
    return this.#deviceDone < 2 ? undefined : (this.#lastAt - this.#firstAt) / (this.#deviceDone - 1);
  }

  /** 0..1: a core for the host's kernel beside those the device's kernels keep busy. */
  #coresFree(): number {
    const deviceMs = this.#deviceMorselMs();
    if (deviceMs === undefined || this.#link.cores === Number.POSITIVE_INFINITY) return 1;
    const coresBusy = deviceMs > 0 ? this.#kernelNs / 1e6 / this.#deviceDone / deviceMs : this.#link.cores;
    return Math.min(Math.max(this.#link.cores - coresBusy, 0), 1);
  }

  #client(): { readonly idle: number; readonly resultMs: number } {
    const { busyMs, idleMs } = this.#use();
    const idle = busyMs + idleMs > 0 ? idleMs / (busyMs + idleMs) : 1;
    return { idle: Math.min(idle, this.#coresFree()), resultMs: this.#deviceDone > 0 ? busyMs / this.#deviceDone : 0 };
  }

  /** Bytes of chunks per morsel, on average. */
  #bytesPerMorsel(): number {
    if (this.#morselBytes !== undefined) return this.#morselBytes;
    const { compiled, inputs, view, rowGroups } = this.#prepared;
    let bytes = 0;
    for (const [i, column] of compiled.scan.inputColumns.entries())
      for (const rowGroup of rowGroups) for (const buffer of view.layout.chunk(column, rowGroup, inputs[i]?.physical === 'utf8').buffers) bytes += buffer.bytes;
    return (this.#morselBytes = bytes / rowGroups.length);
  }
}
