import { isFloat } from '../expr/common-type.js';
import type { ArithOp } from '../expr/expr.js';
import type { LogicalType } from '../types/logical.js';
import { i64Range, type Node, type Range, repOf, within } from './ir.js';
import { castNode, checked, constNode, exactRep, nullNode, toRep } from './lower-cast.js';
import { Unsupported } from './unsupported.js';

/** `left op right` of result type `type` (inferType's). */
export function lowerArith(op: ArithOp, left: Node, right: Node, type: LogicalType): Node {
  if (left.op === 'null' || right.op === 'null') return nullNode(type);
  if (isFloat(type)) return floatArith(op, castNode(left, type), castNode(right, type), type);
  if (op === 'div') throw new Unsupported('exact division');
  // Decimal sums and remainders are computed at the result's scale; products add their scales.
  const scaled = (n: Node): Node => (type.kind === 'decimal' && op !== 'mul' ? castNode(n, type) : n);
  return exactArith(op, scaled(left), scaled(right), type);
}

function floatArith(op: ArithOp, left: Node, right: Node, type: LogicalType): Node {
  return { op, left, right, rep: left.rep, type, nullable: left.nullable || right.nullable };
}

function exactArith(op: 'add' | 'sub' | 'mul' | 'mod', left: Node, right: Node, type: LogicalType): Node {
  if (!left.range || !right.range) throw new Unsupported(`${op} of ${left.type.kind} and ${right.type.kind}`);
  const exact = rangeOf(op, left.range, right.range);
  const { range, check } = checked(exact, type);
  if (check ? !within(check, i64Range) : !repOf(exact)) throw new Unsupported('an exact value that may need more than 64 bits');
  if (left.op === 'const' && right.op === 'const' && !check && op !== 'mod' && exact.min === exact.max) return constNode(exact.min, type);
  // Computed where neither operands nor the unchecked result can wrap; 64-bit wrap-around is checked separately.
  const wide = [left.range, right.range, exact].reduce((a, b) => ({ min: a.min < b.min ? a.min : b.min, max: a.max > b.max ? a.max : b.max }));
  const rep = repOf(wide) ?? 'i64';
  const zeroDivisor = op === 'mod' && right.range.min <= 0n && right.range.max >= 0n;
  const node: Node = {
    op, left: toRep(left, rep), right: toRep(right, rep), rep, type, range, nullable: left.nullable || right.nullable || zeroDivisor,
    ...(check && { check }),
  };
  return toRep(node, exactRep(range));
}

/** Bounds of the mathematical result. */
export function rangeOf(op: 'add' | 'sub' | 'mul' | 'mod', a: Range, b: Range): Range {
  switch (op) {
    case 'add':
      return { min: a.min + b.min, max: a.max + b.max };
    case 'sub':
      return { min: a.min - b.max, max: a.max - b.min };
    case 'mul': {
      const corners = [a.min * b.min, a.min * b.max, a.max * b.min, a.max * b.max];
      return { min: corners.reduce((x, y) => (x < y ? x : y)), max: corners.reduce((x, y) => (x > y ? x : y)) };
    }
    case 'mod': {
      const abs = (v: bigint) => (v < 0n ? -v : v);
      const most = (x: bigint, y: bigint) => (x > y ? x : y);
      const divisor = most(abs(b.min), abs(b.max));
      const bound = divisor === 0n ? 0n : divisor - 1n;
      return { min: a.min < 0n ? -(bound < -a.min ? bound : -a.min) : 0n, max: a.max > 0n ? (bound < a.max ? bound : a.max) : 0n };
    }
    default:
      return op satisfies never;
  }
}

export function lowerNegate(arg: Node): Node {
  if (arg.op === 'null') return arg;
  if (isFloat(arg.type)) return arg.op === 'const' ? constNode(-Number(arg.value), arg.type) : { op: 'negate', arg, rep: arg.rep, type: arg.type, nullable: arg.nullable };
  if (!arg.range) throw new Unsupported(`negation of ${arg.type.kind}`);
  if (arg.op === 'const' && typeof arg.value === 'bigint') {
    const { check } = checked({ min: -arg.value, max: -arg.value }, arg.type);
    if (!check) return constNode(-arg.value, arg.type);
  }
  const { range, check } = checked({ min: -arg.range.max, max: -arg.range.min }, arg.type);
  // Wide enough for the unchecked result, so that the check sees it; -(-2^63) wraps to itself, which its check catches.
  const rep = repOf({ min: -arg.range.max < arg.range.min ? -arg.range.max : arg.range.min, max: -arg.range.min > arg.range.max ? -arg.range.min : arg.range.max }) ?? 'i64';
  const node: Node = { op: 'negate', arg: toRep(arg, rep), rep, type: arg.type, nullable: arg.nullable, range, ...(check && { check }) };
  return toRep(node, exactRep(range));
}
