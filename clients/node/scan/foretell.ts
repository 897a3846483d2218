import type { ScanProgress } from './claim-policy.js';

/** So many morsels must be left for the end of a scan to be foretold. */
export const foretellMorselsMin = 4;

/**
 * Milliseconds from opening to the last morsel, by the rates seen so far. wanted: what the host is about to claim.
 * undefined: the device has not shown its rate, or too little is left for it to matter.
 */
export function foretoldMs({ total, deviceDone, hostDone, elapsedMs, deviceMorselMs, hostMorselMs, claimMs }: ScanProgress, wanted: number): number | undefined {
  const left = total - deviceDone - hostDone;
  if (deviceMorselMs === undefined || left < foretellMorselsMin) return undefined;
  return elapsedMs + (wanted > 0 ? claimMs + left / (1 / deviceMorselMs + 1 / hostMorselMs) : left * deviceMorselMs);
}
