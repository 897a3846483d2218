import type { FunctionBuilder, Local } from './encoder/function-builder.js';
import type { KernelModule } from './kernel-module.js';

// FreeBSD's fdlibm s_log1p.c (Sun Microsystems, freely usable), twice: as TypeScript for the reference interpreter and as WebAssembly.
// Both do the same IEEE operations in the same order, so they agree in every bit; Math.log1p differs between engines.

const ln2Hi = 0.6931471803691238;
const ln2Lo = 1.9082149292705877e-10;
const thirds = 0.6666666666666666;
const coefficients = [
  0.6666666666666735, 0.3999999999940942, 0.2857142874366239, 0.22222198432149784, 0.1818357216161805,
  0.15313837699209373, 0.14798198605116586,
] as const;

export const log1pConstants = { ln2Hi, ln2Lo, thirds } as const;
export const log1pCoefficients = coefficients;

const view = new DataView(new ArrayBuffer(8));
const highWord = (x: number): number => {
  view.setFloat64(0, x);
  return view.getInt32(0);
};
const withHighWord = (x: number, high: number): number => {
  view.setFloat64(0, x);
  view.setInt32(0, high);
  return view.getFloat64(0);
};

/** ln(1 + x); -1 gives -Infinity, below it and NaN give NaN. */
export function log1p(x: number): number {
  const hx = highWord(x);
  const ax = hx & 0x7fffffff;
  let k = 1;
  let f = x;
  let hu = 1;
  let c = 0;
  if (hx < 0x3fda827a) {
    if (ax >= 0x3ff00000) return x === -1 ? Number.NEGATIVE_INFINITY : Number.NaN;
    if (ax < 0x3e200000) return ax < 0x3c900000 ? x : x - x * x * 0.5;
    if (hx > 0 || hx <= (0xbfd2bec4 | 0)) k = 0;
  }
  if (hx >= 0x7ff00000) return x + x;
  if (k !== 0) {
    let u = x;
    if (hx < 0x43400000) {
      u = 1 + x;
      hu = highWord(u);
      k = (hu >> 20) - 1023;
      c = (k > 0 ? 1 - (u - x) : x - (u - 1)) / u;
    } else {
      hu = highWord(u);
      k = (hu >> 20) - 1023;
    }
    hu &= 0x000fffff;
    if (hu < 0x6a09e) {
      u = withHighWord(u, hu | 0x3ff00000);
    } else {
      k += 1;
      u = withHighWord(u, hu | 0x3fe00000);
      hu = (0x00100000 - hu) >> 2;
    }
    f = u - 1;
  }
  const hfsq = 0.5 * f * f;
  if (hu === 0) {
    if (f === 0) return k === 0 ? 0 : k * ln2Hi + (c + k * ln2Lo);
    const r = hfsq * (1 - thirds * f);
    return k === 0 ? f - r : k * ln2Hi - (r - (k * ln2Lo + c) - f);
  }
  const s = f / (2 + f);
  const z = s * s;
  let r: number = coefficients[6];
  for (let i = 5; i >= 0; i--) r = coefficients[i]! + z * r;
  r = z * r;
  return k === 0 ? f - (hfsq - s * (hfsq + r)) : k * ln2Hi - (hfsq - (s * (hfsq + r) + (k * ln2Lo + c)) - f);
}

/** The same as a function (f64) -> f64 of a kernel. */
export function log1pFunction(kernel: KernelModule): FunctionBuilder {
  return kernel.helper('log1p', ['f64'], ['f64'], emitLog1p);
}

function emitLog1p(e: FunctionBuilder): void {
  const x = e.params[0]!;
  const [hx, ax, k, hu] = [e.local('i32'), e.local('i32'), e.local('i32'), e.local('i32')] as const;
  const [f, c, u, hfsq, s, z, r] = [1, 2, 3, 4, 5, 6, 7].map(() => e.local('f64')) as [Local, Local, Local, Local, Local, Local, Local];
  const high = (v: Local) => e.get(v).op('i64.reinterpret_f64').i64(32n).op('i64.shr_s', 'i32.wrap_i64');
  const setHigh = (v: Local, word: () => void) => {
    word();
    e.op('i64.extend_i32_u').i64(32n).op('i64.shl').get(v).op('i64.reinterpret_f64').i64(0xffffffffn).op('i64.and', 'i64.or', 'f64.reinterpret_i64').set(v);
  };
  const kTimes = (constant: number) => e.get(k).op('f64.convert_i32_s').f64(constant).op('f64.mul');
  high(x).tee(hx).i32(0x7fffffff).op('i32.and').set(ax);
  e.i32(1).set(k).get(x).set(f).i32(1).set(hu).f64(0).set(c);
  e.get(hx).i32(0x3fda827a).op('i32.lt_s').if(() => {
    e.get(ax).i32(0x3ff00000).op('i32.ge_s').if(() => {
      e.f64(Number.NEGATIVE_INFINITY).f64(Number.NaN).get(x).f64(-1).op('f64.eq', 'select', 'return');
    });
    e.get(ax).i32(0x3e200000).op('i32.lt_s').if(() => {
      e.get(x);
      e.get(x).get(x).get(x).op('f64.mul').f64(0.5).op('f64.mul', 'f64.sub');
      e.get(ax).i32(0x3c900000).op('i32.lt_s', 'select', 'return');
    });
    e.get(hx).i32(0).op('i32.gt_s').get(hx).i32(0xbfd2bec4 | 0).op('i32.le_s', 'i32.or').if(() => {
      e.i32(0).set(k);
    });
  });
  e.get(hx).i32(0x7ff00000).op('i32.ge_s').if(() => {
    e.get(x).get(x).op('f64.add', 'return');
  });
  e.get(k).if(() => {
    e.get(x).set(u);
    e.get(hx).i32(0x43400000).op('i32.lt_s').if(
      () => {
        e.f64(1).get(x).op('f64.add').set(u);
        high(u).tee(hu).i32(20).op('i32.shr_s').i32(1023).op('i32.sub').set(k);
        e.f64(1).get(u).get(x).op('f64.sub', 'f64.sub');
        e.get(x).get(u).f64(1).op('f64.sub', 'f64.sub');
        e.get(k).i32(0).op('i32.gt_s', 'select').get(u).op('f64.div').set(c);
      },
      () => {
        high(u).tee(hu).i32(20).op('i32.shr_s').i32(1023).op('i32.sub').set(k);
      },
    );
    e.get(hu).i32(0x000fffff).op('i32.and').tee(hu).i32(0x6a09e).op('i32.lt_s').if(
      () => setHigh(u, () => e.get(hu).i32(0x3ff00000).op('i32.or')),
      () => {
        e.add(k, 1);
        setHigh(u, () => e.get(hu).i32(0x3fe00000).op('i32.or'));
        e.i32(0x00100000).get(hu).op('i32.sub').i32(2).op('i32.shr_s').set(hu);
      },
    );
    e.get(u).f64(1).op('f64.sub').set(f);
  });
  e.f64(0.5).get(f).op('f64.mul').get(f).op('f64.mul').set(hfsq);
  e.get(hu).op('i32.eqz').if(() => {
    e.get(f).f64(0).op('f64.eq').if(() => {
      e.get(k).op('i32.eqz').if(() => {
        e.f64(0).op('return');
      });
      kTimes(ln2Hi);
      e.get(c);
      kTimes(ln2Lo).op('f64.add', 'f64.add', 'return');
    });
    e.get(hfsq).f64(1).f64(thirds).get(f).op('f64.mul', 'f64.sub', 'f64.mul').set(r);
    e.get(k).op('i32.eqz').if(() => {
      e.get(f).get(r).op('f64.sub', 'return');
    });
    kTimes(ln2Hi).get(r);
    kTimes(ln2Lo).get(c).op('f64.add', 'f64.sub').get(f).op('f64.sub', 'f64.sub', 'return');
  });
  e.get(f).f64(2).get(f).op('f64.add', 'f64.div').tee(s).get(s).op('f64.mul').set(z);
  e.f64(coefficients[6]).set(r);
  for (let i = 5; i >= 0; i--) e.f64(coefficients[i]!).get(z).get(r).op('f64.mul', 'f64.add').set(r);
  e.get(z).get(r).op('f64.mul').set(r);
  // s * (hfsq + r)
  e.get(s).get(hfsq).get(r).op('f64.add', 'f64.mul').set(r);
  e.get(k).op('i32.eqz').if(() => {
    e.get(f).get(hfsq).get(r).op('f64.sub', 'f64.sub', 'return');
  });
  kTimes(ln2Hi).get(hfsq).get(r);
  kTimes(ln2Lo).get(c).op('f64.add', 'f64.add', 'f64.sub').get(f).op('f64.sub', 'f64.sub');
}
