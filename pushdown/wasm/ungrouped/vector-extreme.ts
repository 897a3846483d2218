import { invariant } from '../../types/error.js';
import type { Local } from '../encoder/function-builder.js';
import type { PlainOp } from '../encoder/opcodes.js';
import type { Node } from '../ir.js';
import type { OutputColumn } from '../kernel-module.js';
import { type Lane, laneBytes, laneOf, partsOf, shapeOf } from '../lanes.js';
import type { VectorCompiler } from '../vector.js';
import type { UngroupedScan } from './by-row.js';
import { both, type VectorFold } from './by-vector.js';
import { storeFloat, storeInteger } from './store.js';

const limits = { i8: 7n, i16: 15n, i32: 31n, i64: 63n } as const;

/**
 * Least or greatest value. Floats are compared as integers of the same order: NaN above all, one zero, one NaN. Rows that are
 * not wanted take the value that never wins.
 */
export function emitVectorExtreme(scan: UngroupedScan, node: Node, place: OutputColumn, kind: 'min' | 'max'): VectorFold {
  const { f, kernel } = scan;
  const own = laneOf(node, scan.inputs.map((i) => i.column));
  invariant(own, 'the value has a vector form');
  const lane = own === 'f32' ? 'i32' : own === 'f64' ? 'i64' : own;
  const float = own === 'f32' || own === 'f64' ? own : undefined;
  const loser = kind === 'min' ? 2n ** limits[lane] - 1n : -(2n ** limits[lane]);
  const [best, seen] = [f.local('v128'), f.local('v128')];
  splat(scan, lane, loser, best);
  f.v128(new Uint8Array(16)).set(seen);
  const compare = f.local('v128');
  const value = f.local('v128');
  const fold = () => {
    // Leaves the better of best and value.
    if (lane !== 'i64') {
      f.get(best).get(value).op(`${shapeOf[lane]}.${kind}_s` as PlainOp).set(best);
      return;
    }
    f.get(best).get(value).get(best).get(value).op(kind === 'min' ? 'i64x2.lt_s' : 'i64x2.gt_s', 'v128.bitselect').set(best);
  };
  return {
    add: (v, mask) => {
      const wanted = both(v, mask, node);
      f.get(seen).get(wanted).op('v128.or').set(seen);
      for (let part = 0; part < partsOf(lane); part++) {
        if (float) orderedBits(v, node, float, part, compare);
        else v.part(node, lane, part);
        v.splat(lane, loser);
        v.laneMask(wanted, lane, part);
        f.op('v128.bitselect').set(value);
        fold();
      }
    },
    store: () => {
      const scratch = kernel.reserve(16, 16);
      const result = f.local(lane === 'i64' ? 'i64' : 'i32');
      const other = f.local(result.type);
      f.i32(scratch).get(best).mem('v128.store');
      for (let at = 0; at < 16; at += laneBytes[lane]) {
        f.i32(scratch).mem(lane === 'i64' ? 'i64.load' : lane === 'i32' ? 'i32.load' : lane === 'i16' ? 'i32.load16_s' : 'i32.load8_s', at).set(other);
        if (at === 0) f.get(other).set(result);
        else f.get(other).get(result).get(other).get(result).op(`${result.type === 'i64' ? 'i64' : 'i32'}.${kind === 'min' ? 'lt_s' : 'gt_s'}`, 'select').set(result);
      }
      if (float === undefined) {
        noneIsZero(scan, seen, result);
        storeInteger(f, place, result);
        return;
      }
      const bits = float === 'f32' ? 31 : 63;
      const constant = (n: number) => (float === 'f32' ? f.i32(n) : f.i64(BigInt(n)));
      const rep = float === 'f32' ? 'i32' : 'i64';
      f.get(result).get(result);
      constant(bits).op(`${rep}.shr_s`);
      constant(1).op(`${rep}.shr_u`, `${rep}.xor`).set(result);
      noneIsZero(scan, seen, result);
      const back = f.local(float);
      f.get(result).op(float === 'f32' ? 'f32.reinterpret_i32' : 'f64.reinterpret_i64').set(back);
      storeFloat(f, place, back);
    },
  };
}

/** A partial over no value is 0. */
function noneIsZero({ f }: UngroupedScan, seen: Local, result: Local): void {
  f.get(result);
  if (result.type === 'i64') f.i64(0n);
  else f.i32(0);
  f.get(seen).op('v128.any_true', 'select').set(result);
}

function splat({ f }: UngroupedScan, lane: keyof typeof limits, value: bigint, into: Local): void {
  if (lane === 'i64') f.i64(value).op('i64x2.splat');
  else f.i32(Number(value)).op(`${shapeOf[lane]}.splat` as PlainOp);
  f.set(into);
}

/** Leaves float bits as integers of the same order: of negative numbers all bits but the sign are flipped. */
function orderedBits(v: VectorCompiler, node: Node, lane: Extract<Lane, 'f32' | 'f64'>, part: number, value: Local): void {
  const { f } = v;
  const shape = lane === 'f32' ? 'i32x4' : 'i64x2';
  v.splat(lane, Number.NaN);
  v.part(node, lane, part);
  // -0 + 0 is 0.
  v.splat(lane, 0);
  f.op(`${shapeOf[lane]}.add`).tee(value).get(value).get(value).op(`${shapeOf[lane]}.ne`, 'v128.bitselect').tee(value);
  f.get(value).i32(lane === 'f32' ? 31 : 63).op(`${shape}.shr_s`).i32(1).op(`${shape}.shr_u`, 'v128.xor');
}
