import type { FunctionBuilder, Local } from './encoder/function-builder.js';
import type { KernelModule } from './kernel-module.js';

/**
 * (x, y) -> x - y * trunc(x / y), exactly, with the sign of x: C's fmod and JavaScript's %. Long division of the significands, one bit
 * of the difference of the exponents at a time (after musl's fmod.c, MIT).
 */
export function remainderFunction(kernel: KernelModule): FunctionBuilder {
  return kernel.helper('remainder', ['f64', 'f64'], ['f64'], (f) => {
    const [x, y] = f.params as [Local, Local];
    const [a, b, difference] = [f.local('i64'), f.local('i64'), f.local('i64')];
    const [ea, eb] = [f.local('i32'), f.local('i32')];
    const magnitude = (value: Local, into: Local) => f.get(value).op('f64.abs', 'i64.reinterpret_f64').set(into);
    magnitude(x, a);
    magnitude(y, b);
    // y = 0, y NaN, x infinite or NaN.
    f.get(b).op('i64.eqz').get(y).get(y).op('f64.ne', 'i32.or').get(a).i64(0x7ff0000000000000n).op('i64.ge_u', 'i32.or').if(() => {
      f.f64(Number.NaN).op('return');
    });
    f.get(a).get(b).op('i64.lt_u').if(() => {
      f.get(x).op('return');
    });
    const split = (bits: Local, exponent: Local) => {
      f.get(bits).i64(52n).op('i64.shr_u', 'i32.wrap_i64').tee(exponent).if(
        () => f.get(bits).i64(0xfffffffffffffn).op('i64.and').i64(1n << 52n).op('i64.or').set(bits),
        () => {
          // Subnormal: shifted until bit 52 is set.
          f.i32(12).get(bits).op('i64.clz', 'i32.wrap_i64', 'i32.sub').set(exponent);
          f.get(bits).get(bits).op('i64.clz').i64(11n).op('i64.sub', 'i64.shl').set(bits);
        },
      );
    };
    split(a, ea);
    split(b, eb);
    const zero = () => f.f64(0).get(x).op('f64.copysign', 'return');
    const subtract = () => {
      f.get(a).get(b).op('i64.sub').tee(difference).i64(0n).op('i64.ge_s').if(() => {
        f.get(difference).tee(a).op('i64.eqz').if(zero);
      });
    };
    f.while(
      () => f.get(ea).get(eb).op('i32.gt_s'),
      () => {
        subtract();
        f.get(a).i64(1n).op('i64.shl').set(a).add(ea, -1);
      },
    );
    subtract();
    // Bit 52 back in its place.
    f.get(ea).get(a).op('i64.clz').i64(11n).op('i64.sub').tee(difference).op('i32.wrap_i64', 'i32.sub').set(ea);
    f.get(a).get(difference).op('i64.shl').set(a);
    f.get(ea).i32(0).op('i32.gt_s').if(
      () => f.get(a).i64(0xfffffffffffffn).op('i64.and').get(ea).op('i64.extend_i32_u').i64(52n).op('i64.shl', 'i64.or').set(a),
      () => f.get(a).i32(1).get(ea).op('i32.sub', 'i64.extend_i32_u', 'i64.shr_u').set(a),
    );
    f.get(a).op('f64.reinterpret_i64').get(x).op('f64.copysign');
  });
}
