import type { FunctionBuilder, Local } from './encoder/function-builder.js';
import type { KernelModule } from './kernel-module.js';
import { log1pCoefficients, log1pConstants, log1pFunction } from './log1p.js';

const { ln2Hi, ln2Lo, thirds } = log1pConstants;
const high = (word: number): bigint => BigInt.asIntN(64, BigInt(word >>> 0) << 32n);

/**
 * log1p of two float64 at a time as a function (v128) -> v128: the same operations as log1p.ts, its branches as selections, so the
 * same bits. k = 0 needs no formula of its own: with k = c = 0 the general one rounds alike. Rare arguments (NaN, -1 and below,
 * 2^53 and above) go to the scalar function.
 */
export function vectorLog1pFunction(kernel: KernelModule): FunctionBuilder {
  const scalar = log1pFunction(kernel);
  return kernel.helper('log1p-2', ['v128'], ['v128'], (f) => {
    const x = f.params[0]!;
    const constant = (value: number | bigint) => f.i32(0).mem('v128.load', kernel.constant(twice(value)));
    const [u, k, c, g, hu, half, s, z, r, near] = Array.from({ length: 10 }, () => f.local('v128')) as [Local, Local, Local, Local, Local, Local, Local, Local, Local, Local];
    const negative = () => f.get(x).v128(new Uint8Array(16)).op('i64x2.lt_s');
    const below = (limit: number) => {
      f.get(x);
      constant(high(limit)).op('i64x2.lt_s');
    };
    /** -1 where x, as an integer, is below the limit of its sign. Negative floats grow as integers with their magnitude. */
    const between = (negativeLimit: number, positiveLimit: number) => {
      below(negativeLimit);
      below(positiveLimit);
      negative().op('v128.bitselect');
    };
    between(0xbff00000, 0x43400000);
    f.op('i64x2.all_true', 'i32.eqz').if(() => {
      f.get(x).lane('f64x2.extract_lane', 0).call(scalar).op('f64x2.splat').get(x).lane('f64x2.extract_lane', 1).call(scalar).lane('f64x2.replace_lane', 1).op('return');
    });
    between(0xbfd2bec5, 0x3fda827a);
    f.set(near);
    constant(1).get(x).op('f64x2.add').set(u);
    f.get(u).i32(52).op('i64x2.shr_u');
    constant(1023n).op('i64x2.sub').set(k);
    // c = (k > 0 ? 1 - (u - x) : x - (u - 1)) / u
    constant(1).get(u).get(x).op('f64x2.sub', 'f64x2.sub');
    f.get(x).get(u);
    constant(1).op('f64x2.sub', 'f64x2.sub').get(k).v128(new Uint8Array(16)).op('i64x2.gt_s', 'v128.bitselect').get(u).op('f64x2.div').set(c);
    f.get(u).i32(32).op('i64x2.shr_u');
    constant(0xfffffn).op('v128.and').set(hu);
    // Mantissas from sqrt(2) on are halved.
    const low = f.local('v128');
    f.get(hu);
    constant(0x6a09en).op('i64x2.lt_s').set(low);
    f.get(k);
    constant(1n).get(low).op('v128.andnot', 'i64x2.add').set(k);
    f.get(u);
    constant(0xfffffffffffffn).op('v128.and');
    constant(0x3ff0000000000000n);
    constant(0x3fe0000000000000n).get(low).op('v128.bitselect', 'v128.or').set(u);
    f.get(u);
    constant(1).op('f64x2.sub').set(g);
    // hu = 0: mantissa within 2^-20 of a power of two.
    const tiny = f.local('v128');
    f.get(hu).v128(new Uint8Array(16)).op('i64x2.eq').get(hu);
    constant(0xffffdn).op('i64x2.ge_s').get(low).op('v128.bitselect').get(near).op('v128.andnot').set(tiny);
    f.get(x).get(g).get(near).op('v128.bitselect').set(g);
    f.get(c).get(near).op('v128.andnot').set(c);
    f.get(k).get(near).op('v128.andnot').tee(k).get(k).shuffle([0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11]).op('f64x2.convert_low_i32x4_s').set(k);
    constant(0.5).get(g).op('f64x2.mul').get(g).op('f64x2.mul').set(half);
    f.get(g);
    constant(2).get(g).op('f64x2.add', 'f64x2.div').tee(s).get(s).op('f64x2.mul').set(z);
    constant(log1pCoefficients[6]).set(r);
    for (let i = 5; i >= 0; i--) {
      constant(log1pCoefficients[i]!);
      f.get(z).get(r).op('f64x2.mul', 'f64x2.add').set(r);
    }
    // c becomes k * ln2Lo + c
    f.get(k);
    constant(ln2Lo).op('f64x2.mul').get(c).op('f64x2.add').set(c);
    // What is taken from f: half - (s * (half + z * r) + c), or half * (1 - 2/3 f) - c near a power of two.
    f.get(half);
    constant(1);
    constant(thirds).get(g).op('f64x2.mul', 'f64x2.sub', 'f64x2.mul').get(c).op('f64x2.sub');
    f.get(half).get(s).get(half).get(z).get(r).op('f64x2.mul', 'f64x2.add', 'f64x2.mul').get(c).op('f64x2.add', 'f64x2.sub');
    f.get(tiny).op('v128.bitselect').set(r);
    f.get(k);
    constant(ln2Hi).op('f64x2.mul').get(r).get(g).op('f64x2.sub', 'f64x2.sub').set(r);
    // Below 2^-29 two terms, below 2^-54 one.
    const magnitude = f.local('v128');
    f.get(x).op('f64x2.abs').set(magnitude);
    f.get(x);
    f.get(x).get(x).get(x).op('f64x2.mul');
    constant(0.5).op('f64x2.mul', 'f64x2.sub').get(magnitude);
    constant(high(0x3c900000)).op('i64x2.lt_s', 'v128.bitselect');
    f.get(r).get(magnitude);
    constant(high(0x3e200000)).op('i64x2.lt_s', 'v128.bitselect');
  });
}

function twice(value: number | bigint): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  for (const at of [0, 8]) {
    if (typeof value === 'bigint') view.setBigInt64(at, value, true);
    else view.setFloat64(at, value, true);
  }
  return bytes;
}
