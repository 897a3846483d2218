// Random kernels that keep state across batches in every place a kernel can: memory far apart, globals of every type (NaNs
// among them), tables in memory, output batches that come in pieces, a finish that says more than once what it has to say.
import type { Random } from '../differential/random.js';
import { type KernelParts, kernel } from './wat.js';

/** One i32 column in, one i64 column out. Every word of state takes part in every output. */
export function statefulParts(r: Random): KernelParts {
  const cells = r.int(1, 12);
  const at = () => 65536 * 2 + r.int(0, 65536 * 2 - 16) * 1;
  const places = Array.from({ length: cells }, at);
  const mix = (value: string) => `(global.set $h (i64.add (i64.rotl (i64.xor (global.get $h) ${value}) (i64.const ${r.int(1, 63)})) (i64.const ${r.u32()})))`;
  const touch = places.map((p) => `(i64.store (i32.const ${p}) (i64.add (i64.mul (i64.load (i32.const ${p})) (i64.const ${r.u32() | 1})) (global.get $h)))`).join('\n');
  const readAll = places.map((p) => mix(`(i64.load (i32.const ${p}))`)).join('\n');
  const pieces = r.int(1, 3);
  const outputs = r.int(1, 3);
  const put = `(i64.store (i32.const 16384) (global.get $h)) (call $batch (local.get $out) (i32.const 1) (i32.const 1)) (call $put (i32.const 0) (i32.const 1) (i32.const 2) (i32.const 0) (i32.const 16384) (i32.const 0))`;
  return {
    formats: ['l'],
    extra: `(global $h (mut i64) (i64.const ${r.u32()})) (global $piece (mut i32) (i32.const 0)) (global $told (mut i32) (i32.const 0))
      (global $f (mut f32) (f32.const ${r.pick(['0', '1.5', 'nan:0x200001', '-nan:0x12345', 'inf'])})) (global $d (mut f64) (f64.const ${r.pick(['-0', '2.5', 'nan:0x4000000000001', '-nan:0x1', '1e300'])}))
      (global $v (mut v128) (v128.const i64x2 ${r.u32()} ${r.u32()}))
      (func $step (param $x i64)
        ${mix('(local.get $x)')} ${touch}
        (global.set $v (i64x2.add (i8x16.shuffle 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 0 (global.get $v) (global.get $v)) (i64x2.splat (local.get $x))))
        (if (i64.eqz (i64.and (local.get $x) (i64.const 7))) (then (global.set $f (f32.reinterpret_i32 (i32.xor (i32.reinterpret_f32 (global.get $f)) (i32.wrap_i64 (global.get $h)))))))
        (global.set $d (f64.reinterpret_i64 (i64.add (i64.reinterpret_f64 (global.get $d)) (local.get $x)))))
      (func $fold ${readAll} ${mix('(i64.extend_i32_u (i32.reinterpret_f32 (global.get $f)))')} ${mix('(i64.reinterpret_f64 (global.get $d))')} ${mix('(i64x2.extract_lane 0 (global.get $v))')} ${mix('(i64x2.extract_lane 1 (global.get $v))')})`,
    reset: `(global.set $h (i64.const ${r.u32()})) (global.set $piece (i32.const 0)) (global.set $told (i32.const 0)) ${places.map((p) => `(i64.store (i32.const ${p}) (i64.const 0))`).join('')}`,
    process: `(if (local.get $in) (then
        (global.set $piece (i32.const 0)) (local.set $n (call $rows (local.get $in))) (local.set $p (call $column_data (local.get $in) (i32.const 0)))
        (loop $next (if (i32.lt_u (local.get $i) (local.get $n)) (then
          (call $step (i64.load32_s (i32.add (local.get $p) (i32.shl (local.get $i) (i32.const 2)))))
          (local.set $i (i32.add (local.get $i) (i32.const 1))) (br $next))))))
      (call $fold) ${put}
      (global.set $piece (i32.add (global.get $piece) (i32.const 1)))
      (if (result i32) (i32.lt_u (global.get $piece) (i32.const ${pieces})) (then (i32.const 1)) (else (i32.const 3)))`,
    finish: `(global.set $told (i32.add (global.get $told) (i32.const 1))) (call $fold) ${put}
      (if (result i32) (i32.lt_u (global.get $told) (i32.const ${outputs})) (then (i32.const 1)) (else (i32.const 3)))`,
  };
}

export function statefulKernel(r: Random): Promise<Uint8Array<ArrayBuffer>> {
  return kernel(statefulParts(r));
}
