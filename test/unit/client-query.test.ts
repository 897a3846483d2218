import { describe, expect, it } from 'vitest';
import { avg, col, count, DatasetQuery, date, decimal, lit, sum, timestamp } from '../../clients/node/index.js';
import type { QueryRunner } from '../../clients/node/query/dataset-query.js';

const unused: QueryRunner = {
  collect: () => Promise.reject(new Error('not run')),
  stream: () => { throw new Error('not run'); },
  explain: () => Promise.reject(new Error('not run')),
};
const query = new DatasetQuery(unused, 't');

describe('literals', () => {
  it('are typed like the SQL literal they print as', () => {
    const typed = (value: Parameters<typeof lit>[0]) => { const { node } = lit(value); return node.kind === 'literal' ? [node.type.kind, node.value] : node.kind; };
    expect(typed(5)).toEqual(['int32', 5n]);
    expect(typed(-0)).toEqual(['int32', 0n]);
    expect(typed(3_000_000_000)).toEqual(['int64', 3_000_000_000n]);
    expect(typed(0.05)).toEqual(['decimal', 5n]);
    expect(typed(1e-7)).toEqual(['float64', 1e-7]);
    expect(typed(Number.NaN)).toEqual(['float64', Number.NaN]);
    expect(typed(true)).toEqual(['bool', true]);
    expect(typed('x')).toEqual(['utf8', 'x']);
    expect(typed(null)).toEqual(['int32', null]);
    expect(typed(new Date(1000))).toEqual(['timestamp', 1_000_000n]);
    expect(() => lit(2n ** 63n)).toThrow(expect.objectContaining({ code: 'MR_LITERAL_RANGE' }));
  });

  it('dates, timestamps and decimals are exact', () => {
    expect(date('1970-01-02')).toMatchObject({ value: 1n, type: { kind: 'date' } });
    expect(date('1969-12-31')).toMatchObject({ value: -1n });
    expect(timestamp('1970-01-01 00:00:01.5')).toMatchObject({ value: 1_500_000n });
    expect(timestamp('1969-12-31 23:59:59.000001')).toMatchObject({ value: -999_999n });
    expect(decimal('-12.30')).toMatchObject({ value: -1230n, type: { precision: 4, scale: 2 } });
    expect(decimal('.5')).toMatchObject({ value: 5n, type: { precision: 1, scale: 1 } });
    for (const bad of ['2001-2-3', '2001-13-01', 'x']) expect(() => date(bad)).toThrow(expect.objectContaining({ code: 'MR_LITERAL_INVALID' }));
    for (const bad of ['', '.', '1e5', '1.2.3']) expect(() => decimal(bad)).toThrow(expect.objectContaining({ code: 'MR_LITERAL_INVALID' }));
  });
});

describe('builder', () => {
  it('is immutable and makes the plan in order', () => {
    const late = query.filter(col('delay').gt(60).and(col('origin').in(['ATL', 'ORD'])));
    expect(query.plan.ops).toEqual([]);
    expect(late.groupBy('origin', { far: col('distance').gt(1000) }).agg({ n: count(), total: sum('delay'), mean: avg(col('delay').mul(2)) }).topK(3, col('n').desc()).limit(2, 1).plan.ops.map((op) => op.kind)).toEqual(['filter', 'aggregate', 'topK', 'limit']);
    expect(late.select('origin', { x: col('delay').fill(0).clamp(0, 100).log1p().cast('float32') }).plan.ops[1]).toMatchObject({
      kind: 'project', columns: [{ name: 'origin', expr: { kind: 'column' } }, { name: 'x', expr: { kind: 'cast', type: { kind: 'float32' }, arg: { kind: 'log1p', arg: { kind: 'clamp', arg: { kind: 'coalesce' } } } } }],
    });
  });

  it('refuses numbers that are none and orders that are missing', () => {
    expect(() => query.limit(-1)).toThrow(expect.objectContaining({ code: 'MR_QUERY_NUMBER' }));
    expect(() => query.limit(1.5)).toThrow(expect.objectContaining({ code: 'MR_QUERY_NUMBER' }));
    expect(() => query.topK(5)).toThrow(expect.objectContaining({ code: 'MR_QUERY_ORDER' }));
  });
});
