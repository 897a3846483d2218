// The static half of kernel ABI v1: what is refused before an engine sees a byte of it, and what instrumentation makes of the rest.
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { KernelFault } from '../../pushdown/runtime/kernel-fault.js';
import { compileKernel } from '../../pushdown/runtime/kernel-module.js';
import { checkModule } from '../../pushdown/runtime/module-check.js';
import { globalExportName, instrumentModule } from '../../pushdown/runtime/module-instrument.js';
import { kernelExports, moduleLimits } from '../../pushdown/runtime/module-shape.js';
import { GuestFault } from '../../pushdown/runtime/wire.gen.js';
import { assemble, kernel, kernelText, type KernelParts, sumParts } from '../kernels/wat.js';

function reasonOf(bytes: Uint8Array): string {
  try {
    checkModule(bytes);
  } catch (thrown) {
    if (thrown instanceof KernelFault && thrown.fault === GuestFault.ModuleRejected) return thrown.message;
    throw thrown;
  }
  return 'accepted';
}
const reason = async (parts: Partial<KernelParts>) => reasonOf(await kernel({ ...sumParts, ...parts }));

describe('refused by the check alone', () => {
  const refused: Record<string, readonly [Partial<KernelParts>, RegExp]> = {
    'an import beyond the memory': [{ imports: '(import "env" "clock" (func (result f64)))' }, /the import 'env' 'clock' is not allowed/],
    WASI: [{ imports: '(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))' }, /wasi_snapshot_preview1/],
    'a memory of its own': [{ memory: '(memory 4 4)' }, /must be imported/],
    'a memory without maximum': [{ memory: '(import "millrace" "memory" (memory 4))' }, /must declare a maximum/],
    'a start function': [{ extra: '(func $first) (start $first)' }, /start function/],
    'table.set': [{ extra: '(func (table.set 0 (i32.const 0) (ref.null func)))' }, /reference|0xd0|table.set/],
    'table.get': [{ extra: '(func (drop (table.get 0 (i32.const 0))))' }, /table.get/],
    'table.grow': [{ extra: '(func (param i32) (drop (table.grow 0 (ref.func $nothing) (local.get 0)))) (elem declare func $nothing)' }, /not allowed/],
    'table.init': [{ extra: '(elem $e func $nothing) (func (table.init $e (i32.const 0) (i32.const 0) (i32.const 1)))' }, /table mutation/],
    'table.copy': [{ extra: '(func (table.copy (i32.const 0) (i32.const 0) (i32.const 1)))' }, /table mutation/],
    'elem.drop': [{ extra: '(elem $e func $nothing) (func (elem.drop $e))' }, /elem.drop/],
    'data.drop': [{ extra: '(data $d "x") (func (data.drop $d))' }, /data.drop/],
    'a mutable global of reference type': [{ extra: '(global (mut funcref) (ref.null func))' }, /mutable global of reference type/],
    'a constant global of reference type': [{ extra: '(global funcref (ref.null func))' }, /global of reference type/],
    'a local of reference type': [{ extra: '(func (local externref))' }, /local of reference type/],
    'a function of references': [{ extra: '(func (param externref))' }, /function type with references/],
    'a table of references': [{ extra: '(table 1 externref)' }, /anything but functions/],
    'a tail call': [{ extra: '(func $again (return_call $again))' }, /tail calls/],
    'a table of ten million': [{ extra: '(table 10000000 funcref)' }, /tables of more than 65536/],
    'many tables': [{ extra: '(table 40000 funcref) (table 40000 funcref)' }, /tables of more than 65536/],
    'too many functions': [{ extra: '(func)'.repeat(moduleLimits.functions) }, /functions, at most 16384/],
    'too many mutable globals': [{ extra: '(global (mut i32) (i32.const 0))'.repeat(moduleLimits.mutableGlobals) }, /4096 mutable globals/],
    // Written by the engine itself over what may be the read-only window: a crash instead of a trap.
    'a data segment behind the declared minimum': [{ extra: `(data (i32.const ${4 * 65536 - 3}) "four")` }, /reaches to byte 262145, beyond the 4 pages/],
    'a data segment at the far end': [{ extra: '(data (i32.const -1) "x")' }, /reaches to byte 4294967296/],
    'a data segment at a global': [{ extra: '(global $at i32 (i32.const 8)) (data (global.get $at) "x")' }, /must be an i32.const/],
  };
  for (const [what, [parts, why]] of Object.entries(refused)) it(what, async () => expect(await reason(parts)).toMatch(why));

  it('relaxed SIMD, threads, exceptions, references in code: by opcode', async () => {
    // f32.abs of a constant stands where the strange instruction goes: 0x8b is found once in the module.
    const bytes = await kernel({ ...sumParts, extra: '(func (drop (f32.abs (f32.const 1.5))))' });
    const at = bytes.lastIndexOf(0x8b);
    for (const [op, why] of [[0xfe, /threads/], [0x06, /0x6 is not allowed/], [0x08, /0x8/], [0x12, /tail calls/], [0x14, /0x14/], [0x25, /table.get/], [0xd0, /0xd0/], [0xd2, /0xd2/], [0xfb, /0xfb/]] as const) {
      const changed = bytes.slice();
      changed[at] = op;
      expect(reasonOf(changed)).toMatch(why);
    }
    const vector = await kernel({ ...sumParts, extra: '(func (drop (i16x8.abs (v128.const i64x2 0 0))))' });
    // i16x8.abs is 0xfd 0x80 0x01; 0xfd 0x80 0x02 is i8x16.relaxed_swizzle.
    const simd = Buffer.from(vector).lastIndexOf(Buffer.from([0xfd, 0x80, 0x01]));
    vector[simd + 2] = 0x02;
    expect(reasonOf(vector)).toMatch(/relaxed SIMD/);
  });

  it('an export of the ABI that is missing, is no function, or has another type', async () => {
    const text = kernelText(sumParts);
    for (const name of Object.keys(kernelExports)) {
      expect(reasonOf(await assemble(text.replace(`(export "${name}")`, `(export "x${name}")`)))).toMatch(`the function '${name}' is not exported`);
      expect(reasonOf(await assemble(text.replace(`(export "${name}")`, `(export "x${name}")`).replace(/\)$/, `(export "${name}" (global 0)))`)))).toMatch(`the export '${name}' is not a function`);
      // Called with numbers, an i64 parameter throws a TypeError in JavaScript: not a guest's fault to look at.
      for (const type of ['(param i64 i64 i64) (result i64)', '(param v128)', '(param f32 f32) (result i32)', '(param i32 i32) (result i32 i32)', '(param i32 i32 i32) (result i32)'])
        expect(reasonOf(await assemble(text.replace(`(export "${name}")`, `(export "x${name}")`).replace(/\)$/, `(func (export "${name}") ${type} unreachable))`)))).toMatch(`the function '${name}' must take`);
    }
  });

  it('a section that is there twice, and lengths that lie', async () => {
    const bytes = await kernel(sumParts);
    const exportsAt = Buffer.from(bytes).indexOf('alloc') - 4;
    expect(bytes[exportsAt]).toBe(7);
    const section = bytes.subarray(exportsAt, exportsAt + 2 + (bytes[exportsAt + 1] as number));
    expect(reasonOf(Uint8Array.from([...bytes.subarray(0, exportsAt), ...section, ...section, ...bytes.subarray(exportsAt + section.length)]))).toMatch('section 7 is there twice');
    // A count of four thousand million of anything: refused by its bound or by the end of the bytes, at once.
    for (const id of [1, 2, 3, 4, 6, 7, 9, 10, 11]) expect(reasonOf(Uint8Array.from([...bytes.subarray(0, 8), id, 5, 0xff, 0xff, 0xff, 0xff, 0x0f]))).toMatch(/at most|ends early/);
  });
});

describe('instrumentation', () => {
  it('exports the ABI and the mutable globals, and nothing else', async () => {
    const bytes = await kernel({ ...sumParts, extra: '(global $c i64 (i64.const 9)) (global $f (mut f64) (f64.const 1.5)) (global $v (mut v128) (v128.const i64x2 1 2)) (func (export "mine") (result i32) (i32.const 1)) (export "f" (global $f))' });
    const { module, shape } = compileKernel(bytes);
    expect(shape.mutableGlobals).toEqual([{ index: 0, type: 0x7f }, { index: 1, type: 0x7f }, { index: 3, type: 0x7c }, { index: 4, type: 0x7b }]);
    expect(WebAssembly.Module.exports(module).map((e) => `${e.kind} ${e.name}`).sort()).toEqual([...Object.keys(kernelExports).map((n) => `function ${n}`), ...[0, 1, 3, 4].map((i) => `global ${globalExportName(i)}`)].sort());
  });

  it('leaves custom sections out, everything else as it was, and the digest that of the bytes that came', async () => {
    const plain = await kernel(sumParts);
    const named = Uint8Array.from([...plain, 0, 12, 4, ...Buffer.from('name'), 1, 5, 1, 0, 2, 0xff, 0xff]);
    expect(instrumentModule(named, checkModule(named))).toEqual(instrumentModule(plain, checkModule(plain)));
    for (const bytes of [plain, named]) expect(compileKernel(bytes).digest).toBe(createHash('sha256').update(bytes).digest('hex'));
  });

  it('a module that exports everything stays small', async () => {
    const many = await assemble(kernelText({ ...sumParts, extra: Array.from({ length: 20_000 }, (_, i) => `(export "e${i}" (func $nothing))`).join('') }));
    expect(instrumentModule(many, checkModule(many)).length).toBeLessThan(2000);
  });
});
