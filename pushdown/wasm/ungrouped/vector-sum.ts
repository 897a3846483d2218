import { invariant } from '../../types/error.js';
import type { FunctionBuilder, Local } from '../encoder/function-builder.js';
import type { Node } from '../ir.js';
import type { InputColumn, OutputColumn } from '../kernel-module.js';
import { laneOf, partsOf, stepRows } from '../lanes.js';
import type { VectorCompiler } from '../vector.js';
import type { UngroupedScan } from './by-row.js';
import { both, magnitude, type VectorFold } from './by-vector.js';
import { storeFloat, storeInteger } from './store.js';

export function emitVectorSum(scan: UngroupedScan, node: Node, place: OutputColumn): VectorFold {
  if (node.rep === 'f32' || node.rep === 'f64') return floatSum(scan, node, place);
  const { f, rowsMax, inputs } = scan;
  return emitExactVectorSum(f, inputs, node, rowsMax, (sum) => storeInteger(f, place, sum));
}

/** Two vectors of two accumulators: row i of the morsel adds to accumulator i mod 4. */
function floatSum({ f }: UngroupedScan, arg: Node, place: OutputColumn): VectorFold {
  const node: Node = arg.rep === 'f64' ? arg : { op: 'convert', how: 'floatToFloat', arg, rep: 'f64', type: { kind: 'float64' }, nullable: arg.nullable };
  const accumulators = [f.local('v128'), f.local('v128')] as const;
  for (const a of accumulators) f.v128(new Uint8Array(16)).set(a);
  return {
    add: (v, mask) => {
      const wanted = both(v, mask, node);
      for (let part = 0; part < 8; part++) {
        const accumulator = part & 1 ? accumulators[1] : accumulators[0];
        // Rows that are not wanted add +0, which changes no sum: none is ever -0.
        f.get(accumulator);
        v.part(node, 'f64', part);
        v.laneMask(wanted, 'f64', part);
        f.op('v128.and', 'f64x2.add').set(accumulator);
      }
    },
    store: () => {
      const sum = f.local('f64');
      const lane = (a: Local, i: number) => f.get(a).lane('f64x2.extract_lane', i);
      lane(accumulators[0], 0);
      lane(accumulators[0], 1).op('f64.add');
      lane(accumulators[1], 0);
      lane(accumulators[1], 1).op('f64.add', 'f64.add').set(sum);
      storeFloat(f, place, sum);
    },
  };
}

/**
 * Sum of at most rowsMax exact values, which must fit 64 bits. Bounds decide how long it stays in 32 bits: for all of them, for one
 * step, or not at all. finish gets an i64.
 */
export function emitExactVectorSum(f: FunctionBuilder, inputs: readonly InputColumn[], node: Node, rowsMax: number, finish: (sum: Local) => void): VectorFold {
  invariant(node.range, 'an exact sum has bounds');
  const lane = laneOf(node, inputs.map((i) => i.column));
  invariant(lane && lane !== 'f32' && lane !== 'f64', 'an exact sum has integer lanes');
  const bound = magnitude(node.range);
  const steps = BigInt(Math.ceil(rowsMax / stepRows));
  const narrow = lane !== 'i64' && bound * 4n * steps < 2n ** 31n;
  const accumulator = f.local('v128');
  f.v128(new Uint8Array(16)).set(accumulator);
  return {
    add: (v, mask) => {
      const wanted = both(v, mask, node);
      const stepFits = lane !== 'i64' && bound * 4n < 2n ** 31n;
      if (stepFits) {
        if (narrow) f.get(accumulator);
        stepSum(v, node, lane, wanted);
        if (narrow) f.op('i32x4.add').set(accumulator);
        else addWidened(v, accumulator);
        return;
      }
      const wide = lane === 'i64' ? 'i64' : 'i32';
      for (let part = 0; part < partsOf(wide); part++) {
        if (wide === 'i64') {
          f.get(accumulator);
          v.maskedPart(node, 'i64', part, wanted);
          f.op('i64x2.add').set(accumulator);
        } else {
          v.maskedPart(node, 'i32', part, wanted);
          addWidened(v, accumulator);
        }
      }
    },
    store: () => {
      const sum = f.local('i64');
      if (narrow) {
        f.i64(0n);
        for (let i = 0; i < 4; i++) f.get(accumulator).lane('i32x4.extract_lane', i).op('i64.extend_i32_s', 'i64.add');
      } else f.get(accumulator).lane('i64x2.extract_lane', 0).get(accumulator).lane('i64x2.extract_lane', 1).op('i64.add');
      f.set(sum);
      finish(sum);
      f.release(sum);
    },
  };
}

/** Leaves the sixteen masked values added up in four 32-bit lanes. */
function stepSum(v: VectorCompiler, node: Node, lane: 'i8' | 'i16' | 'i32', wanted: Local): void {
  const { f } = v;
  for (let part = 0; part < partsOf(lane); part++) {
    v.maskedPart(node, lane, part, wanted);
    if (lane === 'i8') f.op('i16x8.extadd_pairwise_i8x16_s', 'i32x4.extadd_pairwise_i16x8_s');
    if (lane === 'i16') f.op('i32x4.extadd_pairwise_i16x8_s');
    if (part > 0) f.op('i32x4.add');
  }
}

/** Adds the four 32-bit lanes on the stack to the two 64-bit ones of the accumulator. */
function addWidened(v: VectorCompiler, accumulator: Local): void {
  const { f } = v;
  const narrow = f.local('v128');
  f.tee(narrow).op('i64x2.extend_low_i32x4_s').get(narrow).op('i64x2.extend_high_i32x4_s', 'i64x2.add').get(accumulator).op('i64x2.add').set(accumulator);
  f.release(narrow);
}
