import { blockRows } from '../compaction.js';
import type { FunctionBuilder, Local } from '../encoder/function-builder.js';
import type { Node, Range } from '../ir.js';
import type { InputColumn } from '../kernel-module.js';
import { laneOf } from '../lanes.js';
import { both, type VectorFold } from '../ungrouped/by-vector.js';
import { nodeKey, type VectorCompiler } from '../vector.js';

/** Values are taken apart into digits of so many bits, which are not negative as 16-bit integers. */
const digitBits = 15;
const digitMax = (1n << BigInt(digitBits)) - 1n;
/** Two digits. */
const twoDigits: Range = { min: 0n, max: (1n << BigInt(2 * digitBits)) - 1n };
/** A 32-bit lane takes every fourth row of a block. */
const rowsPerLane = BigInt(blockRows / 4);

/** A sum as dot products of 16-bit vectors: of `value`, in one or two digits, with the mask or with the factor where the mask is set. */
interface Shape {
  readonly value: Node;
  readonly digits: 1 | 2;
  readonly factor: Node | undefined;
}

/**
 * The sum of one group over a block where many groups are masked out of the same rows. One dot product masks eight rows, adds them in
 * pairs and leaves 32 bits that need no widening before the block's end: half the instructions of masking and widening every lane.
 * What is taken apart is so once for all groups. Undefined: the node's bounds do not allow it.
 */
export function emitDigitSum(f: FunctionBuilder, inputs: readonly InputColumn[], node: Node, finish: (sum: Local) => void): VectorFold | undefined {
  const shape = shapeOf(node, inputs);
  if (!shape) return undefined;
  const { value, digits, factor } = shape;
  const sums = Array.from({ length: digits }, () => f.local('v128'));
  for (const sum of sums) f.v128(new Uint8Array(16)).set(sum);
  return {
    add: (v, mask) => {
      const wanted = both(v, mask, node);
      for (const [digit, sum] of sums.entries()) {
        f.get(sum);
        for (let part = 0; part < 2; part++) {
          emitDigit(v, value, digits, digit, part);
          if (factor) v.keep(`factor|${nodeKey(factor)}|${wanted.index}|${part}`, () => maskedFactor(v, factor, wanted, part));
          else v.laneMask(wanted, 'i16', part);
          f.op('i32x4.dot_i16x8_s', 'i32x4.add');
        }
        f.set(sum);
      }
    },
    store: () => {
      const total = f.local('i64');
      f.i64(0n);
      for (const [digit, sum] of sums.entries()) {
        // Products are not negative and may use the sign bit; a mask is -1 where it is set.
        for (let lane = 0; lane < 4; lane++) {
          f.get(sum).lane('i32x4.extract_lane', lane).op(factor ? 'i64.extend_i32_u' : 'i64.extend_i32_s');
          if (digit > 0) f.i64(BigInt(digit * digitBits)).op('i64.shl');
          f.op(factor ? 'i64.add' : 'i64.sub');
        }
      }
      f.set(total);
      finish(total);
      f.release(total);
    },
  };
}

function shapeOf(node: Node, inputs: readonly InputColumn[]): Shape | undefined {
  const columns = inputs.map((i) => i.column);
  const plain = withoutWidths(node);
  const lane = laneOf(plain, columns);
  if (lane === 'i16') return { value: plain, digits: 1, factor: undefined };
  if (lane === 'i32' && inside(plain.range, twoDigits)) return { value: plain, digits: 2, factor: undefined };
  if (plain.op !== 'mul') return undefined;
  for (const [a, b] of [[plain.left, plain.right], [plain.right, plain.left]] as const) {
    const [value, factor] = [withoutWidths(a), withoutWidths(b)];
    const narrow = laneOf(factor, columns);
    if (laneOf(value, columns) !== 'i32' || !inside(value.range, twoDigits) || (narrow !== 'i8' && narrow !== 'i16')) continue;
    if (factor.range && factor.range.min >= 0n && factor.range.max * digitMax * rowsPerLane < 2n ** 32n) return { value, digits: 2, factor };
  }
  return undefined;
}

/** Leaves a digit of eight rows as 16-bit integers. */
function emitDigit(v: VectorCompiler, value: Node, digits: 1 | 2, digit: number, part: number): void {
  if (digits === 1) {
    v.part(value, 'i16', part);
    return;
  }
  v.keep(`digit|${nodeKey(value)}|${digit}|${part}`, () => {
    for (const half of [0, 1]) {
      v.part(value, 'i32', part * 2 + half);
      if (digit === 0) {
        v.splat('i32', digitMax);
        v.f.op('v128.and');
      } else v.f.i32(digitBits).op('i32x4.shr_u');
    }
    // Digits have no sign bit: nothing is clipped.
    v.f.op('i16x8.narrow_i32x4_s');
  });
}

function maskedFactor(v: VectorCompiler, factor: Node, wanted: Local, part: number): void {
  v.part(factor, 'i16', part);
  v.laneMask(wanted, 'i16', part);
  v.f.op('v128.and');
}

function withoutWidths(node: Node): Node {
  return node.op === 'convert' && node.how === 'width' ? withoutWidths(node.arg) : node;
}

const inside = (range: Range | undefined, bounds: Range): boolean => range !== undefined && range.min >= bounds.min && range.max <= bounds.max;
