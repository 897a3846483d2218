import { describe, expect, it } from 'vitest';
import { QueryResult } from '../../clients/node/index.js';
import { rowsOf } from '../../clients/node/result/row-slice.js';
import { dateText, decimalText, timestampText } from '../../clients/node/result/value.js';
import { encodeBatch } from '../../pushdown/reference/encode.js';
import { decodeBatch } from '../../pushdown/reference/decode.js';
import type { Column } from '../../pushdown/types/schema.js';

const columns: Column[] = [
  { name: 'b', type: { kind: 'bool' }, physical: 'bool', nullable: true },
  { name: 'i', type: { kind: 'int32' }, physical: 'i8', nullable: true },
  { name: 'l', type: { kind: 'int64' }, physical: 'i64', nullable: false },
  { name: 'd', type: { kind: 'decimal', precision: 15, scale: 2 }, physical: 'i32', nullable: true },
  { name: 'h', type: { kind: 'decimal', precision: 38, scale: 0 }, physical: 'i128', nullable: true },
  { name: 'f', type: { kind: 'float64' }, physical: 'f64', nullable: true },
  { name: 'day', type: { kind: 'date' }, physical: 'i16', nullable: true },
  { name: 'at', type: { kind: 'timestamp', utc: false }, physical: 'i64', nullable: true },
  { name: 's', type: { kind: 'utf8' }, physical: 'utf8', nullable: true },
  { name: 'k', type: { kind: 'utf8' }, physical: 'dict8', nullable: true, dictionary: ['a', 'bé'] },
];
const rows = [
  [true, -5n, 2n ** 62n, -1234n, -(2n ** 100n), 1.5, 1n, -1n, 'héllo', 'bé'],
  [null, null, 0n, null, null, null, null, null, null, null],
  [false, 127n, -1n, 5n, 7n, Number.NaN, -1n, 1_000_001n, '', 'a'],
] as const;
const stats = { linkBytes: 0, rowsScanned: 0, morselsDevice: 0, morselsHost: 0, morselsPruned: 0, rows: 3, ms: 0, kernelMs: 0, place: 'none', transport: 'http' } as const;
const many = Array.from({ length: 45 }, (_, i) => rows[i % 3]!);

describe('results', () => {
  const result = new QueryResult(columns, [encodeBatch(columns, rows)], stats);

  it('show rows with logical types', () => {
    expect(result.toRows()[0]).toEqual({ b: true, i: -5, l: 2n ** 62n, d: '-12.34', h: String(-(2n ** 100n)), f: 1.5, day: '1970-01-02', at: '1969-12-31 23:59:59.999999', s: 'héllo', k: 'bé' });
    expect(result.toRows()[1]).toEqual({ b: null, i: null, l: 0n, d: null, h: null, f: null, day: null, at: null, s: null, k: null });
    expect(result.column('d')).toEqual(['-12.34', null, '0.05']);
    expect(() => result.column('nope')).toThrow(expect.objectContaining({ code: 'MR_COLUMN_NOT_FOUND' }));
    expect(result.toCanonicalRows()).toEqual(rows.map((row) => [...row]));
  });

  it('become Arrow tables of logical types', async () => {
    const table = await result.toArrow();
    expect(table.numRows).toBe(3);
    expect(table.schema.fields.map((field) => String(field.type))).toEqual(['Bool', 'Int32', 'Int64', 'Decimal[15e+2]', 'Decimal[38e0]', 'Float64', 'Date32<DAY>', 'Timestamp<MICROSECOND>', 'Utf8', 'Dictionary<Int32, Utf8>']);
    expect(table.getChild('l')!.toArray()).toEqual(BigInt64Array.of(2n ** 62n, 0n, -1n));
    expect([...table.getChild('k')!]).toEqual(['bé', null, 'a']);
    expect([...table.getChild('s')!]).toEqual(['héllo', null, '']);
    expect([...table.getChild('i')!]).toEqual([-5, null, 127]);
  });

  it('can be cut at any row', () => {
    const batch = encodeBatch(columns, many);
    for (const [from, to] of [[0, 45], [0, 3], [7, 31], [8, 9], [13, 45], [44, 45], [5, 5]] as const) expect(decodeBatch(rowsOf(batch, from, to))).toEqual(many.slice(from, to).map((row) => [...row]));
  });

  it('write exact types as text', () => {
    expect(decimalText(-5n, 2)).toBe('-0.05');
    expect(decimalText(12300n, 2)).toBe('123.00');
    expect(dateText(-719_162n)).toBe('0001-01-01');
    expect(timestampText(1_500_000n, true)).toBe('1970-01-01 00:00:01.5+00');
  });
});
