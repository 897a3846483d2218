import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { coalesce, type Extent, ExtentAllocator, subtract } from '../../daemon/datasets/extents.js';
import { Reservation } from '../../daemon/datasets/reservation.js';

describe('what is left of extents', () => {
  it.each([
    [[[0, 10]], [], [[0, 10]]],
    [[[0, 10]], [[0, 10]], []],
    [[[0, 10]], [[2, 3], [7, 1]], [[0, 2], [5, 2], [8, 2]]],
    [[[0, 10], [12, 3], [20, 5]], [[0, 22]], [[22, 3]]],
    [[[5, 5], [20, 5]], [[0, 3], [8, 14], [24, 9]], [[5, 3], [22, 2]]],
  ])('%j without %j is %j', (whole, parts, left) => {
    const extents = (list: number[][]) => list.map(([slba, blocks]) => ({ slba: slba as number, blocks: blocks as number }));
    expect(subtract(extents(whole), extents(parts))).toEqual(extents(left));
  });
});

describe('ExtentAllocator', () => {
  it('takes the first run that fits and says no when none does', () => {
    const space = new ExtentAllocator(10);
    expect(space.reserve(4)).toEqual({ slba: 0, blocks: 4 });
    expect(space.reserve(4)).toEqual({ slba: 4, blocks: 4 });
    expect(space.reserve(3)).toBeUndefined();
    expect(space.reserve(2)).toEqual({ slba: 8, blocks: 2 });
    expect(space.freeBlocks).toBe(0);
    space.free({ slba: 0, blocks: 4 });
    expect(space.reserve(2)).toEqual({ slba: 0, blocks: 2 });
  });

  it('refuses to use published blocks twice or outside the namespace', () => {
    const space = new ExtentAllocator(10);
    expect(space.take({ slba: 3, blocks: 3 })).toBe(true);
    expect(space.take({ slba: 5, blocks: 1 })).toBe(false);
    expect(space.take({ slba: 2, blocks: 2 })).toBe(false);
    expect(space.take({ slba: 9, blocks: 2 })).toBe(false);
    expect(space.freeExtents).toEqual([{ slba: 0, blocks: 3 }, { slba: 6, blocks: 4 }]);
  });

  it('throws on a double free', () => {
    const space = new ExtentAllocator(10);
    const extent = space.reserve(4) as Extent;
    space.free({ slba: extent.slba, blocks: 2 });
    expect(() => space.free(extent)).toThrow(/freed once/);
    expect(() => space.free({ slba: 8, blocks: 4 })).toThrow(/namespace/);
  });

  it('agrees with a bitmap over random reserve, free and take', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('reserve' as const), blocks: fc.integer({ min: 1, max: 20 }) }),
      fc.record({ kind: fc.constant('free' as const), pick: fc.nat() }),
      fc.record({ kind: fc.constant('take' as const), slba: fc.integer({ min: 0, max: 70 }), blocks: fc.integer({ min: 1, max: 10 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const space = new ExtentAllocator(64);
        const used = new Array<boolean>(64).fill(false);
        const held: Extent[] = [];
        const run = (extent: Extent, value: boolean) => {
          for (let b = extent.slba; b < extent.slba + extent.blocks; b++) {
            expect(used[b]).toBe(!value);
            used[b] = value;
          }
        };
        for (const s of steps) {
          if (s.kind === 'reserve') {
            const extent = space.reserve(s.blocks);
            if (extent) {
              run(extent, true);
              held.push(extent);
            } else {
              expect(used.map((u) => (u ? 'x' : '.')).join('')).not.toContain('.'.repeat(s.blocks));
            }
          } else if (s.kind === 'free' && held.length > 0) {
            const [extent] = held.splice(s.pick % held.length, 1);
            space.free(extent);
            run(extent, false);
          } else if (s.kind === 'take') {
            const fits = s.slba + s.blocks <= 64 && used.slice(s.slba, s.slba + s.blocks).every((u) => !u);
            expect(space.take(s)).toBe(fits);
            if (fits) {
              run(s, true);
              held.push({ slba: s.slba, blocks: s.blocks });
            }
          }
          expect(space.freeBlocks).toBe(used.filter((u) => !u).length);
          for (let i = 1; i < space.freeExtents.length; i++)
            expect(space.freeExtents[i].slba).toBeGreaterThan(space.freeExtents[i - 1].slba + space.freeExtents[i - 1].blocks);
        }
      }),
      { seed: 20261121, numRuns: 200 },
    );
  });
});

describe('Reservation', () => {
  it('keeps what is published and gives back the rest', () => {
    const space = new ExtentAllocator(32);
    const reservation = new Reservation(space);
    reservation.extend(10);
    reservation.extend(10);
    reservation.keep([{ slba: 2, blocks: 3 }, { slba: 12, blocks: 8 }]);
    expect(space.freeBlocks).toBe(32 - 11);
    expect(space.freeExtents).toEqual([{ slba: 0, blocks: 2 }, { slba: 5, blocks: 7 }, { slba: 20, blocks: 12 }]);
  });

  it('gives everything back once', () => {
    const space = new ExtentAllocator(32);
    const reservation = new Reservation(space);
    reservation.extend(10);
    expect(reservation.extend(23)).toBeUndefined();
    reservation.release();
    reservation.release();
    expect(space.freeBlocks).toBe(32);
  });
});

describe('coalesce', () => {
  it('joins neighbours and sees overlap', () => {
    expect(coalesce([{ slba: 4, blocks: 4 }, { slba: 0, blocks: 4 }, { slba: 9, blocks: 1 }])).toEqual([{ slba: 0, blocks: 8 }, { slba: 9, blocks: 1 }]);
    expect(coalesce([{ slba: 0, blocks: 5 }, { slba: 4, blocks: 1 }])).toBeUndefined();
  });
});
