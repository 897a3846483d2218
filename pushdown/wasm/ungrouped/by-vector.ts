import { invariant } from '../../types/error.js';
import { edgeMask } from '../edge-mask.js';
import { mayFail } from '../selection.js';
import type { Column } from '../../types/schema.js';
import type { Local } from '../encoder/function-builder.js';
import type { Node, Range } from '../ir.js';
import { laneOf, stepRows } from '../lanes.js';
import { emitMask } from '../mask.js';
import { VectorCompiler } from '../vector.js';
import type { UngroupedScan } from './by-row.js';
import type { UngroupedPartial } from './compile-ungrouped.js';
import { emitVectorExtreme } from './vector-extreme.js';
import { emitVectorSum } from './vector-sum.js';
import { storeInteger } from './store.js';

/** How one partial takes sixteen rows, of which `mask` (bytes 0 or -1) are wanted, and leaves its result in the output. */
export interface VectorFold {
  add(v: VectorCompiler, mask: Local): void;
  store(): void;
}

export function hasVectorPartial(partial: UngroupedPartial, columns: readonly Column[]): boolean {
  const { node, column, kind } = partial;
  if (!node) return true;
  if (mayFail(node)) return false;
  if (kind === 'count') return !node.nullable || node.op === 'column' || laneOf(node, columns) !== undefined;
  return laneOf(node, columns) !== undefined && column.physical !== 'i128' && column.physical !== 'bool';
}

/** Sixteen rows a step, without a branch: rows that are not wanted add 0. Gives the number of selected rows. */
export function emitByVector(scan: UngroupedScan): Local {
  const { kernel, f, inputs, rows, conjunction } = scan;
  const row = f.local('i32');
  const mask = f.local('v128');
  const selected = f.local('i32');
  f.i32(0).set(row).i32(0).set(selected);
  const folds = scan.partials.map((p, i) => foldOf(scan, p, i, selected));
  f.while(
    () => f.get(row).get(rows).op('i32.lt_u'),
    () => {
      const v = new VectorCompiler(kernel, f, inputs, row);
      edgeMask(kernel, f, row, rows);
      for (const node of conjunction.masks) {
        emitMask(v, node, true);
        f.op('v128.and');
      }
      f.set(mask);
      for (const fold of folds) fold.add(v, mask);
      f.get(selected).get(mask).op('i8x16.bitmask', 'i32.popcnt', 'i32.add').set(selected);
      f.add(row, stepRows);
    },
  );
  for (const fold of folds) fold.store();
  const wide = f.local('i64');
  f.get(selected).op('i64.extend_i32_u').set(wide);
  return wide;
}

function foldOf(scan: UngroupedScan, partial: UngroupedPartial, index: number, selected: Local): VectorFold {
  const { f } = scan;
  const place = scan.kernel.outputs[index];
  invariant(place, 'every partial has its place');
  const { node } = partial;
  if (!node || (partial.kind === 'count' && !node.nullable)) return { add: () => {}, store: () => storeInteger(f, place, selected) };
  switch (partial.kind) {
    case 'rows':
    case 'count': {
      const count = f.local('i32');
      f.i32(0).set(count);
      return {
        add: (v, mask) => {
          const wanted = both(v, mask, node);
          f.get(count).get(wanted).op('i8x16.bitmask', 'i32.popcnt', 'i32.add').set(count);
        },
        store: () => storeInteger(f, place, count),
      };
    }
    case 'sum':
      return emitVectorSum(scan, node, place);
    case 'min':
    case 'max':
      return emitVectorExtreme(scan, node, place, partial.kind);
    default:
      return partial.kind satisfies never;
  }
}

/** Wanted rows whose value is not NULL. */
export function both(v: VectorCompiler, mask: Local, node: Node): Local {
  const valid = node.nullable ? v.validity(node) : undefined;
  if (!valid) return mask;
  const wanted = v.f.local('v128');
  v.f.get(mask).get(valid).op('v128.and').set(wanted);
  return wanted;
}

export const magnitude = (range: Range): bigint => (-range.min > range.max ? -range.min : range.max);
