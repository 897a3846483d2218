import { describe, expect, it } from 'vitest';
import { frameBatch } from '../../pushdown/runtime/frame-batch.js';
import { readFrames } from '../../pushdown/runtime/frame-read.js';
import { frameBytes, rowsThatFit, writeFrame } from '../../pushdown/runtime/frame-write.js';
import { KernelInstance } from '../../pushdown/runtime/kernel.js';
import { KernelFault } from '../../pushdown/runtime/kernel-fault.js';
import { compileKernel } from '../../pushdown/runtime/kernel-module.js';
import { GuestFault } from '../../pushdown/runtime/wire.gen.js';
import type { ColumnData } from '../../pushdown/types/batch.js';
import type { Column } from '../../pushdown/types/schema.js';
import { assemble, echoParts, kernel, kernelText, type KernelParts, sumParts } from '../kernels/wat.js';

const i32 = (...values: number[]): ColumnData => ({ validity: null, offsets: null, data: new Uint8Array(Int32Array.from(values).buffer) });
const utf8 = (...values: string[]): ColumnData => {
  const encoded = values.map((v) => new TextEncoder().encode(v));
  const offsets = new Int32Array(values.length + 1);
  encoded.forEach((e, i) => { offsets[i + 1] = (offsets[i] as number) + e.length; });
  return { validity: null, offsets, data: Uint8Array.from(encoded.flatMap((e) => [...e])) };
};
const stamp = { scan: 7, morsel: 3, sequence: 0, last: true, place: 2, elapsedNs: 5n };

function faultOf(run: () => unknown): number {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof KernelFault) return thrown.fault;
    throw thrown;
  }
  return GuestFault.None;
}
async function start(parts: KernelParts, inputColumns = 1, windowBytes = 65536) {
  return new KernelInstance(compileKernel(await kernel(parts)), { windowBytes, inputColumns });
}
const runOf = (parts: KernelParts, ...data: ColumnData[]) =>
  start(parts, data.length).then((instance) => faultOf(() => [...instance.runMorsel(1, instance.loadBatch(data))]));

describe('running', () => {
  it('sums a column, morsel after morsel', async () => {
    const instance = await start(sumParts);
    for (const values of [[1, 2, 3], [], [-5, 2 ** 31 - 1]]) {
      const out = [...instance.runMorsel(values.length, instance.loadBatch([i32(...values)]))].map((o) => ({ last: o.last, rows: o.rows, sum: new DataView(o.data[0]!.data.slice().buffer).getBigInt64(0, true) }));
      expect(out).toEqual([{ last: true, rows: 1, sum: BigInt(values.reduce((a, b) => a + b, 0)) }]);
    }
  });

  it('finds a shared window whatever the allocator does', async () => {
    const windowAddress = 1 << 20;
    const memory = new WebAssembly.Memory({ initial: 64, maximum: 64 });
    for (const parts of [sumParts, { ...sumParts, extra: '(global $unused (mut i32) (i32.const 1))' }]) {
      const instance = new KernelInstance(compileKernel(await kernel(parts)), { windowBytes: 1 << 20, inputColumns: 1, shared: { memory, windowAddress } });
      expect(instance.windowAddress).toBe(windowAddress);
      new Int32Array(memory.buffer, windowAddress + 640, 2).set([40, 2]);
      const sums = [...instance.runMorsel(2, [{ validity: 0, offsets: 0, data: windowAddress + 640, nullCount: 0 }])].map((o) => o.data[0]!.data[0]);
      expect(sums).toEqual([42]);
    }
    const bytes = await kernel(sumParts);
    expect(faultOf(() => new KernelInstance(compileKernel(bytes), { windowBytes: 1 << 20, inputColumns: 1, shared: { memory, windowAddress: 65536 } }))).toBe(GuestFault.MemoryLimit);
  });

  it('drains a kernel that puts out in pieces and finishes', async () => {
    const instance = await start({
      ...sumParts,
      extra: '(global $left (mut i32) (i32.const 3))',
      process: `(call $batch (local.get $out) (i32.const 0) (i32.const 1)) (call $put (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 0))
        (global.set $left (i32.sub (global.get $left) (i32.const 1))) (if (result i32) (global.get $left) (then (i32.const 1)) (else (i32.const 2)))`,
    });
    expect([...instance.processBatch(1, [i32(1)])].map((o) => o.last)).toEqual([false, false]);
    expect([...instance.finish()]).toEqual([]);
  });

  it('refuses an input larger than the window', async () => {
    const instance = await start(sumParts, 1, 4096);
    expect(faultOf(() => instance.loadBatch([{ validity: null, offsets: null, data: new Uint8Array(8192) }]))).toBe(GuestFault.MemoryLimit);
  });
});

describe('a kernel that calls memory.grow', () => {
  it('gets -1, and nothing by asking for nothing', async () => {
    const instance = await start({ ...sumParts, process: `(if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable)) (drop (memory.grow (i32.const 0))) ${sumParts.process}` });
    for (let i = 0; i < 3; i++) expect([...instance.runMorsel(2, instance.loadBatch([i32(40, 2)]))].map((o) => o.data[0]!.data[0])).toEqual([42]);
  });
});

describe('guest faults', () => {
  const process = (text: string): KernelParts => ({ ...sumParts, process: text });
  it('maps traps and codes', async () => {
    expect(await runOf(process('unreachable'), i32(1))).toBe(GuestFault.TrapUnreachable);
    expect(await runOf(process('(i32.load (i32.const -8))'), i32(1))).toBe(GuestFault.TrapOutOfBounds);
    expect(await runOf(process('(i32.div_u (local.get $in) (local.get $i))'), i32(1))).toBe(GuestFault.TrapDivide);
    expect(await runOf({ ...sumParts, extra: '(func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (i32.const 1)))', process: '(call $deep (i32.const 1))' }, i32(1))).toBe(GuestFault.StackOverflow);
    expect(await runOf(process('(i32.const -1)'), i32(1))).toBe(GuestFault.ArithmeticOverflow);
    expect(await runOf(process('(i32.const -2)'), i32(1))).toBe(GuestFault.KernelError);
    expect(await runOf(process('(i32.const -3)'), i32(1))).toBe(GuestFault.MemoryLimit);
    expect(await runOf(process('(i32.const -99)'), i32(1))).toBe(GuestFault.KernelError);
    expect(await runOf(process('(i32.const 0)'), i32(1))).toBe(GuestFault.AbiViolation);
    expect(await runOf(process('(i32.const 4)'), i32(1))).toBe(GuestFault.AbiViolation);
  });

  it('believes no output', async () => {
    const out = (rows: string, columns: string, put: string) => process(`(call $batch (local.get $out) ${rows} ${columns}) ${put} (i32.const 3)`);
    const one = '(i32.const 1)';
    const put = (rows: string, buffers: string, validity: string, second: string) => `(call $put (i32.const 0) ${rows} ${buffers} ${validity} ${second} (i32.const 0))`;
    const good = put(one, '(i32.const 2)', '(i32.const 0)', '(i32.const 16384)');
    expect(await runOf(out(one, one, good), i32(1))).toBe(GuestFault.None);
    for (const hostile of [
      out('(i32.const -1)', one, good),
      out('(i32.const 2)', one, good),
      out(one, '(i32.const 0)', good),
      out(one, '(i32.const 2)', good),
      out(one, one, put(one, '(i32.const 3)', '(i32.const 0)', '(i32.const 16384)')),
      out(one, one, put(one, '(i32.const 2)', '(i32.const -1)', '(i32.const 16384)')),
      out(one, one, put(one, '(i32.const 2)', '(i32.const 0)', '(i32.const 0)')),
      out(one, one, put(one, '(i32.const 2)', '(i32.const 0)', '(i32.const -4)')),
      out(one, one, `${good} (i32.store (i32.const 8192) (i32.const -60))`),
      out(one, one, `${good} (i32.store offset=44 (local.get $out) (i32.const -2))`),
      out(one, one, `${good} (i64.store offset=16 (i32.const 8448) (i64.const 1))`),
    ]) expect(await runOf(hostile, i32(1))).toBe(GuestFault.AbiViolation);
  });

  it('checks offsets of strings', async () => {
    const parts = echoParts(['u']);
    expect(await runOf({ ...parts }, utf8('x'))).toBe(GuestFault.None);
    for (const spoil of ['(i32.store (call $column_data (local.get $in) (i32.const 0)) (i32.const 1))', '(i32.store offset=4 (call $column_data (local.get $in) (i32.const 0)) (i32.const -1))', '(i32.store offset=4 (call $column_data (local.get $in) (i32.const 0)) (i32.const 99999999))'])
      expect(await runOf({ ...parts, process: `${spoil} ${parts.process}` }, utf8('x'))).toBe(GuestFault.AbiViolation);
  });

  it('believes no set-up', async () => {
    const set = async (parts: Partial<KernelParts>) => {
      const bytes = await kernel({ ...sumParts, ...parts });
      return faultOf(() => new KernelInstance(compileKernel(bytes), { windowBytes: 4096, inputColumns: 1 }));
    };
    expect(await set({ alloc: '(i32.const 0)' })).toBe(GuestFault.MemoryLimit);
    expect(await set({ alloc: '(i32.const 4096)' })).toBe(GuestFault.AbiViolation);
    expect(await set({ alloc: '(i32.const 8191)' })).toBe(GuestFault.AbiViolation);
    expect(await set({ alloc: '(i32.const -4096)' })).toBe(GuestFault.AbiViolation);
    expect(await set({ schema: '(i32.const -1)' })).toBe(GuestFault.AbiViolation);
    expect(await set({ schema: '(i32.const 16)' })).toBe(GuestFault.AbiViolation);
    expect(await set({ formats: ['z'] })).toBe(GuestFault.AbiViolation);
    expect(await set({ reset: 'unreachable' })).toBe(GuestFault.TrapUnreachable);
    expect(await set({ memory: '(import "millrace" "memory" (memory 2 3))' })).toBe(GuestFault.MemoryLimit);
  });
});

describe('modules refused at load', () => {
  const refused: Record<string, Partial<KernelParts>> = {
    'a foreign import': { imports: '(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))' },
    'an own memory': { memory: '(memory 2 3)' },
    'a memory without maximum': { memory: '(import "millrace" "memory" (memory 2))' },
    'a start function': { extra: '(func $begin) (start $begin)' },
    'table.set': { extra: '(func (table.set (i32.const 0) (ref.null func)))' },
    'table.grow': { extra: '(func (drop (table.grow (ref.null func) (i32.const 1))))' },
    'table.init': { extra: '(elem $e func $nothing) (func (table.init $e (i32.const 0) (i32.const 0) (i32.const 1)))' },
    'table.copy': { extra: '(func (table.copy (i32.const 0) (i32.const 0) (i32.const 1)))' },
    'elem.drop': { extra: '(elem $e func $nothing) (func (elem.drop $e))' },
    'data.drop': { extra: '(data $d "x") (func (data.drop $d))' },
    'a global of reference type': { extra: '(global (mut funcref) (ref.null func))' },
    'a tail call': { extra: '(func $again (return_call $again))' },
  };
  for (const [what, parts] of Object.entries(refused))
    it(what, async () => {
      const bytes = await assemble(kernelText({ ...sumParts, ...parts }));
      expect(faultOf(() => compileKernel(bytes))).toBe(GuestFault.ModuleRejected);
    });

  it('bytes cut or changed at any place never do worse than a rejection', async () => {
    const bytes = await kernel(sumParts);
    for (let i = 0; i < bytes.length; i += 3) {
      expect(faultOf(() => compileKernel(bytes.slice(0, i)))).toBe(GuestFault.ModuleRejected);
      const changed = bytes.slice();
      changed[i] = (changed[i] as number) ^ 0x55;
      faultOf(() => compileKernel(changed));
    }
    expect(faultOf(() => compileKernel(bytes))).toBe(GuestFault.None);
  });

  it('accepts SIMD and bulk memory', async () => {
    const bytes = await kernel({ ...sumParts, extra: `(global $v (mut v128) (v128.const i64x2 1 2)) (func (param i32) (result v128) (memory.fill (i32.const 0) (i32.const 0) (local.get 0)) (memory.copy (i32.const 0) (i32.const 0) (local.get 0))
      (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 (v128.load32_zero (local.get 0)) (v128.load8_lane 3 (local.get 0) (global.get $v))))` });
    expect(faultOf(() => compileKernel(bytes))).toBe(GuestFault.None);
  });
});

describe('frames', () => {
  const columns: Column[] = [
    { name: 'a', type: { kind: 'int32' }, physical: 'i32', nullable: true },
    { name: 'b', type: { kind: 'bool' }, physical: 'bool', nullable: false },
    { name: 's', type: { kind: 'utf8' }, physical: 'utf8', nullable: false },
  ];
  const layouts = [{ layout: 'fixed', valueBytes: 4 }, { layout: 'bits', valueBytes: 0 }, { layout: 'utf8', valueBytes: 0 }] as const;
  const rows = 37;
  const data: ColumnData[] = [
    { ...i32(...Array.from({ length: rows }, (_, i) => i * i)), validity: Uint8Array.from([0xfe, 0xff, 1, 0xff, 0xff]) },
    { validity: null, offsets: null, data: Uint8Array.from([1, 2, 3, 4, 5]) },
    utf8(...Array.from({ length: rows }, (_, i) => 'x'.repeat(i))),
  ];

  it('come back as they went, cut anywhere', () => {
    for (let bytesMax = 2048; bytesMax >= 600; bytesMax -= 64) {
      let from = 0;
      const strings: string[] = [];
      const numbers: number[] = [];
      while (from < rows) {
        const count = rowsThatFit(layouts, { data, from, to: rows }, bytesMax);
        if (count === 0) break;
        const target = new Uint8Array(frameBytes(layouts, { data, from, to: from + count }) + 64).fill(0xaa);
        const bytes = writeFrame(target, 64, stamp, layouts, { data, from, to: from + count });
        expect(bytes).toBeLessThanOrEqual(bytesMax);
        const { frames, usedBytes } = readFrames(target.subarray(64));
        expect(usedBytes).toBe(bytes);
        expect(frames[0]).toMatchObject({ kind: 1, last: true, scan: 7, morsel: 3, rows: count, place: 2, elapsedNs: 5n });
        const batch = frameBatch(frames[0]!, columns);
        for (let i = 0; i < count; i++) {
          numbers.push(new DataView(batch.data[0]!.data.slice().buffer).getInt32(i * 4, true));
          strings.push(new TextDecoder().decode(batch.data[2]!.data.slice(batch.data[2]!.offsets![i], batch.data[2]!.offsets![i + 1])));
        }
        expect(batch.data[0]!.validity![0]).toBe([0xfe, 0xff, 1, 0xff, 0xff][from / 8]);
        from += count;
      }
      if (from < rows) continue;
      expect(numbers).toEqual(Array.from({ length: rows }, (_, i) => i * i));
      expect(strings).toEqual(Array.from({ length: rows }, (_, i) => 'x'.repeat(i)));
    }
  });

  it('an all-valid bitmap a kernel left out is put back; an empty frame is a frame', () => {
    const target = new Uint8Array(4096);
    let bytes = writeFrame(target, 0, stamp, layouts, { data: [{ ...data[0]!, validity: null }, data[1]!, data[2]!], from: 0, to: 8 });
    expect([...frameBatch(readFrames(target.subarray(0, bytes)).frames[0]!, columns).data[0]!.validity!]).toEqual([255]);
    bytes = writeFrame(target, 0, stamp, layouts, { data, from: 0, to: 0 });
    const batch = frameBatch(readFrames(target.subarray(0, bytes)).frames[0]!, columns);
    expect([batch.rows, batch.data[2]!.offsets!.length]).toEqual([0, 1]);
  });

  it('hostile bytes are refused, incomplete ones waited for', () => {
    const target = new Uint8Array(frameBytes(layouts, { data, from: 0, to: rows }));
    writeFrame(target, 0, stamp, layouts, { data, from: 0, to: rows });
    for (const cut of [0, 63, 64, target.length - 1]) expect(readFrames(target.subarray(0, cut))).toEqual({ frames: [], usedBytes: 0 });
    const spoiled = (at: number, value: number) => { const copy = target.slice(); new DataView(copy.buffer).setUint32(at, value, true); return copy; };
    for (const hostile of [spoiled(0, 1), spoiled(4, 99), spoiled(24, 0xffffffff), spoiled(24, 5), spoiled(36, 1), spoiled(64, 0xffffff), spoiled(64 + 8, 5000)]) {
      let code = 'none';
      try { for (const f of readFrames(hostile).frames) frameBatch(f, columns); } catch (e) { code = (e as { code: string }).code; }
      expect(code).toBe('MR_FRAME_INVALID');
    }
    const frame = readFrames(target).frames[0]!;
    const falling = frame.buffers.map((b) => b.slice());
    new DataView(falling[5]!.buffer).setInt32(8, 0x7fffffff, true);
    expect(() => frameBatch({ ...frame, buffers: falling }, columns)).toThrow('offsets fall');
    expect(() => frameBatch({ ...frame, rows: 38 }, columns)).toThrow(/bytes of/);
    expect(() => frameBatch({ ...frame, buffers: frame.buffers.slice(1) }, columns)).toThrow('7 belong');
    const dictionary: Column[] = [{ name: 'd', type: { kind: 'utf8' }, physical: 'dict8', nullable: false, dictionary: ['a', 'b'] }];
    expect(() => frameBatch({ ...frame, rows: 2, buffers: [new Uint8Array(0), Uint8Array.from([1, 2])] }, dictionary)).toThrow('not in its dictionary');
  });
});
