import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { claimMorselsMin, nextClaim, type ScanProgress, shouldGiveBack, silentMsMax } from '../../clients/node/scan/claim-policy.js';

const at = (progress: Partial<ScanProgress>): ScanProgress => ({ total: 100, deviceDone: 0, hostDone: 0, elapsedMs: 5, deviceMorselMs: undefined, hostMorselMs: 1, claimMs: 1, hostIdle: 1, resultMorselMs: 0, helpHurts: false, ...progress });

describe('claim policy', () => {
  it('never claims everything, always nothing', () => {
    expect(nextClaim('never', at({}))).toBe(100);
    expect(nextClaim('always', at({ deviceMorselMs: 1000, deviceDone: 10 }))).toBe(0);
  });

  it('leaves everything to the device until it has shown its rate, or nothing for too long', () => {
    expect(nextClaim('auto', at({}))).toBe(0);
    expect(nextClaim('auto', at({ elapsedMs: silentMsMax * 2 }))).toBeGreaterThan(0);
  });

  it('claims nothing where the device is done sooner than a run could be fetched', () => {
    expect(nextClaim('auto', at({ total: 20, deviceDone: 4, deviceMorselMs: 0.2, hostMorselMs: 3 }))).toBe(0);
    expect(nextClaim('auto', at({ total: 6, deviceDone: 4, deviceMorselMs: 1, hostMorselMs: 1, claimMs: 10 }))).toBe(0);
  });

  it('helps a device that is as slow as the host with half of the balanced share', () => {
    const claimed = nextClaim('auto', at({ deviceDone: 4, deviceMorselMs: 10, hostMorselMs: 10 }));
    expect(claimed).toBeGreaterThanOrEqual(20);
    expect(claimed).toBeLessThanOrEqual(24);
    expect(nextClaim('auto', at({ deviceDone: 4, deviceMorselMs: 10, hostMorselMs: 10, helpHurts: true }))).toBe(0);
  });

  it('takes over where taking the results costs more than making them', () => {
    expect(nextClaim('auto', at({ deviceDone: 4, deviceMorselMs: 2, hostMorselMs: 1, resultMorselMs: 2, hostIdle: 0 }))).toBe(48);
  });

  it('is done, by the rates it knows, before the device is', () => {
    const ms = fc.double({ min: 0.01, max: 100, noNaN: true });
    fc.assert(
      fc.property(fc.nat(200), fc.nat(200), fc.integer({ min: 1, max: 200 }), ms, ms, ms, fc.double({ min: 0, max: 1, noNaN: true }), (deviceDone, hostDone, left, deviceMorselMs, hostMorselMs, claimMs, hostIdle) => {
        const wanted = nextClaim('auto', at({ total: deviceDone + hostDone + left, deviceDone, hostDone, deviceMorselMs, hostMorselMs, claimMs, hostIdle }));
        expect(wanted).toBeLessThanOrEqual(left);
        if (wanted === 0) return;
        expect(wanted).toBeGreaterThanOrEqual(claimMorselsMin);
        expect(claimMs + wanted * hostMorselMs).toBeLessThanOrEqual((left - wanted) * deviceMorselMs);
      }),
      { seed: 11 },
    );
  });

  it('gives back what a dry device would be through with sooner, and nothing while the device has work', () => {
    const slowHost = { deviceMorselMs: 1, hostMorselMs: 20, claimMs: 1 };
    expect(shouldGiveBack(at({ ...slowHost, deviceDone: 90, hostDone: 2 }), 8)).toBe(true);
    expect(shouldGiveBack(at({ ...slowHost, deviceDone: 50, hostDone: 2 }), 8)).toBe(false);
    expect(shouldGiveBack(at({ ...slowHost, hostMorselMs: 1, deviceDone: 90, hostDone: 2 }), 8)).toBe(false);
  });
});
