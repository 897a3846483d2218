import type { CompareOp } from '../expr/expr.js';
import { invariant } from '../types/error.js';
import type { FunctionBuilder, Local } from './encoder/function-builder.js';
import type { PlainOp } from './encoder/opcodes.js';
import { float32Max, floatBound } from './float-bound.js';
import { i64Range, type Node, type NodeOf, type Range, within } from './ir.js';
import { abi } from './kernel-module.js';
import { rangeOf } from './lower-arith.js';
import { remainderFunction } from './remainder.js';
import type { ScalarCompiler, Validity } from './scalar.js';

const integerCompare = { eq: 'eq', ne: 'ne', lt: 'lt_s', le: 'le_s', gt: 'gt_s', ge: 'ge_s' } as const satisfies Record<CompareOp, string>;
type NumberRep = 'i32' | 'i64' | 'f32' | 'f64';

/** Ends the kernel with -1 when the i32 on the stack is not 0 (and the row is not NULL). */
export function failIf(f: FunctionBuilder, valid: Validity): void {
  if (valid) f.get(valid).op('i32.and');
  f.if(() => {
    f.i32(abi.overflow).op('return');
  });
}

export function emitNumberCompare(c: ScalarCompiler, node: NodeOf<'compare'>): Validity {
  const { f } = c;
  const { rep } = node.left;
  if (rep === 'f32' || rep === 'f64') return floatCompare(c, node, rep);
  const left = c.value(node.left);
  const right = c.value(node.right);
  f.op(`${rep === 'i64' ? 'i64' : 'i32'}.${integerCompare[node.cmp]}`);
  return c.both(left, right);
}

function floatCompare(c: ScalarCompiler, node: NodeOf<'compare'>, rep: 'f32' | 'f64'): Validity {
  const { f } = c;
  const left = c.value(node.left);
  const constant = node.right.op === 'const' && !Number.isNaN(Number(node.right.value));
  const right = c.value(node.right);
  emitFloatCompare(f, rep, node.cmp, constant);
  return c.both(left, right);
}

/** Pops two floats; NaN equals NaN and is above everything. rightIsNumber: the right side is known not to be NaN. */
export function emitFloatCompare(f: FunctionBuilder, rep: 'f32' | 'f64', cmp: CompareOp, rightIsNumber: boolean): void {
  const op = (name: CompareOp): PlainOp => `${rep}.${name}`;
  if (rightIsNumber) {
    // A NaN on the left fails every comparison but `ne`: gt and ge must hold for it.
    if (cmp === 'gt' || cmp === 'ge') f.op(op(cmp === 'gt' ? 'le' : 'lt'), 'i32.eqz');
    else f.op(op(cmp));
    return;
  }
  const a = f.local(rep);
  const b = f.local(rep);
  f.set(b).set(a);
  const notNan = (x: Local) => f.get(x).get(x).op(op('eq'));
  const less = (x: Local, y: Local) => {
    f.get(x).get(y).op(op('lt'));
    notNan(x);
    notNan(y).op('i32.eqz', 'i32.and', 'i32.or');
  };
  if (cmp === 'eq' || cmp === 'ne') {
    f.get(a).get(b).op(op('eq'));
    notNan(a);
    notNan(b).op('i32.or', 'i32.eqz', 'i32.or');
    if (cmp === 'ne') f.op('i32.eqz');
  } else if (cmp === 'lt' || cmp === 'ge') {
    less(a, b);
    if (cmp === 'ge') f.op('i32.eqz');
  } else {
    less(b, a);
    if (cmp === 'le') f.op('i32.eqz');
  }
  f.release(a, b);
}

export function emitArith(c: ScalarCompiler, node: NodeOf<'add' | 'sub' | 'mul' | 'div' | 'mod'>): Validity {
  const { f } = c;
  if (node.rep === 'f32' || node.rep === 'f64') {
    const left = c.value(node.left);
    if (node.op === 'mod') return floatRemainder(c, node, left);
    const right = c.value(node.right);
    f.op(`${node.rep}.${node.op}`);
    return c.both(left, right);
  }
  const rep = node.rep === 'i64' ? 'i64' : 'i32';
  const left = c.value(node.left);
  const [a] = c.store(rep) as [Local];
  const right = c.value(node.right);
  const [b] = c.store(rep) as [Local];
  const valid = c.both(left, right);
  if (node.op === 'mod') return remainder(c, node, rep, a, b, valid);
  invariant(node.op !== 'div', 'lowering refuses exact division');
  const out = f.local(rep);
  f.get(a).get(b).op(`${rep}.${node.op}`).set(out);
  if (node.check) {
    invariant(node.left.range && node.right.range, 'exact operands have bounds');
    if (!within(rangeOf(node.op, node.left.range, node.right.range), i64Range)) {
      wrapped(c, node.op, a, b, out);
      failIf(f, valid);
    }
    outside(f, rep, out, node.check);
    failIf(f, valid);
  }
  f.get(out);
  return valid;
}

/** Exact in float64, and so in float32. */
function floatRemainder(c: ScalarCompiler, node: NodeOf<'mod'>, left: Validity): Validity {
  const { f } = c;
  const single = node.rep === 'f32';
  if (single) f.op('f64.promote_f32');
  const right = c.value(node.right);
  if (single) f.op('f64.promote_f32');
  f.call(remainderFunction(c.kernel));
  if (single) f.op('f32.demote_f64');
  return c.both(left, right);
}

/** Leaves 1 if the 64-bit operation on a and b wrapped around. */
function wrapped(c: ScalarCompiler, op: 'add' | 'sub' | 'mul', a: Local, b: Local, out: Local): void {
  const { f } = c;
  if (op === 'mul') {
    const helper = c.kernel.helper('mul_wraps', ['i64', 'i64'], ['i32'], (g) => {
      const [x, y] = g.params as [Local, Local];
      g.get(x).op('i64.eqz').if(() => {
        g.i32(0).op('return');
      });
      // -1 apart: -2^63 / -1 would trap.
      g.get(x).i64(-1n).op('i64.eq').if(() => {
        g.get(y).i64(i64Range.min).op('i64.eq', 'return');
      });
      g.get(x).get(y).op('i64.mul').get(x).op('i64.div_s').get(y).op('i64.ne');
    });
    f.get(a).get(b).call(helper);
    return;
  }
  f.get(a).get(op === 'add' ? out : b).op('i64.xor');
  if (op === 'add') f.get(b).get(out).op('i64.xor');
  else f.get(a).get(out).op('i64.xor');
  f.op('i64.and').i64(0n).op('i64.lt_s');
}

/** Leaves 1 if the value is outside the bounds. */
function outside(f: FunctionBuilder, rep: 'i32' | 'i64', value: Local, bounds: Range): void {
  if (rep === 'i32') {
    const clamp = (v: bigint) => Number(v < -(2n ** 31n) ? -(2n ** 31n) : v > 2n ** 31n - 1n ? 2n ** 31n - 1n : v);
    f.get(value).i32(clamp(bounds.min)).op('i32.lt_s').get(value).i32(clamp(bounds.max)).op('i32.gt_s', 'i32.or');
    return;
  }
  f.get(value).i64(bounds.min).op('i64.lt_s').get(value).i64(bounds.max).op('i64.gt_s', 'i32.or');
}

function remainder(c: ScalarCompiler, node: NodeOf<'mod'>, rep: 'i32' | 'i64', a: Local, b: Local, valid: Validity): Validity {
  const { f } = c;
  const divisor = node.right.range;
  const nonZero = f.local('i32');
  const one = () => (rep === 'i64' ? f.i64(1n) : f.i32(1));
  f.get(b);
  if (rep === 'i64') f.i64(0n).op('i64.ne').set(nonZero);
  else f.i32(0).op('i32.ne').set(nonZero);
  // The divisor of a NULL row may be anything, 0 too.
  f.get(a).get(b);
  one();
  f.get(nonZero).op('select', `${rep}.rem_s`);
  const never = divisor && (divisor.min > 0n || divisor.max < 0n);
  return never ? valid : c.both(valid, nonZero);
}

export function emitNegate(c: ScalarCompiler, node: NodeOf<'negate'>): Validity {
  const { f } = c;
  if (node.rep === 'f32' || node.rep === 'f64') {
    const valid = c.value(node.arg);
    f.op(`${node.rep}.neg`);
    return valid;
  }
  const rep = node.rep === 'i64' ? 'i64' : 'i32';
  const valid = c.value(node.arg);
  const [value] = c.store(rep) as [Local];
  if (node.check) {
    outside(f, rep, value, { min: -node.check.max, max: -node.check.min > i64Range.max ? i64Range.max : -node.check.min });
    failIf(f, valid);
  }
  c.zero(rep);
  f.get(value).op(`${rep}.sub`);
  return valid;
}

export function emitRescale(c: ScalarCompiler, node: NodeOf<'rescale'>): Validity {
  const { f } = c;
  const rep = node.rep === 'i64' ? 'i64' : 'i32';
  const constant = (v: bigint) => (rep === 'i64' ? f.i64(v) : f.i32(Number(v)));
  const valid = c.value(node.arg);
  if (node.up) {
    if (node.check) {
      const [value] = c.store(rep) as [Local];
      // Division truncates towards zero, which is inwards on both sides.
      outside(f, rep, value, { min: node.check.min / node.factor, max: node.check.max / node.factor });
      failIf(f, valid);
      f.get(value);
    }
    if (node.factor !== 1n) constant(node.factor).op(`${rep}.mul`);
    return valid;
  }
  const [value] = c.store(rep) as [Local];
  const half = node.factor / 2n;
  f.get(value);
  constant(-half);
  constant(half);
  f.get(value);
  constant(0n).op(`${rep}.lt_s`, 'select', `${rep}.add`);
  constant(node.factor).op(`${rep}.div_s`);
  if (node.check) {
    const [out] = c.store(rep) as [Local];
    outside(f, rep, out, node.check);
    failIf(f, valid);
    f.get(out);
  }
  return valid;
}

export function emitConvert(c: ScalarCompiler, node: NodeOf<'convert'>): Validity {
  const { f } = c;
  const valid = c.value(node.arg);
  const from = node.arg.rep;
  switch (node.how) {
    case 'width':
      if (from === 'i64' && node.rep === 'i32') f.op('i32.wrap_i64');
      else if (from !== 'i64' && node.rep === 'i64') f.op('i64.extend_i32_s');
      return valid;
    case 'toFloat':
      exactToFloat(f, node);
      return valid;
    case 'floatToFloat':
      if (from === 'f32' && node.rep === 'f64') f.op('f64.promote_f32');
      else if (from === 'f64' && node.rep === 'f32') {
        if (floatBound(node.arg) > float32Max) narrowFloat(f, valid);
        else f.op('f32.demote_f64');
      }
      return valid;
    case 'floatToInt':
      floatToExact(c, node, valid);
      return valid;
    case 'toBool':
      if (from === 'f32') f.f32(0).op('f32.ne');
      else if (from === 'f64') f.f64(0).op('f64.ne');
      else if (from === 'i64') f.i64(0n).op('i64.ne');
      else f.i32(0).op('i32.ne');
      return valid;
    case 'floorDays': {
      const day = 86_400_000_000n;
      const [value] = c.store('i64') as [Local];
      f.get(value).i64(day).op('i64.div_s').get(value).i64(day).op('i64.rem_s').i64(0n).op('i64.lt_s', 'i64.extend_i32_u', 'i64.sub', 'i32.wrap_i64');
      return valid;
    }
    default:
      return node.how satisfies never;
  }
}

/** A finite float64 that becomes an infinite float32 is an overflow. */
function narrowFloat(f: FunctionBuilder, valid: Validity): void {
  const wide = f.local('f64');
  const narrow = f.local('f32');
  f.tee(wide).op('f32.demote_f64').set(narrow);
  f.get(narrow).op('f32.abs').f32(Number.POSITIVE_INFINITY).op('f32.eq');
  f.get(wide).op('f64.abs').f64(Number.POSITIVE_INFINITY).op('f64.ne', 'i32.and');
  failIf(f, valid);
  f.get(narrow);
  f.release(wide, narrow);
}

/** Pops an exact value: divided by 10^scale where it is exact in the float, otherwise whole and fraction apart (DuckDB). */
function exactToFloat(f: FunctionBuilder, node: NodeOf<'convert'>): void {
  const { arg } = node;
  const float = node.rep === 'f32' ? 'f32' : 'f64';
  const scale = arg.type.kind === 'decimal' ? arg.type.scale : 0;
  const constant = (v: number) => (float === 'f32' ? f.f32(v) : f.f64(v));
  const convert = (): PlainOp => `${float}.convert_${arg.rep === 'i64' ? 'i64' : 'i32'}_s`;
  const exactBound = float === 'f32' ? 2n ** 24n : 2n ** 53n;
  if (scale === 0) {
    f.op(convert());
    return;
  }
  const divisor = 10 ** scale;
  if (arg.range && within(arg.range, { min: -exactBound, max: exactBound })) {
    f.op(convert());
    constant(divisor).op(`${float}.div`);
    return;
  }
  const rep = arg.rep === 'i64' ? 'i64' : 'i32';
  const exact = (v: bigint) => (rep === 'i64' ? f.i64(v) : f.i32(Number(v)));
  const value = f.local(rep);
  f.set(value);
  const whole = () => {
    f.get(value).op(convert());
    constant(divisor).op(`${float}.div`);
  };
  const apart = () => {
    // A scale of ten digits or more leaves no whole part in 32 bits.
    const power = 10n ** BigInt(scale);
    if (rep === 'i32' && power > 2n ** 31n - 1n) {
      constant(0);
      f.get(value).op(convert());
    } else {
      f.get(value);
      exact(power).op(`${rep}.div_s`, convert());
      f.get(value);
      exact(power).op(`${rep}.rem_s`, convert());
    }
    constant(divisor).op(`${float}.div`, `${float}.add`);
  };
  f.get(value);
  exact(exactBound).op(`${rep}.le_s`).get(value);
  exact(-exactBound).op(`${rep}.ge_s`, 'i32.and').if(whole, apart, float);
  f.release(value);
}

function floatToExact(c: ScalarCompiler, node: NodeOf<'convert'>, valid: Validity): void {
  const { f } = c;
  invariant(node.range, 'an exact result has bounds');
  if (node.arg.rep === 'f32') f.op('f64.promote_f32');
  const rounded = f.local('f64');
  const scale = node.type.kind === 'decimal' ? node.type.scale : undefined;
  if (scale === undefined) f.op('f64.nearest').set(rounded);
  else {
    // Half away from zero, after the multiplication.
    const scaled = f.local('f64');
    const whole = f.local('f64');
    f.f64(10 ** scale).op('f64.mul').tee(scaled).op('f64.trunc').set(whole);
    f.get(whole).f64(1).get(scaled).op('f64.copysign').get(whole).op('f64.add').get(scaled).get(whole).op('f64.sub', 'f64.abs').f64(0.5).op('f64.lt', 'select').set(rounded);
  }
  // NaN fails both comparisons. max + 1 is exact in a float64 for every type.
  f.get(rounded).f64(Number(node.range.min)).op('f64.ge');
  f.get(rounded).f64(Number(node.range.max + 1n)).op('f64.lt', 'i32.and', 'i32.eqz');
  failIf(f, valid);
  f.get(rounded).op(node.rep === 'i64' ? 'i64.trunc_sat_f64_s' : 'i32.trunc_sat_f64_s');
}

/** min(max(arg, low), high) in the total order; NULL if any of them is. */
export function emitClamp(c: ScalarCompiler, node: NodeOf<'clamp'>): Validity {
  const { f } = c;
  const rep = node.rep as NumberRep;
  const evaluate = (n: Node): [Local, Validity] => {
    const valid = c.value(n);
    return [(c.store(rep) as [Local])[0], valid];
  };
  const [value, v1] = evaluate(node.arg);
  const [low, v2] = evaluate(node.low);
  const [high, v3] = evaluate(node.high);
  const compare = (a: Local, b: Local, cmp: 'lt' | 'gt', bound: Node) => {
    f.get(a).get(b);
    if (rep === 'f32' || rep === 'f64') emitFloatCompare(f, rep, cmp, bound.op === 'const' && !Number.isNaN(Number(bound.value)));
    else f.op(`${rep}.${cmp}_s`);
  };
  f.get(low).get(value);
  compare(value, low, 'lt', node.low);
  f.op('select').set(value);
  f.get(high).get(value);
  compare(value, high, 'gt', node.high);
  f.op('select');
  return c.both(v1, v2, v3);
}

/** How many ascending boundaries are <= the float64; NaN is above all. */
export function emitBucketize(c: ScalarCompiler, node: NodeOf<'bucketize'>): Validity {
  const { f } = c;
  const valid = c.value(node.arg);
  const [value] = c.store('f64') as [Local];
  const tree = (from: number, to: number): void => {
    if (from === to) {
      f.i32(from);
      return;
    }
    const middle = (from + to) >> 1;
    f.get(value).f64(node.boundaries[middle]!).op('f64.lt').if(() => tree(from, middle), () => tree(middle + 1, to), 'i32');
  };
  tree(0, node.boundaries.length);
  return valid;
}
