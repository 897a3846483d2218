import type { Pushdown } from './options.js';

/** Shortest run worth a round trip. */
export const claimMorselsMin = 2;
/** A device that has shown nothing for so long, milliseconds, has no say any more in what the host does. */
export const silentMsMax = 25;
/** Part of what the device has left, in time, by whose end a claimed run must be done. */
const marginOfDevice = 0.85;
/** A claim that would take less than this share of what is left is not worth the disturbance. */
const shareMin = 0.1;
/** The host must finish a morsel this much sooner than the device before it takes one back over. */
const returnGain = 1.3;
/** Of the client thread's time, what is always taken to be left for kernels. */
const idleMin = 0.05;

/** What is known while a scan runs, or from runs before it. Milliseconds; estimates where nothing was measured yet. */
export interface ScanProgress {
  readonly total: number;
  readonly deviceDone: number;
  readonly hostDone: number;
  /** Since the scan was opened. */
  readonly elapsedMs: number;
  /** The device's end-to-end time per morsel, all its slots together; undefined: not seen in this scan yet. */
  readonly deviceMorselMs: number | undefined;
  /** Fetching one morsel's chunks and running the kernel over them, on a host with nothing else to do. */
  readonly hostMorselMs: number;
  /** From asking for a run to its first byte, the kernel's set-up included while there is none. */
  readonly claimMs: number;
  /** 0..1: the part of the client's thread that taking the device's results leaves free. */
  readonly hostIdle: number;
  /** The client's time for one morsel of the device's results. */
  readonly resultMorselMs: number;
  /** Whether device and host together were seen to be slower than the device alone, lately. */
  readonly helpHurts: boolean;
}

/** How many morsels the host claims next; 0: none now. Asked again whenever something has changed. */
export type ClaimPolicy = (pushdown: Pushdown, progress: ScanProgress) => number;

/**
 * How many morsels the host claims next. Pure: the same in daemon, client and simulator.
 * `auto` starts with the device on everything. The host claims a run only when measured rates say that it is done with it before
 * the device, working on the rest, is: half of the balanced share at a time, so that later claims can correct earlier ones.
 */
export function nextClaim(pushdown: Pushdown, progress: ScanProgress): number {
  const left = progress.total - progress.deviceDone - progress.hostDone;
  if (left <= 0 || pushdown === 'always') return 0;
  if (pushdown === 'never') return left;
  const device = progress.deviceMorselMs ?? (progress.elapsedMs > silentMsMax ? progress.elapsedMs : undefined);
  if (device === undefined) return 0;
  // Where results are larger than what they are made of, taking them costs the client more than making them.
  if (progress.hostMorselMs < progress.resultMorselMs * marginOfDevice && progress.resultMorselMs > device / 2) return progress.claimMs < left * (progress.resultMorselMs - progress.hostMorselMs) ? Math.ceil(left / 2) : 0;
  if (progress.helpHurts) return 0;
  const host = progress.hostMorselMs / Math.max(progress.hostIdle, idleMin);
  const balanced = Math.floor((left * device * marginOfDevice - progress.claimMs) / (host + device * marginOfDevice));
  if (balanced < Math.max(claimMorselsMin, left * shareMin)) return 0;
  return Math.max(Math.floor(balanced / 2), claimMorselsMin);
}

/**
 * Whether the host should give back what it holds and has not begun: the device has nothing left to do and would be through with
 * it sooner. held: claimed and not finished.
 */
export function shouldGiveBack(progress: ScanProgress, held: number): boolean {
  const { total, deviceDone, hostDone, deviceMorselMs, hostMorselMs, claimMs } = progress;
  if (deviceMorselMs === undefined || held < 2 || deviceDone + hostDone + held < total) return false;
  return held * hostMorselMs > (held * deviceMorselMs + claimMs) * returnGain;
}
