import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { claimMorselsMin, nextClaim } from '../../clients/node/scan/claim-policy.js';
import { MorselOrder, waitingBytesMax } from '../../clients/node/scan/morsel-order.js';

const finished = (morsel: number, bytes = 1) => ({ morsel, batches: [], bytes });

describe('morsel order', () => {
  it('hands every morsel on once, in order, whatever order and repetition they come in', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 40 }).chain((n) => fc.tuple(fc.constant(n), fc.array(fc.nat(n - 1), { maxLength: 60 }))), async ([total, noise]) => {
        const order = new MorselOrder(total);
        const got: number[] = [];
        const consumer = (async () => { for await (const m of order.inOrder()) got.push(m.morsel); })();
        for (const morsel of [...noise, ...Array.from({ length: total }, (_, i) => total - 1 - i)]) {
          const seen = order.seen(morsel);
          expect(order.add(finished(morsel))).toBe(!seen);
          await Promise.resolve();
        }
        await consumer;
        expect(got).toEqual(Array.from({ length: total }, (_, i) => i));
        expect(order.heldBytes).toBe(0);
      }),
      { seed: 7, numRuns: 100 },
    );
  });

  it('holds producers back while the consumer is slow and lets them go when it took something', async () => {
    const order = new MorselOrder(3);
    order.add(finished(0, waitingBytesMax + 1));
    let free = false;
    const room = order.room().then(() => { free = true; });
    await Promise.resolve();
    expect(free).toBe(false);
    await order.inOrder().next();
    await room;
    expect(free).toBe(true);
  });

  it('ends its consumer with the first error, at an early end, and when closed', async () => {
    const failed = new MorselOrder(2);
    const waiting = failed.inOrder().next();
    failed.fail(new Error('first'));
    failed.fail(new Error('second'));
    await expect(waiting).rejects.toThrow('first');
    const early = new MorselOrder(3);
    early.add(finished(0));
    early.add(finished(2));
    const rows = early.inOrder();
    expect((await rows.next()).value?.morsel).toBe(0);
    const end = rows.next();
    early.endEarly();
    expect((await end).done).toBe(true);
    const closed = new MorselOrder(1);
    const last = closed.inOrder().next();
    closed.close();
    expect((await last).done).toBe(true);
  });
});

describe('claim policy', () => {
  const at = (progress: Partial<Parameters<typeof nextClaim>[1]>) => ({ total: 100, deviceDone: 0, hostDone: 0, deviceMs: 0, hostMs: 0, ...progress });

  it('never claims everything, always nothing', () => {
    expect(nextClaim('never', at({}))).toBe(100);
    expect(nextClaim('always', at({}))).toBe(0);
  });

  it('starts from half and half, and takes no more than half of a small scan', () => {
    expect(nextClaim('auto', at({}))).toBe(25);
    expect(nextClaim('auto', at({ total: 10 }))).toBe(5);
    expect(nextClaim('auto', at({ total: 1 }))).toBe(1);
  });

  it('follows the measured rates, in runs, and leaves the end to a device that is faster', () => {
    const fastHost = at({ deviceDone: 10, hostDone: 30, deviceMs: 100, hostMs: 100 });
    const fastDevice = at({ deviceDone: 60, hostDone: 8, deviceMs: 100, hostMs: 100 });
    expect(nextClaim('auto', fastHost)).toBeGreaterThan(nextClaim('auto', at({ deviceDone: 20, hostDone: 20, deviceMs: 100, hostMs: 100 })));
    expect(nextClaim('auto', fastDevice)).toBe(0);
    fc.assert(
      fc.property(fc.nat(200), fc.nat(200), fc.integer({ min: 1, max: 200 }), fc.nat(1000), fc.nat(1000), (deviceDone, hostDone, left, deviceMs, hostMs) => {
        const total = deviceDone + hostDone + left;
        const wanted = nextClaim('auto', { total, deviceDone, hostDone, deviceMs, hostMs });
        expect(wanted).toBeLessThanOrEqual(left);
        if (hostDone > 0 && wanted > 0) expect(wanted).toBeGreaterThanOrEqual(Math.min(left, claimMorselsMin));
      }),
      { seed: 11 },
    );
  });
});
