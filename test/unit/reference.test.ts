import { describe, expect, it } from 'vitest';
import { castValue } from '../../pushdown/reference/cast.js';
import { decodeBatch } from '../../pushdown/reference/decode.js';
import { likeMatcher } from '../../pushdown/reference/like.js';
import { log1p } from '../../pushdown/wasm/log1p.js';
import { compareText, compareValues } from '../../pushdown/reference/value.js';
import { randomData } from '../differential/data.js';
import { Random } from '../differential/random.js';

describe('values', () => {
  it('encode and decode to themselves', () => {
    for (let seed = 0; seed < 40; seed++) {
      const data = randomData(new Random(seed));
      expect(data.rowGroups.map(decodeBatch)).toEqual(data.values);
    }
  });
  it('compare totally: NaN on top, -0 is 0, text by UTF-8 bytes', () => {
    expect(compareValues(NaN, Infinity)).toBe(1);
    expect(compareValues(NaN, NaN)).toBe(0);
    expect(compareValues(-0, 0)).toBe(0);
    // U+FFFD is below U+1F4A9 in UTF-8 and above its first surrogate in UTF-16.
    expect(compareText('\ufffd', '💩')).toBe(-1);
    expect(compareText('a', 'ab')).toBe(-1);
  });
});

describe('functions', () => {
  it('log1p has the bits of fdlibm (V8 has the same port)', () => {
    const random = new Random(7);
    for (let i = 0; i < 20_000; i++) {
      const x = ((random.u32() / 2 ** 32) * 2 - 1) * 10 ** random.int(-20, 20);
      expect(Object.is(log1p(x), Math.log1p(x)) || `${x}: ${log1p(x)} ${Math.log1p(x)}`).toBe(true);
    }
    for (const x of [0, -0, -1, -2, Infinity, -Infinity, NaN, 1e-300, 1]) expect(log1p(x)).toBe(Math.log1p(x));
  });
  it('like knows % and _ and no escape', () => {
    expect(likeMatcher('a\\%')('a\\b')).toBe(true);
    expect(likeMatcher('_')('💩')).toBe(true);
    expect(likeMatcher('a%c')('a\nc')).toBe(true);
    expect(likeMatcher('a.c')('abc')).toBe(false);
  });
  it('casts round as DuckDB does', () => {
    const int32 = { kind: 'int32' } as const;
    const float64 = { kind: 'float64' } as const;
    expect([2.5, 3.5, -2.5].map((v) => castValue(v, float64, int32))).toEqual([2n, 4n, -2n]);
    expect([25n, -25n].map((v) => castValue(v, { kind: 'decimal', precision: 4, scale: 1 }, int32))).toEqual([3n, -3n]);
    expect(() => castValue(NaN, float64, int32)).toThrow('does not fit');
    expect(castValue(9_007_199_791_611_905n, { kind: 'int64' }, { kind: 'float32' })).toBe(9_007_200_328_482_816);
  });
});
