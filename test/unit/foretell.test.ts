import { describe, expect, it } from 'vitest';
import type { ScanProgress } from '../../clients/node/scan/claim-policy.js';
import { foretoldMs } from '../../clients/node/scan/foretell.js';

const progress = (from: Partial<ScanProgress> = {}): ScanProgress => ({ total: 100, deviceDone: 10, hostDone: 0, elapsedMs: 20, deviceMorselMs: 2, hostMorselMs: 2, claimMs: 5, hostIdle: 1, resultMorselMs: 0, helpHurts: false, ...from });

describe('the end of a scan', () => {
  it('is not foretold before the device has shown its rate, nor when little is left', () => {
    expect(foretoldMs(progress({ deviceMorselMs: undefined }), 0)).toBeUndefined();
    expect(foretoldMs(progress({ deviceDone: 97 }), 0)).toBeUndefined();
    expect(foretoldMs(progress({ deviceDone: 50, hostDone: 47 }), 0)).toBeUndefined();
  });
  it('is the device alone on what is left, or both sides at their rates', () => {
    expect(foretoldMs(progress(), 0)).toBe(20 + 90 * 2);
    expect(foretoldMs(progress(), 40)).toBe(20 + 5 + 90);
    expect(foretoldMs(progress({ hostMorselMs: 6 }), 40)).toBeCloseTo(20 + 5 + 90 * 1.5);
  });
});
