import { expect, test } from 'vitest';
import wabtInit from 'wabt';
import { ByteWriter } from '../../pushdown/wasm/encoder/byte-writer.js';
import { ModuleBuilder } from '../../pushdown/wasm/encoder/module-builder.js';
import { type LaneOp, laneOps, type MemoryOp, memoryOps, type PlainOp, plainOps, type ValType } from '../../pushdown/wasm/encoder/opcodes.js';
import { KernelModule } from '../../pushdown/wasm/kernel-module.js';

const wabt = await wabtInit();

function disassemble(bytes: Uint8Array): string {
  const module = wabt.readWasm(bytes, { readDebugNames: false });
  try {
    module.validate();
    return module.toText({});
  } finally {
    module.destroy();
  }
}

test('LEB128 at its borders', () => {
  const encode = (write: (w: ByteWriter) => void) => {
    const w = new ByteWriter();
    write(w);
    return [...w.copy()];
  };
  expect(encode((w) => w.u32(0xffffffff))).toEqual([0xff, 0xff, 0xff, 0xff, 0x0f]);
  expect(encode((w) => w.s32(-64))).toEqual([0x40]);
  expect(encode((w) => w.s32(64))).toEqual([0xc0, 0x00]);
  expect(encode((w) => w.s64(-(2n ** 63n)))).toEqual([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f]);
});

test('every instruction has the name wabt gives its code', () => {
  for (const name of Object.keys(plainOps) as PlainOp[]) {
    const m = new ModuleBuilder();
    // After `unreachable` the stack is polymorphic, so any operands do.
    m.func([], []).op('unreachable', name).op('unreachable');
    const expected = name === 'select' ? 'select' : name;
    expect(disassembleUnchecked(m.build()), name).toContain(`    ${expected}\n`);
  }
  for (const name of Object.keys(memoryOps) as MemoryOp[]) {
    const m = new ModuleBuilder();
    m.func([], []).op('unreachable').mem(name, 5).op('unreachable');
    expect(disassembleUnchecked(m.build()), name).toContain(`    ${name} offset=5\n`);
  }
  for (const name of Object.keys(laneOps) as LaneOp[]) {
    const m = new ModuleBuilder();
    m.func([], []).op('unreachable').lane(name, 1).op('unreachable');
    expect(disassembleUnchecked(m.build()), name).toContain(`    ${name} 1\n`);
  }
});

function disassembleUnchecked(bytes: Uint8Array): string {
  const module = wabt.readWasm(bytes, { readDebugNames: false });
  try {
    return module.toText({});
  } finally {
    module.destroy();
  }
}

test('structured control flow, locals and calls run', () => {
  const m = new ModuleBuilder();
  const f = m.func(['i32'], ['i64'], 'sum');
  const [n] = f.params;
  const total = f.local('i64');
  const i = f.local('i32');
  f.i64(0n).set(total).i32(0).set(i);
  f.while(
    () => f.get(i).get(n!).op('i32.lt_u'),
    () => {
      f.get(i).i32(3).op('i32.rem_u', 'i32.eqz').if(
        () => f.get(total).i64(1000n).op('i64.add').set(total),
        () => f.get(total).get(i).op('i64.extend_i32_u', 'i64.add').set(total),
      );
      f.add(i, 1);
    },
  );
  f.get(total);
  const bytes = m.build();
  disassemble(bytes);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const sum = new WebAssembly.Instance(new WebAssembly.Module(bytes), { millrace: { memory } }).exports.sum as (n: number) => bigint;
  expect(sum(7)).toBe(3000n + 1n + 2n + 4n + 5n);
});

test('locals are reused after release', () => {
  const m = new ModuleBuilder();
  const f = m.func([], []);
  const types: ValType[] = ['i32', 'v128', 'i32'];
  const [a, b] = types.map((t) => f.local(t));
  f.release(a!);
  expect(f.local('i32')).toBe(a);
  expect(f.local('v128')).not.toBe(b);
});

test('the shared kernel parts validate and follow the ABI', () => {
  const kernel = new KernelModule(
    [
      { name: 'a', type: { kind: 'int32' }, physical: 'i32', nullable: true },
      { name: 'ß', type: { kind: 'utf8' }, physical: 'utf8', nullable: false },
    ],
    100,
    { utf8BytesMax: () => 1000 },
  );
  const rows = kernel.process.local('i32');
  kernel.process.i32(0).set(rows);
  kernel.writeOutput(kernel.process, kernel.process.params[1]!, rows);
  kernel.process.i32(3);
  kernel.finish.i32(2);
  const bytes = kernel.build();
  disassemble(bytes);
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 2 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { millrace: { memory } });
  const alloc = exports.alloc as (bytes: number, align: number) => number;
  const view = new DataView(memory.buffer);
  const text = (at: number) => {
    const end = new Uint8Array(memory.buffer).indexOf(0, at);
    return new TextDecoder().decode(new Uint8Array(memory.buffer, at, end - at));
  };
  const schema = (exports.schema as () => number)();
  expect(text(view.getUint32(schema, true))).toBe('+s');
  const second = view.getUint32(view.getUint32(schema + 32, true) + 4, true);
  expect([text(view.getUint32(second, true)), text(view.getUint32(second + 4, true))]).toEqual(['u', 'ß']);
  const window = alloc(65536, 4096);
  expect(window % 4096).toBe(0);
  const out = alloc(64, 8);
  expect(out).toBeGreaterThanOrEqual(window + 65536);
  expect(alloc(1 << 20, 8)).toBe(0);
  expect(alloc(-1, 8)).toBe(0);
  expect((exports.process as (i: number, o: number) => number)(0, out)).toBe(3);
  expect(view.getBigInt64(out + 32, true)).toBe(2n);
  expect((exports.release_fn as () => number)()).toBe(1);
});
