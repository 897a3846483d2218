import { invariant } from '../types/error.js';
import type { CompareOp } from '../expr/expr.js';
import type { Column } from '../types/schema.js';
import { disjoint, intersect, type Node, type NodeOf, type Range } from './ir.js';
import { laneOf, widest } from './lanes.js';
import type { VectorCompiler } from './vector.js';
import { emitVectorFloatCompare } from './vector-number.js';
import { validityMask } from './vector-validity.js';

const inverse = { eq: 'ne', ne: 'eq', lt: 'ge', le: 'gt', gt: 'le', ge: 'lt' } as const satisfies Record<CompareOp, CompareOp>;
const laneRange = { i8: { min: -128n, max: 127n }, i16: { min: -32768n, max: 32767n }, i32: { min: -(2n ** 31n), max: 2n ** 31n - 1n }, i64: { min: -(2n ** 63n), max: 2n ** 63n - 1n } } as const;

/** Whether a predicate can be computed sixteen rows at a time. It cannot fail then. */
export function hasMask(node: Node, columns: readonly Column[]): boolean {
  const vector = (n: Node) => laneOf(n, columns) !== undefined;
  const hasValidity = (n: Node) => !n.nullable || n.op === 'column' || vector(n);
  switch (node.op) {
    case 'const':
      return node.rep === 'bool';
    case 'column':
      return node.rep === 'bool';
    case 'compare':
      return vector(node.left) && vector(node.right);
    case 'and':
    case 'or':
      return node.args.every((a) => hasMask(a, columns));
    case 'not':
      return hasMask(node.arg, columns);
    case 'known':
      return node.args.every(hasValidity);
    case 'isNull':
      return hasValidity(node.arg);
    case 'inRanges':
      return vector(node.arg) && node.ranges.length <= 8;
    case 'inCodes':
      return node.codes <= 128 && laneOf(node.arg, columns) === 'i8';
    default:
      return false;
  }
}

/** Leaves bytes of -1 where the predicate is true (want), or where it is false (not want); NULL is neither. */
export function emitMask(v: VectorCompiler, node: Node, want: boolean): void {
  const { f } = v;
  switch (node.op) {
    case 'const':
      fill(v, Boolean(node.value) === want);
      return;
    case 'column':
      emitBoolColumn(v, node, want);
      return;
    case 'known':
      if (node.value !== want) fill(v, false);
      else {
        fill(v, true);
        andValidity(v, node);
      }
      return;
    case 'isNull': {
      const valid = node.arg.nullable ? v.validity(node.arg) : undefined;
      if (!valid) fill(v, !want);
      else {
        f.get(valid);
        if (want) f.op('v128.not');
      }
      return;
    }
    case 'not':
      emitMask(v, node.arg, !want);
      return;
    case 'and':
    case 'or':
      for (const [i, arg] of node.args.entries()) {
        emitMask(v, arg, want);
        if (i > 0) f.op((node.op === 'and') === want ? 'v128.and' : 'v128.or');
      }
      return;
    case 'compare':
      emitCompare(v, node, want);
      andValidity(v, node);
      return;
    case 'inRanges':
      emitInRanges(v, node);
      if (!want) f.op('v128.not');
      andValidity(v, node);
      return;
    case 'inCodes':
      emitInCodes(v, node);
      if (!want) f.op('v128.not');
      andValidity(v, node);
      return;
    default:
      invariant(false, 'hasMask admits only what is computed here');
  }
}

function fill(v: VectorCompiler, ones: boolean): void {
  v.f.v128(new Uint8Array(16).fill(ones ? 0xff : 0));
}

function andValidity(v: VectorCompiler, node: Node): void {
  const valid = v.validity(node);
  if (valid) v.f.get(valid).op('v128.and');
}

function emitBoolColumn(v: VectorCompiler, node: NodeOf<'column'>, want: boolean): void {
  const input = v.inputs[node.input];
  invariant(input, 'the input is read');
  v.keep(`bits|${node.input}`, () => validityMask(v, input.data));
  if (!want) v.f.op('v128.not');
  andValidity(v, node);
}

function emitCompare(v: VectorCompiler, node: NodeOf<'compare'>, want: boolean): void {
  const [left, right] = [v.laneOf(node.left), v.laneOf(node.right)];
  invariant(left && right, 'hasMask admits only vector operands');
  if (left === 'f32' || left === 'f64') {
    v.narrowMask(left, (p) => emitVectorFloatCompare(v, node, left, p));
    if (!want) v.f.op('v128.not');
    return;
  }
  const lane = widest(left, right);
  const cmp = want ? node.cmp : inverse[node.cmp];
  const constant = node.right.op === 'const' && typeof node.right.value === 'bigint' ? node.right.value : undefined;
  v.narrowMask(lane, (p) => {
    v.part(node.left, lane, p);
    if (constant !== undefined && lane !== 'f32' && lane !== 'f64') compareConstant(v, lane, cmp, constant);
    else {
      v.part(node.right, lane, p);
      v.op(lane, cmp === 'eq' || cmp === 'ne' ? cmp : `${cmp}_s`);
    }
  });
}

/** x86 has only = and >: x <= c is c + 1 > x, one instruction instead of two. */
function compareConstant(v: VectorCompiler, lane: 'i8' | 'i16' | 'i32' | 'i64', cmp: CompareOp, constant: bigint): void {
  const shifted = cmp === 'le' && constant < laneRange[lane].max ? (['lt', constant + 1n] as const) : cmp === 'ge' && constant > laneRange[lane].min ? (['gt', constant - 1n] as const) : ([cmp, constant] as const);
  v.splat(lane, shifted[1]);
  v.op(lane, shifted[0] === 'eq' || shifted[0] === 'ne' ? shifted[0] : `${shifted[0]}_s`);
}

function emitInRanges(v: VectorCompiler, node: NodeOf<'inRanges'>): void {
  const lane = v.laneOf(node.arg);
  invariant(lane && lane !== 'f32' && lane !== 'f64', 'the argument is exact');
  const own: Range = node.arg.range ? intersect(node.arg.range, laneRange[lane]) : laneRange[lane];
  const ranges = node.ranges.filter((r) => !disjoint(r, own)).map((r) => intersect(r, own));
  if (ranges.length === 0) {
    fill(v, false);
    return;
  }
  v.narrowMask(lane, (p) => {
    for (const [i, range] of ranges.entries()) {
      emitInRange(v, node.arg, lane, p, range, own);
      if (i > 0) v.f.op('v128.or');
    }
  });
}

function emitInRange(v: VectorCompiler, arg: Node, lane: 'i8' | 'i16' | 'i32' | 'i64', part: number, range: Range, own: Range): void {
  const value = () => v.part(arg, lane, part);
  if (range.min === range.max) {
    value();
    compareConstant(v, lane, 'eq', range.min);
    return;
  }
  const below = range.min > own.min;
  const above = range.max < own.max;
  if (below || !above) {
    value();
    compareConstant(v, lane, 'ge', range.min);
  }
  if (above) {
    value();
    compareConstant(v, lane, 'le', range.max);
  }
  if (below && above) v.f.op('v128.and');
}

/** A bitmap of up to 128 codes is one vector: look up the byte, then test the bit. */
function emitInCodes(v: VectorCompiler, node: NodeOf<'inCodes'>): void {
  const { f } = v;
  const bitmap = new Uint8Array(16);
  bitmap.set(node.bitmap);
  const code = f.local('v128');
  v.part(node.arg, 'i8', 0);
  f.set(code);
  v.constant(bitmap);
  f.get(code).i32(3).op('i8x16.shr_u', 'i8x16.swizzle');
  v.constant(Uint8Array.from({ length: 16 }, (_, i) => 1 << (i & 7)));
  f.get(code);
  v.splat('i8', 7);
  f.op('v128.and', 'i8x16.swizzle', 'v128.and').v128(new Uint8Array(16)).op('i8x16.ne');
  f.release(code);
}

