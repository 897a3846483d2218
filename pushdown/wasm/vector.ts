import { invariant } from '../types/error.js';
import type { FunctionBuilder, Local } from './encoder/function-builder.js';
import type { PlainOp } from './encoder/opcodes.js';
import type { Node, NodeOf } from './ir.js';
import type { InputColumn, KernelModule } from './kernel-module.js';
import { type Lane, laneBytes, laneOf, partsOf, shapeOf, storedBytes } from './lanes.js';
import { constNode } from './lower-cast.js';
import { emitVectorBucketize, emitVectorClamp, emitVectorConvert } from './vector-number.js';
import { vectorLog1pFunction } from './vector-log1p.js';
import { validityMask, validMaskOf } from './vector-validity.js';

const narrower = { i16: 'i8', i32: 'i16', i64: 'i32' } as const;

/** A node's identity by content: equal subexpressions are computed once per step. */
export function nodeKey(node: Node): string {
  return JSON.stringify(node, (key, v: unknown) => (key === 'type' || key === 'range' ? undefined : typeof v === 'bigint' ? `${v}n` : v instanceof Uint8Array ? [...v] : v));
}

/**
 * Emits values of 16 rows, from `row` (an i32 local, a multiple of 8) on, as parts of one vector each. Reads of columns may run to the
 * next multiple of 16 rows. One compiler serves one straight-line step: what it computed once it keeps in locals.
 */
export class VectorCompiler {
  readonly #addresses = new Map<number, Local>();
  readonly #kept = new Map<string, Local>();

  constructor(
    readonly kernel: KernelModule,
    readonly f: FunctionBuilder,
    readonly inputs: readonly InputColumn[],
    readonly row: Local,
    /** Where rows whose computation fails are collected, and which rows count. Needed only for nodes that can fail. */
    readonly faults?: { readonly seen: Local; readonly wanted: Local },
    /** Values are masked several times over, once per group. */
    readonly manyMasks = false,
  ) {}

  get columns() {
    return this.inputs.map((i) => i.column);
  }

  laneOf(node: Node): Lane | undefined {
    return laneOf(node, this.columns);
  }

  /** Leaves rows part * lanes .. of the node in the given lanes, which are at least as wide as its own. */
  part(node: Node, lane: Lane, part: number): void {
    if (node.op === 'const') {
      this.splat(lane, node.value);
      return;
    }
    if (node.op === 'convert' && node.how === 'width') {
      this.part(node.arg, lane, part);
      return;
    }
    const own = this.laneOf(node);
    invariant(own, 'the node has a vector form');
    if (node.op === 'column') this.#column(node, own, lane, part);
    else if (own === lane) this.keep(`${nodeKey(node)}|${lane}|${part}`, () => this.#compute(node, lane, part));
    else this.#widen(node, lane, part);
  }

  /**
   * As `part`, with 0 where the byte mask is 0. For one mask the narrower factor of a product is masked: there are fewer vectors of
   * it. With many masks the product is computed once.
   */
  maskedPart(node: Node, lane: Lane, part: number, mask: Local): void {
    const own = this.laneOf(node);
    if (node.op === 'convert' && node.how === 'width') this.maskedPart(node.arg, lane, part, mask);
    else if (this.manyMasks) this.#maskedWhole(node, lane, part, mask);
    else if (node.op === 'mul' && lane !== 'i64' && lane !== 'f32' && lane !== 'f64') {
      const [a, b] = [this.#masksCheaply(node.left), this.#masksCheaply(node.right)];
      const [masked, other] = a <= b ? [node.left, node.right] : [node.right, node.left];
      this.maskedPart(masked, lane, part, mask);
      this.part(other, lane, part);
      this.op(lane, 'mul');
    } else if (node.op === 'column' && own !== lane && lane !== 'f32' && lane !== 'f64') {
      invariant(lane !== 'i8', 'nothing is narrower than a byte');
      const from = narrower[lane];
      this.keep(`masked|${node.input}|${mask.index}|${lane}|${part}`, () => {
        this.maskedPart(node, from, part >> 1, mask);
        this.f.op(`${shapeOf[lane]}.extend_${part & 1 ? 'high' : 'low'}_${shapeOf[from]}_s` as PlainOp);
      });
    } else this.keep(`masked|${nodeKey(node)}|${mask.index}|${lane}|${part}`, () => this.#maskedWhole(node, lane, part, mask));
  }

  #maskedWhole(node: Node, lane: Lane, part: number, mask: Local): void {
    this.part(node, lane, part);
    this.laneMask(mask, lane, part);
    this.f.op('v128.and');
  }

  /** Vectors to mask. Constants cannot be masked for less than what they are multiplied with. */
  #masksCheaply(node: Node): number {
    if (node.op === 'convert' && node.how === 'width') return this.#masksCheaply(node.arg);
    const own = this.laneOf(node);
    if (node.op !== 'column' || !own) return 99;
    return partsOf(own);
  }

  /** Computes once per step: leaves what `compute` left, from a local from the second time on. */
  keep(key: string, compute: () => void): void {
    const known = this.#kept.get(key);
    if (known) {
      this.f.get(known);
      return;
    }
    compute();
    const local = this.f.local('v128');
    this.f.tee(local);
    this.#kept.set(key, local);
  }

  /** The constant in every lane, from memory: V8 builds other vector constants anew at every use. */
  splat(lane: Lane, value: bigint | number | boolean): void {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    for (let at = 0; at < 16; at += laneBytes[lane]) {
      if (lane === 'i8') view.setInt8(at, Number(value));
      else if (lane === 'i16') view.setInt16(at, Number(value), true);
      else if (lane === 'i32') view.setInt32(at, Number(value), true);
      else if (lane === 'i64') view.setBigInt64(at, BigInt(value), true);
      else if (lane === 'f32') view.setFloat32(at, Number(value), true);
      else view.setFloat64(at, Number(value), true);
    }
    this.constant(bytes);
  }

  constant(bytes: Uint8Array): void {
    if (bytes.every((b) => b === 0) || bytes.every((b) => b === 0xff)) this.f.v128(bytes);
    else this.f.i32(0).mem('v128.load', this.kernel.constant(bytes));
  }

  op(lane: Lane, name: string): void {
    this.f.op(`${shapeOf[lane]}.${name}` as PlainOp);
  }

  /** Mask (bytes 0 or -1) of rows whose value is not NULL, or undefined when none is. Leaves nothing on the stack. */
  validity(node: Node): Local | undefined {
    return validMaskOf(this, node);
  }

  columnValidity(input: number): Local | undefined {
    const column = this.inputs[input];
    invariant(column, 'the input is read');
    const { validity } = column;
    if (!validity) return undefined;
    const key = `valid|${input}`;
    this.keep(key, () => validityMask(this, validity));
    this.f.op('drop');
    return this.#kept.get(key);
  }

  /** Leaves the address of the column's first value of this step. */
  address(input: number): void {
    const known = this.#addresses.get(input);
    if (known) {
      this.f.get(known);
      return;
    }
    const column = this.inputs[input];
    invariant(column, 'the input is read');
    const local = this.f.local('i32');
    const shift = Math.log2(storedBytes(column.column));
    this.f.get(column.data).get(this.row);
    if (shift > 0) this.f.i32(shift).op('i32.shl');
    this.f.op('i32.add').tee(local);
    this.#addresses.set(input, local);
  }

  #column(node: NodeOf<'column'>, own: Lane, lane: Lane, part: number): void {
    const { f } = this;
    if (own === lane) {
      this.address(node.input);
      f.mem('v128.load', part * 16);
    } else if (lane !== 'i8' && lane !== 'f32' && lane !== 'f64' && narrower[lane] === own) {
      this.address(node.input);
      f.mem(own === 'i8' ? 'v128.load8x8_s' : own === 'i16' ? 'v128.load16x4_s' : 'v128.load32x2_s', part * 8);
    } else if (own === 'i8' && lane === 'i32') {
      this.address(node.input);
      f.mem('v128.load32_zero', part * 4).op('i16x8.extend_low_i8x16_s', 'i32x4.extend_low_i16x8_s');
    } else this.#widen(node, lane, part);
  }

  #widen(node: Node, lane: Lane, part: number): void {
    invariant(lane === 'i16' || lane === 'i32' || lane === 'i64', 'only integers are widened');
    const from = narrower[lane];
    this.part(node, from, part >> 1);
    this.f.op(`${shapeOf[lane]}.extend_${part & 1 ? 'high' : 'low'}_${shapeOf[from]}_s` as PlainOp);
  }

  #compute(node: Node, lane: Lane, part: number): void {
    switch (node.op) {
      case 'add':
      case 'sub':
      case 'div':
        this.part(node.left, lane, part);
        this.part(node.right, lane, part);
        this.op(lane, node.op);
        return;
      case 'mul':
        this.#product(node.left, node.right, lane, part);
        return;
      case 'negate':
        this.part(node.arg, lane, part);
        this.op(lane, 'neg');
        return;
      case 'rescale': {
        this.#product(node.arg, constNode(node.factor, node.type), lane, part);
        return;
      }
      case 'convert':
        emitVectorConvert(this, node, lane, part);
        return;
      case 'log1p':
        this.part(node.arg, lane, part);
        this.f.call(vectorLog1pFunction(this.kernel));
        return;
      case 'clamp':
        emitVectorClamp(this, node, lane, part);
        return;
      case 'bucketize':
        emitVectorBucketize(this, node, part);
        return;
      case 'coalesce':
        this.#coalesce(node.args, lane, part);
        return;
      default:
        invariant(false, 'lanes.ts admits only what is computed here');
    }
  }

  /** 64-bit products of 32-bit factors take one instruction, of 64-bit factors a dozen. */
  #product(left: Node, right: Node, lane: Lane, part: number): void {
    const small = (n: Node) => {
      const own = this.laneOf(n);
      return own === 'i8' || own === 'i16' || own === 'i32';
    };
    if (lane === 'i64' && small(left) && small(right)) {
      this.part(left, 'i32', part >> 1);
      this.part(right, 'i32', part >> 1);
      this.f.op(part & 1 ? 'i64x2.extmul_high_i32x4_s' : 'i64x2.extmul_low_i32x4_s');
      return;
    }
    this.part(left, lane, part);
    this.part(right, lane, part);
    this.op(lane, 'mul');
  }

  #coalesce(args: readonly Node[], lane: Lane, part: number): void {
    const [first, ...others] = args as [Node, ...Node[]];
    const valid = this.validity(first);
    this.part(first, lane, part);
    if (!valid || others.length === 0) return;
    this.#coalesce(others, lane, part);
    this.laneMask(valid, lane, part);
    this.f.op('v128.bitselect');
  }

  /** Leaves part of a byte mask spread to lanes: by sign extension, since V8 builds the pattern of every shuffle anew. */
  laneMask(mask: Local, lane: Lane, part: number): void {
    const wide = lane === 'f32' ? 'i32' : lane === 'f64' ? 'i64' : lane;
    if (wide === 'i8') {
      this.f.get(mask);
      return;
    }
    const from = narrower[wide];
    this.keep(`mask|${mask.index}|${wide}|${part}`, () => {
      this.laneMask(mask, from, part >> 1);
      this.f.op(`${shapeOf[wide]}.extend_${part & 1 ? 'high' : 'low'}_${shapeOf[from]}_s` as PlainOp);
    });
  }

  /** Leaves one byte mask made of the masks `part` leaves for each part. */
  narrowMask(lane: Lane, part: (p: number) => void): void {
    const { f } = this;
    const halves = (p: number, count: number): void => {
      if (count === 1) {
        part(p);
        return;
      }
      halves(p, count / 2);
      halves(p + count / 2, count / 2);
      if (partsOf(lane) === count) f.op('i8x16.narrow_i16x8_s');
      else if (partsOf(lane) / count === 2) f.op('i16x8.narrow_i32x4_s');
      else f.shuffle([0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27]);
    };
    halves(0, partsOf(lane));
  }
}
