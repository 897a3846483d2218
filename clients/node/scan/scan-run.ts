import { frameBatch } from '../../../pushdown/runtime/frame-batch.js';
import { kernelFault } from '../../../pushdown/runtime/fault-error.js';
import { faultText, guestFaultName, KernelFault } from '../../../pushdown/runtime/kernel-fault.js';
import type { Frame } from '../../../pushdown/runtime/frame-read.js';
import { FrameKind, Status } from '../../../pushdown/runtime/wire.gen.js';
import type { Batch } from '../../../pushdown/types/batch.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import { eventTurn } from '../platform.js';
import { batchBytes, retained } from '../result/retain.js';
import type { Claim, Scan } from '../transport/transport.js';
import { type ClaimPolicy, type ScanProgress, shouldGiveBack, silentMsMax } from './claim-policy.js';
import { HostKernel } from './host-kernel.js';
import { type FinishedMorsel, MorselOrder, waitingBytesMax } from './morsel-order.js';
import type { Pushdown } from './options.js';
import { type Prepared, windowBytesOf } from './prepare.js';
import type { LinkRates } from './rates.js';
import { ScanClock } from './scan-clock.js';

/** One open scan at work: the device's results and the host's claims run side by side and meet in morsel order. */
export class ScanRun {
  morselsDevice = 0;
  morselsHost = 0;
  /** Rows of the morsels that were run. */
  rowsScanned = 0;
  /** What the morsels the device ran took in their slots. */
  kernelNs = 0;
  readonly #prepared: Prepared;
  readonly #scan: Scan;
  readonly #pushdown: Pushdown;
  readonly #claims: ClaimPolicy;
  readonly #order: MorselOrder;
  readonly #clock: ScanClock;
  #deviceEnded: boolean;
  /** The run being worked on, and how many of its morsels are not finished. */
  #claim: Claim | undefined;
  #held = 0;
  #wakeHost = (): void => undefined;
  #loops: Promise<unknown> = Promise.resolve();
  #closed: Promise<void> | undefined;

  constructor(prepared: Prepared, scan: Scan, pushdown: Pushdown, claims: ClaimPolicy, rates: LinkRates) {
    this.#claims = claims;
    this.#prepared = prepared;
    this.#scan = scan;
    this.#pushdown = pushdown;
    this.#clock = new ScanClock(prepared, rates);
    this.#order = new MorselOrder(prepared.rowGroups.length);
    this.#deviceEnded = pushdown === 'never';
  }

  get foretold(): number | undefined {
    return this.#clock.foretold;
  }
  get linkBytes(): number {
    return this.#scan.linkBytes();
  }

  /** Morsels in order. The loops start with the first one asked for. */
  morsels(): AsyncGenerator<FinishedMorsel, void, void> {
    this.#loops = Promise.all([
      this.#pushdown === 'never' ? undefined : this.#guarded(() => this.#deviceLoop()),
      this.#hostHelps() ? this.#guarded(() => this.#hostLoop()) : undefined,
    ]).then(() => this.#ended());
    return this.#order.inOrder();
  }

  /** Ends both loops and the scan at the device. */
  close(error?: unknown): Promise<void> {
    if (error !== undefined) this.#order.fail(error);
    this.#closed ??= (async () => {
      if (error === undefined) this.#order.close();
      this.#wakeHost();
      await this.#scan.close();
      await this.#loops;
    })();
    return this.#closed;
  }

  /** A limit is a prefix, and claims come from the tail: there the host would only fetch what is thrown away. */
  #hostHelps(): boolean {
    return this.#pushdown === 'never' || (this.#pushdown === 'auto' && this.#prepared.compiled.scan.limitRows === undefined);
  }

  async #guarded(loop: () => Promise<void>): Promise<void> {
    try {
      await loop();
    } catch (error) {
      if (!this.#closed) this.#order.fail(kernelError(error));
    }
  }

  async #deviceLoop(): Promise<void> {
    const open = new Map<number, Batch[]>();
    for await (const frame of this.#scan.results()) {
      if (this.#closed) return;
      if (frame.kind === FrameKind.Fault) throw await faultError(frame, this.#prepared.compiled.scan.wasm);
      if (frame.kind !== FrameKind.Result || frame.morsel >= this.#prepared.rowGroups.length) throw new MillraceError('MR_FRAME_INVALID', `The device sent a frame of kind ${frame.kind} for morsel ${frame.morsel}.`);
      const batches = open.get(frame.morsel) ?? [];
      open.set(frame.morsel, batches);
      if (frame.rows > 0) {
        const batch = frameBatch(frame, this.#prepared.compiled.scan.output);
        batches.push(this.#scan.ownsFrames ? batch : retained(batch));
      }
      if (!frame.last) continue;
      open.delete(frame.morsel);
      if (this.#finish(frame.morsel, batches)) this.morselsDevice++;
      this.kernelNs += Number(frame.elapsedNs);
      this.#clock.deviceFinished(frame.elapsedNs);
      this.#progressed();
      await this.#order.room();
    }
    this.#deviceEnded = true;
    this.#claim?.giveBack();
    this.#order.nudge();
    this.#wakeHost();
  }

  /** Both sides are through. With limitRows the device may have stopped early; otherwise every morsel must be there. */
  #ended(): void {
    if (this.#order.complete || this.#closed) return;
    if (this.#prepared.compiled.scan.limitRows !== undefined) this.#order.endEarly();
    else this.#order.fail(new MillraceError('MR_SCAN_INCOMPLETE', `The scan ended with ${this.#order.finished} of ${this.#prepared.rowGroups.length} morsels: run the query again.`));
  }

  async #hostLoop(): Promise<void> {
    while (!this.#order.complete && !this.#closed) {
      // Morsels from the tail wait for those before them: their memory is bounded while the device still works on these.
      if (!this.#deviceEnded && this.#order.heldBytes > waitingBytesMax) {
        await this.#order.change();
        continue;
      }
      // Kernels keep the event loop busy: what the device finished meanwhile is heard of first.
      await eventTurn();
      const over = this.#deviceEnded && this.#pushdown !== 'never';
      const progress = this.#progress();
      const wanted = over ? 0 : this.#claims(this.#pushdown, progress);
      if (!over) this.#clock.foretell(progress, wanted);
      this.#clock.asks(this.morselsDevice);
      const claim = wanted > 0 ? await this.#scan.claim(wanted) : undefined;
      if (claim) await this.#run(claim);
      else if (this.#deviceEnded) return;
      else await this.#reason();
    }
  }

  /** Runs the kernel over a claimed run, or over as much of it as is better done here. */
  async #run(claim: Claim): Promise<void> {
    const { compiled, inputs } = this.#prepared;
    const finished: number[] = [];
    const kernel = HostKernel.take(compiled.scan, inputs, windowBytesOf(this.#prepared));
    this.#claim = claim;
    this.#held = claim.morsels;
    try {
      for await (const frame of claim.frames) {
        if (this.#closed) return;
        if (frame.kind !== FrameKind.Chunks) throw new MillraceError('MR_FRAME_INVALID', `The device sent a frame of kind ${frame.kind} instead of chunks.`);
        this.#clock.arrived(frame);
        if (!this.#order.seen(frame.morsel) && this.#finish(frame.morsel, kernel.run(frame).filter((batch) => batch.rows > 0))) this.morselsHost++;
        finished.push(frame.morsel);
        this.#held--;
        this.#clock.hostFinished();
        if (this.#pushdown === 'auto') {
          // The device's results are taken in between, and tell whether the rest of the run is better off there.
          await eventTurn();
          if (shouldGiveBack(this.#progress(), this.#held)) break;
        }
        await this.#order.room();
        this.#clock.waits();
      }
      kernel.giveBack();
    } finally {
      this.#claim = undefined;
      this.#held = 0;
      this.#clock.claimEnded(this.morselsDevice);
    }
    if (this.#pushdown !== 'never') void this.#scan.done(finished);
  }

  #progress(): ScanProgress {
    return this.#clock.progress(this.#prepared.rowGroups.length, this.morselsDevice, this.morselsHost);
  }

  /** The device went on: the host may have a reason to help now, or to give back what it waits for. */
  #progressed(): void {
    if (!this.#hostHelps()) return;
    if (this.#claim) {
      if (shouldGiveBack(this.#progress(), this.#held)) this.#claim.giveBack();
    } else {
      const progress = this.#progress();
      const wanted = this.#claims(this.#pushdown, progress);
      this.#clock.foretell(progress, wanted);
      if (wanted > 0) this.#wakeHost();
    }
  }

  /** Resolves when the host may have a reason to claim, or when the device has been silent for too long to be waited for. */
  #reason(): Promise<void> {
    if (this.#closed || this.#order.complete) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, silentMsMax);
      this.#wakeHost = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #finish(morsel: number, batches: readonly Batch[]): boolean {
    const added = this.#order.add({ morsel, batches, bytes: batches.reduce((bytes, batch) => bytes + batchBytes(batch.data), 0) });
    if (added) this.rowsScanned += this.#prepared.view.layout.rows(this.#prepared.rowGroups[morsel]!); // morsel is in bounds
    return added;
  }
}

export async function faultError(frame: Frame, wasm: Uint8Array<ArrayBuffer>): Promise<MillraceError> {
  if (frame.code >= 0x20) {
    const name = Object.entries(Status).find(([, value]) => value === frame.code)?.[0] ?? `status ${frame.code}`;
    if (frame.code === Status.KernelQuarantined) return new MillraceError('MR_KERNEL_QUARANTINED', `The device does not run this kernel any more, because it kept crashing slots${await digestOf(wasm)}. Correct it, or run the query with pushdown 'never'.`, { httpStatus: 422 });
    return new MillraceError(frame.code === Status.ChecksumMismatch ? 'MR_CHECKSUM' : 'MR_DEVICE_STATUS', `The device could not run morsel ${frame.morsel}: ${name}.`);
  }
  const words = faultText(frame.buffers) || guestFaultName(frame.code);
  return kernelFault(frame.code, `The kernel failed on the device in slot ${frame.place} at morsel ${frame.morsel}: ${words}${await digestOf(wasm)}.`);
}

/** " (kernel sha256:...)", where the place has Web Crypto. */
async function digestOf(wasm: Uint8Array<ArrayBuffer>): Promise<string> {
  const { subtle } = globalThis.crypto ?? {};
  if (!subtle) return '';
  const digest = new Uint8Array(await subtle.digest('SHA-256', wasm));
  return ` (kernel sha256:${Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')})`;
}

export function kernelError(error: unknown): unknown {
  return error instanceof KernelFault ? kernelFault(error.fault, `The kernel failed on the host: ${error.message}.`, error) : error;
}
