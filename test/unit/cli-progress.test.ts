import { expect, test } from 'vitest';
import { figures, withProgress } from '../../clients/cli/output/progress.js';

test('rows, bytes and the time left', () => {
  expect(figures({ done: 25, total: 100, rows: 12, bytes: 3 << 20 }, 1000)).toBe('12 rows, 3.0 MiB, 3 s left');
  expect(figures({ done: 100, total: 100, bytes: 10, doing: 'loading' }, 5000)).toBe('10 B, loading');
  expect(figures({ done: 0, total: 0 }, 10)).toBe('');
  expect(figures({ done: 1, total: 1000, rows: 1 }, 1000)).toBe('1 rows, 17 min left');
  expect(figures({ done: 1, total: 100_000, rows: 1 }, 1000)).toBe('1 rows, 28 h left');
});

test('no terminal, no bar: the work is all there is', async () => {
  let asked = 0;
  const observe = () => {
    asked++;
    return { done: 0, total: 1 };
  };
  expect(await withProgress(observe, async () => 7, false)).toBe(7);
  await expect(withProgress(observe, async () => { throw new Error('as it was'); }, false)).rejects.toThrow('as it was');
  expect(asked).toBe(0);
});
