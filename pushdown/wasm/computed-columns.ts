import { invariant } from '../types/error.js';
import { valueBytes } from '../types/physical.js';
import type { Column } from '../types/schema.js';
import type { Local } from './encoder/function-builder.js';
import type { MemoryOp } from './encoder/opcodes.js';
import type { Node } from './ir.js';
import { laneOf, laneOfColumn, partsOf, stepRows, widest } from './lanes.js';
import { emitMask, hasMask } from './mask.js';
import { type RowColumnState, scaled } from './row-columns.js';
import { ScalarCompiler } from './scalar.js';
import { failIf } from './scalar-number.js';
import { childrenOf, mayFail } from './selection.js';
import { VectorCompiler } from './vector.js';
import { edgeMask } from './edge-mask.js';

/** Whether a column can be computed sixteen rows at a time. What can fail must not hide behind AND, OR or coalesce: lanes compute it all. */
export function hasVectorForm(node: Node, columns: readonly Column[]): boolean {
  if (node.rep === 'bool') return hasMask(node, columns) && !mayFail(node);
  return laneOf(node, columns) !== undefined && !failsBehindCoalesce(node);
}

function failsBehindCoalesce(node: Node): boolean {
  if (node.op === 'coalesce') return mayFail(node);
  return childrenOf(node).some(failsBehindCoalesce);
}

/** Emits a column row by row: the listed rows of the block, or all. */
export function emitComputedRows(state: RowColumnState, index: number, node: Node, list: number | undefined): void {
  const { f, kernel, inputs, block } = state;
  const place = state.place(index);
  const scratch = state.scratch(index);
  const [k, row] = [f.local('i32'), f.local('i32')];
  f.i32(0).set(k);
  f.while(
    () => f.get(k).get(block.count).op('i32.lt_u'),
    () => {
      f.get(block.base);
      if (list === undefined) f.get(k);
      else f.get(k).i32(1).op('i32.shl').mem('i32.load16_u', list);
      f.op('i32.add').set(row);
      const scalar = new ScalarCompiler(kernel, f, inputs, row);
      const valid = scalar.value(node);
      const [value] = scalar.store(node.rep) as [Local];
      /** Address of the column's element for this row. */
      const at = (base: number, width: number) => {
        f.i32(base).get(block.outRows).get(k).op('i32.add');
        if (width > 1) f.i32(Math.log2(width)).op('i32.shl');
        f.op('i32.add');
      };
      if (scratch.boolBytes !== undefined) {
        at(scratch.boolBytes, 1);
        f.i32(0).get(value).op('i32.sub').mem('i32.store8');
      } else {
        const width = valueBytes[place.column.physical] ?? 0;
        at(place.data, width);
        f.get(value).mem(storeOf(node.rep, width));
      }
      if (scratch.validBytes !== undefined) {
        at(scratch.validBytes, 1);
        if (valid) f.i32(0).get(valid).op('i32.sub');
        else f.i32(-1);
        f.mem('i32.store8');
      }
      f.add(k, 1);
    },
  );
  f.release(k, row);
}

function storeOf(rep: Node['rep'], width: number): MemoryOp {
  if (rep === 'f32' || rep === 'f64') return `${rep}.store`;
  if (rep === 'i64') return width === 8 ? 'i64.store' : width === 4 ? 'i64.store32' : width === 2 ? 'i64.store16' : 'i64.store8';
  return width === 4 ? 'i32.store' : width === 2 ? 'i32.store16' : 'i32.store8';
}

/** Emits a column sixteen rows at a time for the whole block: into the output buffers, or into the block's scratch. */
export function emitComputedVector(state: RowColumnState, index: number, node: Node, target: 'output' | 'block'): void {
  const { f, kernel, inputs, block } = state;
  const place = state.place(index);
  const scratch = state.scratch(index);
  const room = target === 'block' ? state.blockRoom(index) : { values: scratch.boolBytes ?? place.data, valid: scratch.validBytes };
  const width = scratch.boolBytes !== undefined ? 1 : (valueBytes[place.column.physical] ?? 0);
  const [row, end, values, valids] = [1, 2, 3, 4].map(() => f.local('i32')) as [Local, Local, Local, Local];
  const start = (base: number, bytes: number, into: Local) => {
    if (target === 'block') f.i32(base);
    else scaled(f, () => f.i32(base), block.outRows, bytes);
    f.set(into);
  };
  start(room.values, width, values);
  if (room.valid !== undefined) start(room.valid, 1, valids);
  f.get(block.base).tee(row).get(block.rows).op('i32.add').set(end);
  const faults = mayFail(node) ? { seen: f.local('v128'), wanted: f.local('v128') } : undefined;
  if (faults) f.v128(new Uint8Array(16)).set(faults.seen);
  f.while(
    () => f.get(row).get(end).op('i32.lt_u'),
    () => {
      if (faults) {
        edgeMask(kernel, f, row, end);
        f.set(faults.wanted);
      }
      const v = new VectorCompiler(kernel, f, inputs, row, faults);
      if (node.rep === 'bool') emitBool(v, node, values, room.valid === undefined ? undefined : valids);
      else {
        emitParts(v, node, place.column, values);
        if (room.valid !== undefined) {
          const valid = v.validity(node);
          f.get(valids);
          if (valid) f.get(valid);
          else f.v128(new Uint8Array(16).fill(0xff));
          f.mem('v128.store', 0, 0);
        }
      }
      f.add(row, stepRows).add(values, stepRows * width);
      if (room.valid !== undefined) f.add(valids, stepRows);
    },
  );
  if (faults) {
    f.get(faults.seen).op('v128.any_true');
    failIf(f, undefined);
    f.release(faults.seen, faults.wanted);
  }
  f.release(row, end, values, valids);
}

const lowHalves = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27];

function emitParts(v: VectorCompiler, node: Node, column: Column, values: Local): void {
  const wanted = laneOfColumn(column);
  const own = v.laneOf(node);
  invariant(wanted && own, 'the value has a vector form');
  const narrow = wanted === 'i32' && own === 'i64';
  invariant(narrow || wanted === own || widest(wanted, own) === wanted, 'the output is as wide as the value');
  for (let part = 0; part < partsOf(wanted); part++) {
    v.f.get(values);
    if (narrow) {
      // Stored in 64 bits, proven to fit 32: the low halves.
      v.part(node, own, part * 2);
      v.part(node, own, part * 2 + 1);
      v.f.shuffle(lowHalves);
    } else v.part(node, wanted, part);
    v.f.mem('v128.store', part * 16, 0);
  }
}

function emitBool(v: VectorCompiler, node: Node, values: Local, valids: Local | undefined): void {
  const { f } = v;
  const isTrue = f.local('v128');
  emitMask(v, node, true);
  f.set(isTrue).get(values).get(isTrue).mem('v128.store', 0, 0);
  if (valids) {
    f.get(valids).get(isTrue);
    emitMask(v, node, false);
    f.op('v128.or').mem('v128.store', 0, 0);
  }
  f.release(isTrue);
}
