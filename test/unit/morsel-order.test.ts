import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
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
