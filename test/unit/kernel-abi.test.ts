// What docs/kernel-abi-v1.md promises a kernel, checked by kernels that trap when it is not so.
import { expect, it } from 'vitest';
import { KernelInstance } from '../../pushdown/runtime/kernel.js';
import { compileKernel } from '../../pushdown/runtime/kernel-module.js';
import type { ColumnData } from '../../pushdown/types/batch.js';
import { kernel, type KernelParts, sumParts } from '../kernels/wat.js';

const sum = sumParts.process;
const must = (condition: string) => `(if (i32.eqz ${condition}) (then unreachable))`;
const column = (values: number[], validity: number[] | null = null): ColumnData => ({ validity: validity && Uint8Array.from(validity), offsets: null, data: new Uint8Array(Int32Array.from(values).buffer) });
const text = (...values: string[]): ColumnData => ({ validity: null, offsets: Int32Array.from([0, ...values.map((_, i) => values.slice(0, i + 1).join('').length)]), data: new TextEncoder().encode(values.join('')) });
const start = async (parts: Partial<KernelParts>, inputColumns = 1) => new KernelInstance(compileKernel(await kernel({ ...sumParts, ...parts })), { windowBytes: 65536, inputColumns });
const sums = (outputs: Iterable<{ data: readonly ColumnData[] }>) => [...outputs].map((o) => new DataView(o.data[0]!.data.slice().buffer).getBigInt64(0, true));

it('alloc is called only before the first process; schema and release_fn once', async () => {
  const instance = await start({
    extra: '(global $began (mut i32) (i32.const 0)) (global $schemas (mut i32) (i32.const 0))',
    alloc: `(local.set $at (i32.and (i32.add (global.get $brk) (i32.sub (local.get $align) (i32.const 1))) (i32.sub (i32.const 0) (local.get $align)))) ${must('(i32.eqz (global.get $began))')} (global.set $brk (i32.add (local.get $at) (local.get $bytes))) (local.get $at)`,
    schema: `(global.set $schemas (i32.add (global.get $schemas) (i32.const 1))) ${must('(i32.eq (global.get $schemas) (i32.const 1))')} (i32.const 1024)`,
    process: `(global.set $began (i32.const 1)) ${sum}`,
  });
  for (let i = 1; i < 4; i++) expect(sums(instance.runMorsel(2, instance.loadBatch([column([i, 1])])))).toEqual([BigInt(i + 1)]);
});

it('reset comes before each morsel of a scan, once before a stream; finish is not called by morsels', async () => {
  const counting: Partial<KernelParts> = {
    extra: '(global $n (mut i64) (i64.const 0))',
    reset: '(global.set $n (i64.const 0))',
    process: `${sum.replace('(i32.const 3)', '')} (global.set $n (i64.add (global.get $n) (i64.load (i32.const 16384)))) (i64.store (i32.const 16384) (global.get $n)) (i32.const 3)`,
    finish: 'unreachable',
  };
  const scan = await start(counting);
  for (let i = 0; i < 3; i++) expect(sums(scan.runMorsel(1, scan.loadBatch([column([5])])))).toEqual([5n]);
  const stream = await start({ ...counting, finish: '(i32.const 2)' });
  for (let i = 1; i < 4; i++) expect(sums(stream.processBatch(1, [column([5])]))).toEqual([BigInt(5 * i)]);
  expect([...stream.finish()]).toEqual([]);
});

it('a batch that is not used up is gone on with by process(0, out)', async () => {
  const pieces = await start({ extra: '(global $calls (mut i32) (i32.const 0))', process: `(if (i32.eqz (global.get $calls)) (then ${must('(i32.ne (local.get $in) (i32.const 0))')} (global.set $given (local.get $in))) (else ${must('(i32.eqz (local.get $in))')}))
    (local.set $in (global.get $given)) (global.set $calls (i32.add (global.get $calls) (i32.const 1))) ${sum.replace('(i32.const 3)\n', '').replace(/\(i32\.const 3\)$/, '')} (if (result i32) (i32.lt_u (global.get $calls) (i32.const 3)) (then (i32.const 1)) (else (i32.const 3)))` });
  expect(sums(pieces.processBatch(2, [column([40, 2])]))).toEqual([42n, 42n, 42n]);
});

it('input structs are those of the Arrow C Data Interface; buffers are aligned, and may be read past their end', async () => {
  const child = (i: number) => `(call $child (local.get $in) (i32.const ${i}))`;
  const is = (load: string, at: string, offset: number, value: number) => must(`(${load.startsWith('i64') ? 'i64' : 'i32'}.eq (${load} offset=${offset} ${at}) (${load.startsWith('i64') ? 'i64' : 'i32'}.const ${value}))`);
  const root = [is('i64.load', '(local.get $in)', 0, 3), is('i64.load', '(local.get $in)', 16, 0), is('i64.load', '(local.get $in)', 24, 1), is('i64.load', '(local.get $in)', 32, 3), is('i32.load', '(local.get $in)', 48, 0), is('i32.load', '(local.get $in)', 52, 0)];
  const columns = [0, 1, 2].map((i) => [is('i64.load', child(i), 0, 3), is('i64.load', child(i), 8, i === 1 ? -1 : 0), is('i64.load', child(i), 16, 0), is('i64.load', child(i), 24, i === 2 ? 3 : 2), is('i64.load', child(i), 32, 0), is('i32.load', child(i), 52, 0)].join(' '));
  const buffers = ['(call $column_data (local.get $in) (i32.const 0))', '(call $column_validity (local.get $in) (i32.const 1))', '(call $column_data (local.get $in) (i32.const 1))', '(call $column_data (local.get $in) (i32.const 2))', '(call $column_third (local.get $in) (i32.const 2))'];
  const aligned = buffers.map((b) => `${must(`(i32.ne ${b} (i32.const 0))`)} ${must(`(i32.eqz (i32.and ${b} (i32.const 63)))`)} (drop (v128.load offset=48 ${b}))`);
  const absent = must('(i32.eqz (call $column_validity (local.get $in) (i32.const 0)))');
  const instance = await start({ process: `${root.join(' ')} ${columns.join(' ')} ${aligned.join(' ')} ${absent} ${sum}` }, 3);
  expect(sums(instance.processBatch(3, [column([1, 2, 3]), column([4, 5, 6], [5]), text('a', '', 'bc')]))).toEqual([6n]);
});
