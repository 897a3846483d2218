import { invariant } from '../../types/error.js';
import type { FunctionBuilder, Local } from '../encoder/function-builder.js';
import type { Node } from '../ir.js';
import { abi, type InputColumn, type KernelModule } from '../kernel-module.js';
import { blockRows } from '../compaction.js';
import { compareTextFunction } from '../scalar-text.js';
import { ScalarCompiler, type Validity } from '../scalar.js';
import { emitFloatCompare } from '../scalar-number.js';
import { BlockSelection, type Conjunction } from '../selection.js';
import type { UngroupedPartial } from './compile-ungrouped.js';
import { storeFloat, storeInteger, storeWide } from './store.js';

/** What both ways of computing ungrouped partials work on. */
export interface UngroupedScan {
  readonly kernel: KernelModule;
  readonly f: FunctionBuilder;
  readonly inputs: readonly InputColumn[];
  readonly rows: Local;
  readonly rowsMax: number;
  readonly conjunction: Conjunction;
  readonly partials: readonly UngroupedPartial[];
  readonly textBytesMax: number;
}

/** How one partial takes a row and leaves its result in the output. */
interface Fold {
  add(scalar: ScalarCompiler, row: Local): void;
  store(): void;
}

/** Row by row over the selected rows of each block; takes every expression. Leaves the number of selected rows in the i64 it gives. */
export function emitByRow(scan: UngroupedScan): Local {
  const { kernel, f, inputs, rows, conjunction } = scan;
  const [base, n, count, k, row] = [1, 2, 3, 4, 5].map(() => f.local('i32')) as [Local, Local, Local, Local, Local];
  const selected = f.local('i64');
  f.i64(0n).set(selected).i32(0).set(base);
  const selection = new BlockSelection(kernel, f, inputs, conjunction);
  const folds = scan.partials.map((p, i) => foldOf(scan, p, i, selected));
  f.while(
    () => f.get(base).get(rows).op('i32.lt_u'),
    () => {
      f.get(rows).get(base).op('i32.sub').i32(blockRows).get(rows).get(base).op('i32.sub').i32(blockRows).op('i32.lt_u', 'select').set(n);
      selection.emitBitmap(base, n, count);
      f.get(count).if(() => {
        selection.emitList(base, n, count);
        f.i32(0).set(k);
        f.while(
          () => f.get(k).get(count).op('i32.lt_u'),
          () => {
            f.get(k).i32(1).op('i32.shl').mem('i32.load16_u', selection.list).get(base).op('i32.add').set(row);
            const scalar = new ScalarCompiler(kernel, f, inputs, row);
            for (const fold of folds) fold.add(scalar, row);
            f.add(k, 1);
          },
        );
        f.get(selected).get(count).op('i64.extend_i32_u', 'i64.add').set(selected);
      });
      f.get(base).get(n).op('i32.add').set(base);
    },
  );
  for (const fold of folds) fold.store();
  return selected;
}

function foldOf(scan: UngroupedScan, partial: UngroupedPartial, index: number, selected: Local): Fold {
  const { f } = scan;
  const place = scan.kernel.outputs[index];
  invariant(place, 'every partial has its place');
  const { node } = partial;
  if (!node) return { add: () => {}, store: () => storeInteger(f, place, selected) };
  switch (partial.kind) {
    case 'rows':
    case 'count': {
      const count = f.local('i64');
      f.i64(0n).set(count);
      return {
        add: (scalar) => {
          const valid = scalar.validityOf([node]);
          f.get(count);
          if (valid) f.get(valid).op('i64.extend_i32_u');
          else f.i64(1n);
          f.op('i64.add').set(count);
        },
        store: () => storeInteger(f, place, count),
      };
    }
    case 'sum':
      return node.rep === 'f32' || node.rep === 'f64' ? floatSum(scan, node, index) : exactSum(scan, node, index);
    case 'min':
    case 'max':
      return node.rep === 'utf8' ? extremeText(scan, node, index, partial.kind) : extreme(scan, node, index, partial.kind);
    default:
      return partial.kind satisfies never;
  }
}

function onlyIf(f: FunctionBuilder, valid: Validity, body: () => void): void {
  if (valid) f.get(valid).if(body);
  else body();
}

/** Row i of the morsel adds to accumulator i mod 4; the result is (a0 + a1) + (a2 + a3). */
function floatSum({ kernel, f }: UngroupedScan, node: Node, index: number): Fold {
  const accumulators = kernel.reserve(32);
  for (const at of [0, 8, 16, 24]) f.i32(accumulators).f64(0).mem('f64.store', at);
  const place = kernel.outputs[index]!;
  return {
    add: (scalar, row) => {
      const valid = scalar.value(node);
      if (node.rep === 'f32') f.op('f64.promote_f32');
      const value = f.local('f64');
      const at = f.local('i32');
      f.set(value);
      onlyIf(f, valid, () => {
        f.get(row).i32(3).op('i32.and').i32(3).op('i32.shl').tee(at);
        f.get(at).mem('f64.load', accumulators).get(value).op('f64.add').mem('f64.store', accumulators);
      });
      f.release(value, at);
    },
    store: () => {
      const sum = f.local('f64');
      f.i32(accumulators).mem('f64.load').i32(accumulators).mem('f64.load', 8).op('f64.add');
      f.i32(accumulators).mem('f64.load', 16).i32(accumulators).mem('f64.load', 24).op('f64.add', 'f64.add').set(sum);
      storeFloat(f, place, sum);
    },
  };
}

function exactSum({ kernel, f }: UngroupedScan, node: Node, index: number): Fold {
  const place = kernel.outputs[index]!;
  const low = f.local('i64');
  const high = place.column.physical === 'i128' ? f.local('i64') : undefined;
  f.i64(0n).set(low);
  if (high) f.i64(0n).set(high);
  return {
    add: (scalar) => {
      const valid = scalar.value(node);
      if (node.rep !== 'i64') f.op('i64.extend_i32_s');
      const value = f.local('i64');
      f.set(value);
      if (valid) f.get(value).i64(0n).get(valid).op('select').set(value);
      f.get(low).get(value).op('i64.add').set(low);
      if (high) f.get(high).get(value).i64(63n).op('i64.shr_s', 'i64.add').get(low).get(value).op('i64.lt_u', 'i64.extend_i32_u', 'i64.add').set(high);
      f.release(value);
    },
    store: () => (high ? storeWide(f, place, low, high) : storeInteger(f, place, low)),
  };
}

function extreme({ kernel, f }: UngroupedScan, node: Node, index: number, kind: 'min' | 'max'): Fold {
  const place = kernel.outputs[index]!;
  const rep = node.rep === 'bool' ? 'i32' : node.rep;
  invariant(rep !== 'utf8', 'strings have their own way');
  const best = f.local(rep);
  const seen = f.local('i32');
  const zero = () => (rep === 'i64' ? f.i64(0n) : rep === 'f32' ? f.f32(0) : rep === 'f64' ? f.f64(0) : f.i32(0));
  zero().set(best);
  f.i32(0).set(seen);
  return {
    add: (scalar) => {
      const valid = scalar.value(node);
      const value = f.local(rep);
      f.set(value);
      f.get(value).get(best);
      if (rep === 'f32' || rep === 'f64') emitFloatCompare(f, rep, kind === 'min' ? 'lt' : 'gt', false);
      else f.op(`${rep}.${kind === 'min' ? 'lt' : 'gt'}_s`);
      f.get(seen).op('i32.eqz', 'i32.or');
      if (valid) f.get(valid).op('i32.and');
      f.if(() => {
        f.get(value);
        // One zero: -0 is shown as 0.
        if (rep === 'f32') f.f32(0).op('f32.add');
        if (rep === 'f64') f.f64(0).op('f64.add');
        f.set(best).i32(1).set(seen);
      });
      f.release(value);
    },
    store: () => (rep === 'f32' || rep === 'f64' ? storeFloat(f, place, best) : storeInteger(f, place, best)),
  };
}

/** The best string stays where it lies in the input until the end of the morsel. */
function extremeText({ kernel, f, textBytesMax }: UngroupedScan, node: Node, index: number, kind: 'min' | 'max'): Fold {
  const place = kernel.outputs[index]!;
  const [bestAt, bestBytes, seen] = [f.local('i32'), f.local('i32'), f.local('i32')];
  f.i32(0).set(bestAt).i32(0).set(bestBytes).i32(0).set(seen);
  return {
    add: (scalar) => {
      const valid = scalar.value(node);
      const [at, bytes] = scalar.store('utf8') as [Local, Local];
      onlyIf(f, valid, () => {
        f.get(at).get(bytes).get(bestAt).get(bestBytes).call(compareTextFunction(kernel)).i32(0).op(kind === 'min' ? 'i32.lt_s' : 'i32.gt_s');
        f.get(seen).op('i32.eqz', 'i32.or').if(() => {
          f.get(at).set(bestAt).get(bytes).set(bestBytes).i32(1).set(seen);
        });
      });
    },
    store: () => {
      f.get(bestBytes).i32(textBytesMax).op('i32.gt_u').if(() => {
        f.i32(abi.outOfHeap).op('return');
      });
      f.i32(place.data).get(bestAt).get(bestBytes).memoryCopy();
      f.i32(place.offsets ?? 0).i32(0).mem('i32.store').i32(place.offsets ?? 0).get(bestBytes).mem('i32.store', 4);
    },
  };
}
