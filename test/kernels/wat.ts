// Small hand-written kernels of ABI v1, in WebAssembly text: what a user's compiler could give.
import wabt from 'wabt';

export interface KernelParts {
  /** Output columns' Arrow formats; the schema is laid out as static data. */
  readonly formats: readonly string[];
  /** Bodies; $in is 0 on a repeated call. Column i's input buffers: call $column_data(in, i), $column_validity, $rows. */
  readonly process: string;
  readonly finish?: string;
  readonly reset?: string;
  readonly alloc?: string;
  readonly extra?: string;
  readonly memory?: string;
  readonly imports?: string;
  readonly schema?: string;
}

/** Where the static parts lie: schema at 1024, output structs at 8192 (children list 8192, child i at 8448 + i * 96), heap from 65536. */
export const heapAt = 65536;

function le32(...values: number[]): string {
  return values.map((v) => [0, 8, 16, 24].map((s) => `\\${((v >>> s) & 255).toString(16).padStart(2, '0')}`).join('')).join('');
}

function schemaData(formats: readonly string[]): string {
  const strings = 512;
  let text = `(data (i32.const ${strings}) "+s\\00")`;
  let at = strings + 8;
  const list = 2048;
  text += `(data (i32.const 1024) "${le32(strings, 0, 0, 0, 0, 0, formats.length, 0, list, 0, 0, 0)}")`;
  formats.forEach((format, i) => {
    text += `(data (i32.const ${at}) "${format}\\00")(data (i32.const ${list + 4 * i}) "${le32(3072 + 48 * i)}")`;
    text += `(data (i32.const ${3072 + 48 * i}) "${le32(at, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0)}")`;
    at += 16;
  });
  return text;
}

/** The module's text. */
export function kernelText(parts: KernelParts): string {
  return `(module
  ${parts.memory ?? '(import "millrace" "memory" (memory 4 65536))'} ${parts.imports ?? ''}
  (type $release (func (param i32)))
  (table 1 funcref) (elem (i32.const 0) $nothing)
  (global $brk (mut i32) (i32.const ${heapAt}))
  (global $given (mut i32) (i32.const 0))
  (func $nothing (param i32))
  (func (export "alloc") (param $bytes i32) (param $align i32) (result i32) (local $at i32)
    ${parts.alloc ?? `
    (local.set $at (i32.and (i32.add (global.get $brk) (i32.sub (local.get $align) (i32.const 1))) (i32.sub (i32.const 0) (local.get $align))))
    (if (i32.gt_u (local.get $bytes) (i32.sub (i32.mul (memory.size) (i32.const 65536)) (local.get $at))) (then (return (i32.const 0))))
    (global.set $brk (i32.add (local.get $at) (local.get $bytes)))
    (local.get $at)`})
  (func (export "release_fn") (result i32) (i32.const 0))
  (func (export "schema") (result i32) ${parts.schema ?? '(i32.const 1024)'})
  (func (export "reset") ${parts.reset ?? ''})
  (func $rows (param $in i32) (result i32) (i32.load (local.get $in)))
  (func $child (param $in i32) (param $i i32) (result i32) (i32.load (i32.add (i32.load offset=44 (local.get $in)) (i32.shl (local.get $i) (i32.const 2)))))
  (func $column_validity (param $in i32) (param $i i32) (result i32) (i32.load (i32.load offset=40 (call $child (local.get $in) (local.get $i)))))
  (func $column_data (param $in i32) (param $i i32) (result i32) (i32.load offset=4 (i32.load offset=40 (call $child (local.get $in) (local.get $i)))))
  (func $column_third (param $in i32) (param $i i32) (result i32) (i32.load offset=8 (i32.load offset=40 (call $child (local.get $in) (local.get $i)))))
  ;; Makes $out a struct of $columns children; every child's buffers are set by $put.
  (func $batch (param $out i32) (param $rows i32) (param $columns i32) (local $i i32)
    (i64.store (local.get $out) (i64.extend_i32_u (local.get $rows))) (i64.store offset=16 (local.get $out) (i64.const 0))
    (i64.store offset=24 (local.get $out) (i64.const 1)) (i64.store offset=32 (local.get $out) (i64.extend_i32_u (local.get $columns)))
    (i32.store offset=44 (local.get $out) (i32.const 8192))
    (loop $next (if (i32.lt_u (local.get $i) (local.get $columns)) (then
      (i32.store (i32.add (i32.const 8192) (i32.shl (local.get $i) (i32.const 2))) (i32.add (i32.const 8448) (i32.mul (local.get $i) (i32.const 96))))
      (local.set $i (i32.add (local.get $i) (i32.const 1))) (br $next)))))
  (func $put (param $i i32) (param $rows i32) (param $buffers i32) (param $validity i32) (param $second i32) (param $third i32) (local $at i32)
    (local.set $at (i32.add (i32.const 8448) (i32.mul (local.get $i) (i32.const 96))))
    (i64.store (local.get $at) (i64.extend_i32_u (local.get $rows))) (i64.store offset=16 (local.get $at) (i64.const 0))
    (i64.store offset=24 (local.get $at) (i64.extend_i32_u (local.get $buffers))) (i64.store offset=32 (local.get $at) (i64.const 0))
    (i32.store offset=40 (local.get $at) (i32.add (local.get $at) (i32.const 64)))
    (i32.store offset=64 (local.get $at) (local.get $validity)) (i32.store offset=68 (local.get $at) (local.get $second)) (i32.store offset=72 (local.get $at) (local.get $third)))
  ${parts.extra ?? ''}
  (func (export "process") (param $in i32) (param $out i32) (result i32) (local $i i32) (local $n i32) (local $p i32) (local $s i64) ${parts.process})
  (func (export "finish") (param $out i32) (result i32) ${parts.finish ?? '(i32.const 2)'})
  ${schemaData(parts.formats)})`;
}

let loaded: Promise<Awaited<ReturnType<typeof wabt>>> | undefined;

/** Assembles a kernel; the text may use what kernelText offers. */
export async function kernel(parts: KernelParts): Promise<Uint8Array<ArrayBuffer>> {
  return assemble(kernelText(parts));
}

export async function assemble(text: string): Promise<Uint8Array<ArrayBuffer>> {
  // An assembler that ran out of its own memory or stack is done for: the next text gets another.
  const assembler = await (loaded ??= wabt());
  try {
    const module = assembler.parseWat('kernel.wat', text, { simd: true, bulk_memory: true, tail_call: true, reference_types: true });
    try {
      return new Uint8Array(module.toBinary({}).buffer);
    } finally {
      module.destroy();
    }
  } catch (thrown) {
    if (thrown instanceof WebAssembly.RuntimeError) loaded = undefined;
    throw thrown;
  }
}

/** Sum of one i32 column (nulls must be absent) as one i64 row. */
export const sumParts: KernelParts = {
  formats: ['l'],
  process: `(local.set $n (call $rows (local.get $in))) (local.set $p (call $column_data (local.get $in) (i32.const 0)))
    (loop $next (if (i32.lt_u (local.get $i) (local.get $n)) (then
      (local.set $s (i64.add (local.get $s) (i64.extend_i32_s (i32.load (i32.add (local.get $p) (i32.shl (local.get $i) (i32.const 2)))))))
      (local.set $i (i32.add (local.get $i) (i32.const 1))) (br $next))))
    (i64.store (i32.const 16384) (local.get $s))
    (call $batch (local.get $out) (i32.const 1) (i32.const 1)) (call $put (i32.const 0) (i32.const 1) (i32.const 2) (i32.const 0) (i32.const 16384) (i32.const 0))
    (i32.const 3)`,
};

/** Every input column given back as it came, without a copy: formats decide the shape. */
export function echoParts(formats: readonly string[]): KernelParts {
  return {
    formats,
    process: `(local.set $n (call $rows (local.get $in))) (call $batch (local.get $out) (local.get $n) (i32.const ${formats.length}))
      ${formats.map((f, i) => `(call $put (i32.const ${i}) (local.get $n) (i32.const ${f === 'u' ? 3 : 2}) (call $column_validity (local.get $in) (i32.const ${i})) (call $column_data (local.get $in) (i32.const ${i})) (call $column_third (local.get $in) (i32.const ${i})))`).join('\n')}
      (i32.const 3)`,
  };
}

/** Never returns. */
export const foreverParts: KernelParts = { formats: ['l'], process: '(loop $on (br $on)) (i32.const 2)' };
