import type { CompareOp } from '../expr/expr.js';
import type { LogicalType } from '../types/logical.js';

/**
 * Typed expressions a kernel computes with: every conversion is a node, every exact value has proven bounds, and those bounds choose
 * the machine representation. bool is an i32 of 0 or 1, utf8 a pair (address, bytes).
 */
export type Rep = 'i32' | 'i64' | 'f32' | 'f64' | 'bool' | 'utf8';

/** Inclusive bounds of an exact value, over rows where it is not NULL. */
export interface Range {
  readonly min: bigint;
  readonly max: bigint;
}

interface Base {
  readonly rep: Rep;
  readonly type: LogicalType;
  readonly nullable: boolean;
  /** Present for i32, i64. */
  readonly range?: Range;
}

export type Node = Base &
  (
    | { readonly op: 'column'; readonly input: number }
    /** Not NULL. bigint for i32/i64, number for floats, boolean for bool. */
    | { readonly op: 'const'; readonly value: bigint | number | boolean }
    | { readonly op: 'string'; readonly bytes: Uint8Array }
    | { readonly op: 'null' }
    /** value unless an argument is NULL. */
    | { readonly op: 'known'; readonly value: boolean; readonly args: readonly Node[] }
    /** Both sides have one representation. */
    | { readonly op: 'compare'; readonly cmp: CompareOp; readonly left: Node; readonly right: Node }
    | { readonly op: 'and' | 'or'; readonly args: readonly Node[] }
    | { readonly op: 'not' | 'isNull'; readonly arg: Node }
    /** Exact argument, ascending disjoint ranges. */
    | { readonly op: 'inRanges'; readonly arg: Node; readonly ranges: readonly Range[] }
    /** Dictionary codes by a bitmap: code i belongs if bit i is set. */
    | { readonly op: 'inCodes'; readonly arg: Node; readonly bitmap: Uint8Array; readonly codes: number }
    | { readonly op: 'like'; readonly arg: Node; readonly pattern: LikePattern }
    /** Both sides and the result have one representation. check: bounds outside which the kernel fails with -1. */
    | { readonly op: 'add' | 'sub' | 'mul' | 'div' | 'mod'; readonly left: Node; readonly right: Node; readonly check?: Range }
    | { readonly op: 'convert'; readonly how: Conversion; readonly arg: Node; readonly check?: Range }
    /** Exact times 10^k, or divided by 10^k rounding half away from zero. */
    | { readonly op: 'rescale'; readonly arg: Node; readonly factor: bigint; readonly up: boolean; readonly check?: Range }
    | { readonly op: 'negate'; readonly arg: Node; readonly check?: Range }
    | { readonly op: 'coalesce'; readonly args: readonly Node[] }
    | { readonly op: 'clamp'; readonly arg: Node; readonly low: Node; readonly high: Node }
    | { readonly op: 'log1p'; readonly arg: Node }
    | { readonly op: 'bucketize'; readonly arg: Node; readonly boundaries: readonly number[] }
    /** The string of a dictionary code; entries lie in the kernel's data. */
    | { readonly op: 'dictString'; readonly arg: Node; readonly dictionary: readonly string[] }
    /** A function of a user, by its index in the kernel's base, and where its module's memory begins and ends; it is not called with a NULL. */
    | { readonly op: 'call'; readonly function: number; readonly memory: number; readonly memoryEnd: number; readonly args: readonly Node[] }
  );

type Having<N, Op> = N extends { readonly op: infer Own } ? (Op extends Own ? N : never) : never;
export type NodeOf<Op extends Node['op']> = Having<Node, Op>;

export type Conversion =
  /** i32/i64 to the other width; bool to i32. */
  | 'width'
  /** Exact to float, divided by 10^scale of the argument's type. */
  | 'toFloat'
  | 'floatToFloat'
  /** Nearest, ties to even; NaN and out of range fail. */
  | 'floatToInt'
  /** Not zero. */
  | 'toBool'
  /** Microseconds to days, rounding down. */
  | 'floorDays';

/** LIKE split at %: literal pieces of UTF-8 where `_` stands for one character. */
export interface LikePattern {
  readonly text: string;
}

const bounds = { i32: { min: -(2n ** 31n), max: 2n ** 31n - 1n }, i64: { min: -(2n ** 63n), max: 2n ** 63n - 1n } } as const;
export const i32Range: Range = bounds.i32;
export const i64Range: Range = bounds.i64;

export const within = (inner: Range, outer: Range): boolean => inner.min >= outer.min && inner.max <= outer.max;
export const disjoint = (a: Range, b: Range): boolean => a.max < b.min || b.max < a.min;
export const intersect = (a: Range, b: Range): Range => {
  const min = a.min > b.min ? a.min : b.min;
  const max = a.max < b.max ? a.max : b.max;
  return min <= max ? { min, max } : { min: b.min, max: b.min };
};
export const hull = (a: Range, b: Range): Range => ({ min: a.min < b.min ? a.min : b.min, max: a.max > b.max ? a.max : b.max });
export const repOf = (range: Range): 'i32' | 'i64' | undefined => (within(range, i32Range) ? 'i32' : within(range, i64Range) ? 'i64' : undefined);

/** What values of an exact SQL type may be; undefined for inexact ones. */
export function typeRange(type: LogicalType): Range | undefined {
  const signed = (bits: bigint): Range => ({ min: -(2n ** (bits - 1n)), max: 2n ** (bits - 1n) - 1n });
  const unsigned = (bits: bigint): Range => ({ min: 0n, max: 2n ** bits - 1n });
  switch (type.kind) {
    case 'int8':
      return signed(8n);
    case 'int16':
      return signed(16n);
    case 'int32':
    case 'date':
      return signed(32n);
    case 'int64':
    case 'timestamp':
      return signed(64n);
    case 'uint8':
      return unsigned(8n);
    case 'uint16':
      return unsigned(16n);
    case 'uint32':
      return unsigned(32n);
    case 'decimal': {
      const max = 10n ** BigInt(type.precision) - 1n;
      return { min: -max, max };
    }
    default:
      return undefined;
  }
}
