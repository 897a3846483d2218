import type { Pushdown } from './options.js';

/** Shortest run worth a round trip (MEASURED: one fetch costs several morsels' kernel time). */
export const claimMorselsMin = 8;

export interface ScanProgress {
  readonly total: number;
  readonly deviceDone: number;
  readonly hostDone: number;
  /** Milliseconds each side has been at work. */
  readonly deviceMs: number;
  readonly hostMs: number;
}

/** How many morsels the host claims next; 0: none any more. */
export type ClaimPolicy = (pushdown: Pushdown, progress: ScanProgress) => number;

/**
 * How many morsels the host claims next; 0: none, the device is left to finish. Pure: the same in daemon, client and simulator.
 * `auto` starts from half and half and follows measured rates: half of the host's share of what is left, so that later
 * claims can correct earlier ones, and nothing once the device would end sooner without help.
 */
export function nextClaim(pushdown: Pushdown, progress: ScanProgress): number {
  const left = progress.total - progress.deviceDone - progress.hostDone;
  if (left <= 0 || pushdown === 'always') return 0;
  if (pushdown === 'never') return left;
  const share = hostShare(progress);
  if (progress.hostDone === 0) return Math.min(Math.max(Math.floor(left / 4), claimMorselsMin), Math.ceil(left / 2));
  const run = Math.max(Math.floor((left * share) / 2), claimMorselsMin);
  // The device alone needs left / deviceRate; the host, for its run, run / hostRate.
  const wanted = Math.min(run, left);
  return wanted * (1 - share) > left * share ? 0 : wanted;
}

/** 0..1: the host's part of the combined rate. One half until both have shown something. */
export function hostShare({ deviceDone, hostDone, deviceMs, hostMs }: ScanProgress): number {
  if (deviceDone === 0 || hostDone === 0 || deviceMs <= 0 || hostMs <= 0) return 0.5;
  const device = deviceDone / deviceMs;
  const host = hostDone / hostMs;
  return host / (device + host);
}
