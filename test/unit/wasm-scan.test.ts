import { expect, test } from 'vitest';
import type { Expr } from '../../pushdown/expr/expr.js';
import type { PlanOp } from '../../pushdown/plan/plan.js';
import { decodeBatch } from '../../pushdown/reference/decode.js';
import { encodeBatch } from '../../pushdown/reference/encode.js';
import { runReference } from '../../pushdown/reference/run.js';
import type { Value } from '../../pushdown/reference/value.js';
import { KernelFault } from '../../pushdown/runtime/kernel-fault.js';
import { compileKernel } from '../../pushdown/runtime/kernel-module.js';
import { KernelInstance, loadedBytes } from '../../pushdown/runtime/kernel.js';
import { GuestFault } from '../../pushdown/runtime/wire.gen.js';
import type { Column, DatasetSchema } from '../../pushdown/types/schema.js';
import { compileScan } from '../../pushdown/wasm/compile.js';

const column = (name: string): Expr => ({ kind: 'column', name });
const int = (value: number): Expr => ({ kind: 'literal', value: BigInt(value), type: { kind: 'int32' } });
const schemaOf = (columns: readonly Column[], rows: number): DatasetSchema => ({ name: 't', columns, rows, rowGroups: 1, rowGroupRowsMax: rows });

/** shown: which output columns to decode; all without it. */
function scan(ops: readonly PlanOp[], schema: DatasetSchema, values: readonly (readonly Value[])[], shown?: readonly number[]): { rows: Value[][]; batches: number } {
  const compiled = compileScan(ops, schema);
  const all = encodeBatch(schema.columns, values);
  const data = compiled.inputColumns.map((c) => all.data[c]!);
  const instance = new KernelInstance(compileKernel(compiled.wasm), { windowBytes: Math.max(64, loadedBytes(data)), inputColumns: data.length });
  const pick = <T>(all: readonly T[]): readonly T[] => (shown ? shown.map((i) => all[i]!) : all);
  const batches: Value[][][] = [];
  // A batch is gone once the next is asked for.
  for (const out of instance.runMorsel(values.length, instance.loadBatch(data))) batches.push(decodeBatch({ rows: out.rows, columns: pick(compiled.output), data: pick(out.data) }));
  return { rows: batches.flat(), batches: batches.length };
}

const every: readonly Column[] = [
  { name: 'n', type: { kind: 'int32' }, physical: 'i32', nullable: false, min: 0n, max: 9999n },
  { name: 'i8', type: { kind: 'int8' }, physical: 'i8', nullable: true },
  { name: 'i16', type: { kind: 'int16' }, physical: 'i16', nullable: false },
  { name: 'i64', type: { kind: 'int64' }, physical: 'i64', nullable: true },
  { name: 'f32', type: { kind: 'float32' }, physical: 'f32', nullable: false },
  { name: 'f64', type: { kind: 'float64' }, physical: 'f64', nullable: true },
  { name: 'b', type: { kind: 'bool' }, physical: 'bool', nullable: true },
  { name: 's', type: { kind: 'utf8' }, physical: 'utf8', nullable: true },
  { name: 'd', type: { kind: 'utf8' }, physical: 'dict8', nullable: true, min: 0n, max: 2n, dictionary: ['a', 'b', 'c'] },
];

/** Row i as a function of i alone. */
function row(i: number): Value[] {
  const mixed = Math.imul(i + 1, 0x9e3779b1) >>> 0;
  const orNull = (v: Value) => (mixed % 7 === 0 ? null : v);
  return [
    BigInt(mixed % 10_000), orNull(BigInt((mixed % 256) - 128)), BigInt((mixed % 65_536) - 32_768), orNull(BigInt(mixed) * -123_456_789n), Math.fround(mixed / 3),
    orNull(mixed % 11 === 0 ? Number.NaN : mixed / 7), orNull(mixed % 3 === 0), orNull('x'.repeat(mixed % 40) + i), orNull(['a', 'b', 'c'][mixed % 3]!),
  ];
}

test('selectivities from nothing to everything, over several blocks and a ragged end', () => {
  const values = Array.from({ length: 5 * 2048 + 13 }, (_, i) => row(i));
  const schema = schemaOf(every, values.length);
  const batch = encodeBatch(every, values);
  for (const bound of [0, 3, 100, 900, 1300, 5000, 9999, 20_000]) {
    const ops: PlanOp[] = [
      { kind: 'filter', predicate: { kind: 'compare', op: 'lt', left: column('n'), right: int(bound) } },
      { kind: 'project', columns: [...every.map((c) => ({ name: c.name, expr: column(c.name) })), { name: 'twice', expr: { kind: 'arith', op: 'add', left: column('n'), right: column('n') } }] },
    ];
    expect(scan(ops, schema, values).rows, `n < ${bound}`).toEqual(runReference({ dataset: 't', ops }, schema, [batch]).rows);
  }
});

const text: readonly Column[] = [
  { name: 'k', type: { kind: 'int32' }, physical: 'i32', nullable: false },
  { name: 's', type: { kind: 'utf8' }, physical: 'utf8', nullable: true },
];
const keepAll: PlanOp = { kind: 'filter', predicate: { kind: 'compare', op: 'ge', left: column('k'), right: int(0) } };

test('strings that do not fit one batch come in several, in order', () => {
  const values = Array.from({ length: 9000 }, (_, i): Value[] => [BigInt(i), i % 10 === 0 ? null : `${i}-${'y'.repeat(1200)}`]);
  const { rows, batches } = scan([keepAll], schemaOf(text, values.length), values);
  expect(batches).toBeGreaterThan(1);
  expect(firstDifference(rows, values)).toBe(-1);
  const filled: PlanOp = { kind: 'project', columns: [{ name: 'f', expr: { kind: 'coalesce', args: [column('s'), { kind: 'literal', value: 'none', type: { kind: 'utf8' } }] } }, { name: 'k', expr: column('k') }] };
  expect(firstDifference(scan([filled], schemaOf(text, values.length), values).rows, values.map(([k, s]) => [s ?? 'none', k!]))).toBe(-1);
});

test('a string larger than a batch is a memory fault, not a wrong result', () => {
  const values: Value[][] = [[1n, 'z'.repeat(5 << 20)]];
  expect(fault(() => scan([keepAll], schemaOf(text, 1), values))).toBe(GuestFault.MemoryLimit);
});

test('rows too wide for one batch come in several', () => {
  const values = Array.from({ length: 40_000 }, (_, i): Value[] => [BigInt(i), null]);
  const many: PlanOp = { kind: 'project', columns: Array.from({ length: 400 }, (_, c) => ({ name: `c${c}`, expr: { kind: 'arith', op: 'add', left: column('k'), right: { kind: 'literal', value: BigInt(c) << 33n, type: { kind: 'int64' } } } as Expr })) };
  const { rows, batches } = scan([many], schemaOf(text, values.length), values, [0, 399]);
  expect(batches).toBeGreaterThan(1);
  expect(rows.length).toBe(40_000);
  for (const i of [0, 15_359, 15_360, 39_999]) expect(rows[i]).toEqual([BigInt(i), BigInt(i) + (399n << 33n)]);
});

test('a limit takes the first rows of a morsel', () => {
  const values = Array.from({ length: 5000 }, (_, i) => row(i));
  const schema = schemaOf(every, values.length);
  const limited = (count: number): PlanOp[] => [
    { kind: 'filter', predicate: { kind: 'compare', op: 'lt', left: column('n'), right: int(6000) } },
    { kind: 'project', columns: [{ name: 'n', expr: column('n') }, { name: 's', expr: column('s') }] },
    { kind: 'limit', count, offset: 0 },
  ];
  for (const count of [0, 1, 17, 1500, 2500, 9000])
    expect(scan(limited(count), schema, values).rows).toEqual(runReference({ dataset: 't', ops: limited(count) }, schema, [encodeBatch(every, values)]).rows);
  expect(scan([{ kind: 'limit', count: 3, offset: 1 }], schema, values).rows.length).toBe(4);
});

test('more rows than the kernel was made for are refused, and so is a missing buffer', () => {
  const values = Array.from({ length: 10 }, (_, i) => row(i));
  expect(fault(() => scan([{ kind: 'limit', count: 3, offset: 0 }], { ...schemaOf(every, 10), rowGroupRowsMax: 9 }, values))).toBe(GuestFault.KernelError);
  const compiled = compileScan([], schemaOf(text, 10));
  const instance = new KernelInstance(compileKernel(compiled.wasm), { windowBytes: 4096, inputColumns: 2 });
  const absent = { validity: 0, offsets: 0, data: 0, nullCount: 0 };
  expect(fault(() => [...instance.runMorsel(10, [absent, absent])])).toBe(GuestFault.KernelError);
});

test('an overflow of a selected row ends the kernel, one of a dropped row does not', () => {
  const wide: readonly Column[] = [{ name: 'v', type: { kind: 'int64' }, physical: 'i64', nullable: false }];
  const values: Value[][] = [[1n], [2n ** 62n]];
  const ops = (bound: bigint): PlanOp[] => [
    { kind: 'filter', predicate: { kind: 'compare', op: 'le', left: column('v'), right: { kind: 'literal', value: bound, type: { kind: 'int64' } } } },
    { kind: 'project', columns: [{ name: 'w', expr: { kind: 'arith', op: 'mul', left: column('v'), right: int(2) } }] },
  ];
  expect(scan(ops(5n), schemaOf(wide, 2), values).rows).toEqual([[2n]]);
  expect(fault(() => scan(ops(2n ** 62n), schemaOf(wide, 2), values))).toBe(GuestFault.ArithmeticOverflow);
});

/** -1: none. */
function firstDifference(a: readonly (readonly Value[])[], b: readonly (readonly Value[])[]): number {
  if (a.length !== b.length) return Math.min(a.length, b.length);
  return a.findIndex((values, i) => values.some((v, c) => !Object.is(v, b[i]?.[c])));
}

function fault(run: () => unknown): number | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof KernelFault) return error.fault;
    throw error;
  }
}
