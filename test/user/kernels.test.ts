import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Expr } from '../../pushdown/expr/expr.js';
import type { PlanOp } from '../../pushdown/plan/plan.js';
import { assemblyScript } from '../kernels/assemblyscript.js';
import { batchesOf, columnsOf } from './batch.js';
import { localRows } from './local.js';

const col = (name: string): Expr => ({ kind: 'column', name });
const template = readFileSync(new URL('../../sdk/assemblyscript/template/kernel.ts', import.meta.url), 'utf8');
let wasm: Uint8Array;

beforeAll(async () => {
  wasm = await assemblyScript(template);
});

describe('a batch kernel', () => {
  const columns = columnsOf({ id: 'int32', text: 'utf8' });
  const rows = Array.from({ length: 5000 }, (_, i) => [BigInt(i), i % 7 === 0 ? null : `text ${'é'.repeat(i % 12)}`]);
  const expected = rows.filter(([, t]) => t !== null && [...(t as string)].length >= 9).map(([, t]) => [t, BigInt([...(t as string)].length)]);

  it('gets the rows a filter leaves, its parameters, and gives columns of its own', async () => {
    const ops = [
      { kind: 'filter', predicate: { kind: 'compare', op: 'ge', left: col('id'), right: { kind: 'literal', value: 0n, type: { kind: 'int32' } } } },
      { kind: 'project', columns: [{ name: 'text', expr: col('text') }] },
      { kind: 'kernel', name: 'template', params: 'least=9\n' },
    ] as const;
    for (const size of [5000, 1024, 7]) expect(await localRows(ops, columns, batchesOf(columns, rows, size), { template: wasm })).toEqual(expected);
  });

  it('runs above aggregates and limits too', async () => {
    const kernel = { kind: 'kernel', name: 'template', params: 'least=9\n' } as const;
    const texts = [...new Set(expected.map(([t]) => t))].map((t) => [t, BigInt([...(t as string)].length)]);
    const grouped: PlanOp[] = [{ kind: 'aggregate', groupBy: [{ name: 'text', expr: col('text') }], aggregates: [] }, kernel];
    expect((await localRows(grouped, columns, batchesOf(columns, rows, 1024), { template: wasm })).toSorted()).toEqual(texts.toSorted());
    const limited: PlanOp[] = [{ kind: 'project', columns: [{ name: 'text', expr: col('text') }] }, { kind: 'limit', count: 30, offset: 2 }, kernel];
    const first = rows.slice(2, 32).filter(([, t]) => t !== null && [...(t as string)].length >= 9);
    expect(await localRows(limited, columns, batchesOf(columns, rows, 1024), { template: wasm })).toEqual(first.map(([, t]) => [t, BigInt([...(t as string)].length)]));
  });

  it('refuses columns it does not take', async () => {
    const ops = [{ kind: 'kernel', name: 'template', params: '' }] as const;
    await expect(localRows(ops, columns, batchesOf(columns, rows, 100), { template: wasm })).rejects.toMatchObject({ code: 'MR_PLAN_TYPE' });
  });
});

describe('a scalar function', () => {
  const columns = columnsOf({ a: 'float64', b: 'int32', s: 'utf8' });
  const rows = Array.from({ length: 3000 }, (_, i) => [i % 11 === 0 ? null : (i * 37) % 101, i % 13 === 0 ? null : BigInt(i % 50), `s${i}`]);
  const keep = (): Expr => ({ kind: 'call', name: 'template.keep', args: [col('a'), col('b')] });

  it('filters, with NULL in giving NULL out', async () => {
    const expected = rows.filter(([a, b]) => a !== null && b !== null && (a as number) > Number(b));
    for (const size of [3000, 512, 5]) expect(await localRows([{ kind: 'filter', predicate: keep() }], columns, batchesOf(columns, rows, size), { template: wasm })).toEqual(expected);
    const not = await localRows([{ kind: 'filter', predicate: { kind: 'not', arg: keep() } }], columns, batchesOf(columns, rows, 512), { template: wasm });
    expect(not).toEqual(rows.filter(([a, b]) => a !== null && b !== null && (a as number) <= Number(b)));
  });

  it('computes columns', async () => {
    const out = await localRows([{ kind: 'project', columns: [{ name: 'k', expr: keep() }, { name: 's', expr: col('s') }] }], columns, batchesOf(columns, rows, 512), { template: wasm });
    expect(out).toEqual(rows.map(([a, b, s]) => [a === null || b === null ? null : (a as number) > Number(b) ? 1n : 0n, s]));
  });

  it('feeds aggregates, groups and the k best', async () => {
    const scored: Expr = { kind: 'call', name: 'template.keep', args: [col('a'), col('b')] };
    const batches = batchesOf(columns, rows, 512);
    const kept = rows.filter(([a, b]) => a !== null && b !== null && (a as number) > Number(b)).length;
    const known = rows.filter(([a, b]) => a !== null && b !== null).length;
    expect(await localRows([{ kind: 'aggregate', groupBy: [], aggregates: [{ name: 'n', fn: 'sum', arg: scored }, { name: 'c', fn: 'count', arg: scored }] }], columns, batches, { template: wasm })).toEqual([[BigInt(kept), BigInt(known)]]);
    const groups = await localRows([{ kind: 'aggregate', groupBy: [{ name: 'k', expr: scored }], aggregates: [{ name: 'c', fn: 'count' }] }], columns, batches, { template: wasm });
    expect(new Map(groups.map(([k, c]) => [k, c]))).toEqual(new Map([[null, BigInt(rows.length - known)], [1n, BigInt(kept)], [0n, BigInt(known - kept)]]));
    const top = await localRows([{ kind: 'topK', k: 3, orderBy: [{ expr: scored, descending: true, nullsFirst: false }] }], columns, batches, { template: wasm });
    expect(top).toEqual(rows.filter(([a, b]) => a !== null && b !== null && (a as number) > Number(b)).slice(0, 3));
  });

  it('says what is wrong with a name, the arguments, the place', async () => {
    const run = (expr: Expr) => localRows([{ kind: 'filter', predicate: expr }], columns, batchesOf(columns, rows, 512), { template: wasm });
    await expect(run({ kind: 'call', name: 'template.nothing', args: [] })).rejects.toMatchObject({ code: 'MR_FUNCTION_NOT_FOUND' });
    await expect(run({ kind: 'call', name: 'template.keep', args: [col('a')] })).rejects.toMatchObject({ code: 'MR_PLAN_TYPE' });
    await expect(run({ kind: 'call', name: 'template.keep', args: [col('a'), col('s')] })).rejects.toMatchObject({ code: 'MR_PLAN_TYPE' });
  });

  it('run above aggregates too, over the groups', async () => {
    const largest = (ops: readonly PlanOp[]) => localRows([{ kind: 'aggregate', groupBy: [], aggregates: [{ name: 'a', fn: 'max', arg: col('a') }] }, ...ops], columns, batchesOf(columns, rows, 512), { template: wasm });
    const keep = (a: Expr, b: Expr): Expr => ({ kind: 'call', name: 'template.keep', args: [a, b] });
    const most = Math.max(...rows.flatMap(([a]) => (a === null ? [] : [a as number])));
    const zero: Expr = { kind: 'literal', value: 0, type: { kind: 'float64' } };
    expect(await largest([{ kind: 'filter', predicate: keep(col('a'), zero) }])).toEqual([[most]]);
    expect(await largest([{ kind: 'filter', predicate: keep(col('a'), col('a')) }])).toEqual([]);
    expect(await largest([{ kind: 'project', columns: [{ name: 'k', expr: keep(col('a'), zero) }, { name: 'a', expr: col('a') }] }])).toEqual([[1n, most]]);
  });
});
