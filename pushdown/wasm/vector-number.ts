import { invariant } from '../types/error.js';
import type { NodeOf } from './ir.js';
import { float32Max, floatBound } from './float-bound.js';
import { type Lane, shapeOf } from './lanes.js';
import type { VectorCompiler } from './vector.js';

const lowHalves = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27];
const highToLow = [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7];

export function emitVectorConvert(v: VectorCompiler, node: NodeOf<'convert'>, lane: Lane, part: number): void {
  const { f } = v;
  if (node.how === 'floatToFloat' && lane === 'f32') {
    narrowFloats(v, node, part);
    return;
  }
  if (node.how === 'floatToFloat') {
    v.part(node.arg, 'f32', part >> 1);
    if (part & 1) swapHalves(v);
    f.op('f64x2.promote_low_f32x4');
    return;
  }
  invariant(node.how === 'toFloat', 'lanes.ts admits only these conversions');
  if (lane === 'f32') {
    v.part(node.arg, 'i32', part);
    f.op('f32x4.convert_i32x4_s');
  } else {
    v.part(node.arg, 'i32', part >> 1);
    if (part & 1) swapHalves(v);
    f.op('f64x2.convert_low_i32x4_s');
  }
  const scale = node.arg.type.kind === 'decimal' ? node.arg.type.scale : 0;
  if (scale === 0) return;
  v.splat(lane, 10 ** scale);
  v.op(lane, 'div');
}

/** Four float64 to float32. A finite one that becomes an infinity is a fault, if its row counts. */
function narrowFloats(v: VectorCompiler, node: NodeOf<'convert'>, part: number): void {
  const { f } = v;
  const wide = [f.local('v128'), f.local('v128')] as const;
  const narrow = f.local('v128');
  for (const [i, half] of wide.entries()) {
    v.part(node.arg, 'f64', part * 2 + i);
    f.tee(half).op('f32x4.demote_f64x2_zero');
  }
  f.shuffle([0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]);
  if (floatBound(node.arg) > float32Max) {
    invariant(v.faults, 'a conversion that can fail has a place to say so');
    const { seen, wanted } = v.faults;
    f.set(narrow).get(seen).get(narrow).op('f32x4.abs');
    v.splat('f32', Number.POSITIVE_INFINITY);
    f.op('f32x4.eq');
    for (const half of wide) {
      f.get(half).op('f64x2.abs');
      v.splat('f64', Number.POSITIVE_INFINITY);
      f.op('f64x2.ne');
    }
    f.shuffle(lowHalves);
    f.op('v128.and');
    v.laneMask(wanted, 'f32', part);
    const valid = v.validity(node);
    if (valid) {
      v.laneMask(valid, 'f32', part);
      f.op('v128.and');
    }
    f.op('v128.and', 'v128.or').set(seen).get(narrow);
  }
  f.release(...wide, narrow);
}

/** Brings the upper half of the vector on the stack down. */
function swapHalves(v: VectorCompiler): void {
  const local = v.f.local('v128');
  v.f.tee(local).get(local).shuffle(highToLow);
  v.f.release(local);
}

/** min(max(arg, low), high) in the total order of floats, NaN above all; bounds of floats are constants. */
export function emitVectorClamp(v: VectorCompiler, node: NodeOf<'clamp'>, lane: Lane, part: number): void {
  const { f } = v;
  if (lane === 'i8' || lane === 'i16' || lane === 'i32') {
    v.part(node.arg, lane, part);
    v.part(node.low, lane, part);
    v.op(lane, 'max_s');
    v.part(node.high, lane, part);
    v.op(lane, 'min_s');
    return;
  }
  const value = f.local('v128');
  v.part(node.arg, lane, part);
  f.set(value);
  const isInteger = lane === 'i64';
  v.part(node.low, lane, part);
  f.get(value).get(value);
  v.part(node.low, lane, part);
  v.op(lane, isInteger ? 'lt_s' : 'lt');
  f.op('v128.bitselect').set(value);
  // A NaN is not <= the bound, so it becomes the bound.
  f.get(value);
  v.part(node.high, lane, part);
  f.get(value);
  v.part(node.high, lane, part);
  v.op(lane, isInteger ? 'le_s' : 'le');
  f.op('v128.bitselect');
  f.release(value);
}

/** Boundaries at or below the value, counted by adding up masks; NaN passes every one. */
export function emitVectorBucketize(v: VectorCompiler, node: NodeOf<'bucketize'>, part: number): void {
  const { f } = v;
  const halves = [f.local('v128'), f.local('v128')] as const;
  const value = f.local('v128');
  for (const [i, half] of halves.entries()) {
    v.part(node.arg, 'f64', part * 2 + i);
    f.set(value);
    v.splat('i64', BigInt(node.boundaries.length));
    for (const boundary of node.boundaries) {
      // -1 where value < boundary.
      f.get(value);
      v.splat('f64', boundary);
      f.op('f64x2.lt', 'i64x2.add');
    }
    f.set(half);
  }
  f.get(halves[0]).get(halves[1]).shuffle(lowHalves);
  f.release(value, ...halves);
}

/** Leaves a -1/0 mask of `left cmp right` for floats in the total order. */
export function emitVectorFloatCompare(v: VectorCompiler, node: NodeOf<'compare'>, lane: 'f32' | 'f64', part: number): void {
  const { f } = v;
  const shape = shapeOf[lane];
  if (node.right.op === 'const' && !Number.isNaN(Number(node.right.value))) {
    v.part(node.left, lane, part);
    v.part(node.right, lane, part);
    // A NaN on the left must pass gt and ge.
    if (node.cmp === 'gt' || node.cmp === 'ge') f.op(`${shape}.${node.cmp === 'gt' ? 'le' : 'lt'}`, 'v128.not');
    else f.op(`${shape}.${node.cmp}`);
    return;
  }
  const [a, b] = [f.local('v128'), f.local('v128')];
  v.part(node.left, lane, part);
  f.set(a);
  v.part(node.right, lane, part);
  f.set(b);
  const swap = node.cmp === 'gt' || node.cmp === 'le';
  const [x, y] = swap ? [b, a] : [a, b];
  if (node.cmp === 'eq' || node.cmp === 'ne') {
    f.get(a).get(b).op(`${shape}.eq`).get(a).get(a).op(`${shape}.ne`).get(b).get(b).op(`${shape}.ne`, 'v128.and', 'v128.or');
    if (node.cmp === 'ne') f.op('v128.not');
  } else {
    f.get(x).get(y).op(`${shape}.lt`).get(x).get(x).op(`${shape}.eq`).get(y).get(y).op(`${shape}.ne`, 'v128.and', 'v128.or');
    if (node.cmp === 'ge' || node.cmp === 'le') f.op('v128.not');
  }
  f.release(a, b);
}
