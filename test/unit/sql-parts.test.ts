import { describe, expect, test } from 'vitest';
import { constantValue } from '../../clients/node/sql/constant-value.js';
import { resized } from '../../clients/node/sql/integer-width.js';
import { parseLossless } from '../../clients/node/sql/lossless-json.js';
import { isReadOnly } from '../../clients/node/sql/read-only.js';
import { translateFilter } from '../../clients/node/sql/translate-filter.js';

test('long integers and bare NaN keep their value; text is left alone', () => {
  expect(parseLossless('{"a":9223372036854775807,"b":12.5,"c":NaN,"d":-Infinity,"e":"1234567890123456789 NaN \\" 5","f":-1e300}')).toEqual({
    a: '9223372036854775807', b: 12.5, c: 'NaN', d: '-Infinity', e: '1234567890123456789 NaN " 5', f: -1e300,
  });
});

describe('constants', () => {
  const of = (id: string, value: unknown, info: unknown = null) => constantValue({ type: { id, type_info: info }, is_null: false, value });
  test('hugeint halves', () => {
    expect(of('HUGEINT', { upper: -1, lower: '18446744073709551615' })).toEqual({ type: { kind: 'decimal', precision: 38, scale: 0 }, value: -1n });
    expect(of('HUGEINT', { upper: 1, lower: 2 })?.value).toBe(2n ** 64n + 2n);
  });
  test('what does not match is unknown, never guessed', () => {
    for (const [id, value] of [['INTEGER', 1.5], ['INTEGER', 'x'], ['BOOLEAN', 1], ['VARCHAR', 5], ['BLOB', 'x'], ['__proto__', 1], ['INTERVAL', {}]] as const) expect(of(id, value)).toBeUndefined();
    expect(of('VARCHAR', 'x', { type: 'STRING_TYPE_INFO', collation: 'nocase' })).toBeUndefined();
    expect(of('DECIMAL', 5, { width: 99, scale: 0 })).toBeUndefined();
  });
});

describe('integers of another width', () => {
  test.each([[1, 2], [1, 4], [1, 8], [1, 16], [2, 4], [2, 8], [4, 16], [8, 16], [4, 2], [8, 4], [16, 8]] as const)('%i to %i bytes', (from, to) => {
    const values = [0n, 1n, -1n, 100n, -100n, 127n, -128n];
    const bytes = new Uint8Array(values.length * from);
    const put = (target: Uint8Array, width: number) => values.forEach((v, i) => { for (let b = 0; b < width; b++) target[i * width + b] = Number(BigInt.asUintN(8, v >> BigInt(8 * b))); });
    put(bytes, from);
    const expected = new Uint8Array(values.length * to);
    put(expected, to);
    // An odd offset, as in a frame.
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    expect(resized(shifted.subarray(3), values.length, from, to)).toEqual(expected);
  });
  test('unsigned values are not sign-extended', () => {
    expect([...resized(new Uint8Array([255]), 1, 1, 2, false)]).toEqual([255, 0]);
    expect([...resized(new Uint8Array([255, 255, 255, 255]), 1, 4, 8, false)]).toEqual([255, 255, 255, 255, 0, 0, 0, 0]);
  });
});

test('only plans of reading operators are read-only', () => {
  const node = (type: string, ...children: ReturnType<typeof Object>[]) => ({ type, children }) as never;
  expect(isReadOnly(node('LOGICAL_PROJECTION', node('LOGICAL_GET')))).toBe(true);
  for (const type of ['LOGICAL_INSERT', 'LOGICAL_COPY_TO_FILE', 'LOGICAL_SOMETHING_NEW', '']) expect(isReadOnly(node('LOGICAL_PROJECTION', node(type)))).toBe(false);
});

describe('filters of scans', () => {
  const column = { expr: { kind: 'column', name: 'a' }, type: { kind: 'int32' } } as const;
  const five = { filter_type: 'CONSTANT_COMPARISON', comparison_type: 'COMPARE_GREATERTHAN', constant: { type: { id: 'INTEGER', type_info: null }, is_null: false, value: 5 } };
  const strange = { filter_type: 'SOMETHING_NEW' };
  const hint = { filter_type: 'OPTIONAL_FILTER', child_filter: strange };
  const both = (kind: string, ...child_filters: object[]) => translateFilter({ filter_type: kind, child_filters }, column).kind;
  test('an unknown part makes a conjunction a superset and a disjunction unusable', () => {
    expect(both('CONJUNCTION_AND', five, strange)).toBe('inexact');
    expect(both('CONJUNCTION_AND', strange)).toBe('unknown');
    expect(both('CONJUNCTION_OR', five, strange)).toBe('unknown');
    expect(both('CONJUNCTION_OR', five, five)).toBe('exact');
  });
  test('a hint says nothing', () => {
    expect(translateFilter(hint, column).kind).toBe('optional');
    expect(both('CONJUNCTION_AND', five, hint)).toBe('exact');
    expect(both('CONJUNCTION_OR', five, hint)).toBe('optional');
  });
  test('a constant of another type is no filter of ours', () => {
    expect(translateFilter({ ...five, constant: { type: { id: 'BIGINT', type_info: null }, is_null: false, value: 5 } }, column).kind).toBe('unknown');
  });
});
