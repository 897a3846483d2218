import type { FunctionBuilder, Local } from '../encoder/function-builder.js';
import { i32Range, type Node, within } from '../ir.js';
import { blockRows } from '../compaction.js';
import { emitAccumulate } from './accumulate.js';
import type { SharedScalarCompiler } from './shared-scalar.js';
import type { PreparedPartial } from './shape.js';
import type { GroupTable } from './table.js';
import { toWord } from './word.js';

/** How one partial takes the rows of one group of one block: in locals. */
export interface Fold {
  start(): void;
  add(scalar: SharedScalarCompiler): void;
  store(): void;
}

/** In the rows word of a group that exists but has no row yet. Row counts stay below it. */
export const existsMark = 1n << 62n;

/** The fold of partial `index` into the group at `entry`, of which `count` rows will be added. */
export function foldOf(f: FunctionBuilder, table: GroupTable, { node, scan, kind }: PreparedPartial, index: number, entry: Local, count: Local): Fold {
  const at = table.layout.accumulatorsAt[index]!;
  if (!node) {
    return {
      start: () => {},
      add: () => {},
      store: () => {
        // Takes the mark of a new group away.
        f.get(entry).get(entry).mem('i64.load', at).i64(existsMark - 1n).op('i64.and').get(count).op('i64.extend_i32_u', 'i64.add').mem('i64.store', at);
      },
    };
  }
  if (scan.form === 'sumF64') {
    const sum = f.local('f64');
    return {
      start: () => f.get(entry).mem('f64.load', at).set(sum),
      add: (scalar) => {
        f.get(sum);
        const valid = scalar.value(node);
        if (node.rep === 'f32') f.op('f64.promote_f32');
        if (valid) f.f64(0).get(valid).op('select');
        f.op('f64.add').set(sum);
      },
      store: () => f.get(entry).get(sum).mem('f64.store', at),
    };
  }
  const word = f.local('i64');
  if (scan.form === 'min' || scan.form === 'max') {
    const candidate = f.local('i64');
    return {
      start: () => f.get(entry).mem('i64.load', at).set(word),
      add: (scalar) => {
        const valid = scalar.value(node);
        toWord(table.kernel, f, node.rep);
        f.tee(candidate).get(word).get(candidate).get(word).op(scan.form === 'min' ? 'i64.lt_s' : 'i64.gt_s');
        if (valid) f.get(valid).op('i32.and');
        f.op('select').set(word);
      },
      store: () => f.get(entry).get(word).mem('i64.store', at),
    };
  }
  if (kind === 'sum' && node.rep === 'i32' && blockFitsI32(node)) {
    const sum = f.local('i32');
    return {
      start: () => f.i32(0).set(sum),
      add: (scalar) => {
        f.get(sum);
        const valid = scalar.value(node);
        if (valid) f.i32(0).get(valid).op('select');
        f.op('i32.add').set(sum);
      },
      store: () => {
        f.get(sum).op('i64.extend_i32_s').set(word);
        emitAccumulate(table, f, index, entry, { kind: 'word', word, valid: undefined });
      },
    };
  }
  return {
    start: () => f.i64(0n).set(word),
    add: (scalar) => {
      f.get(word);
      if (kind === 'count') {
        const valid = scalar.validityOf([node]);
        if (valid) f.get(valid).op('i64.extend_i32_u');
        else f.i64(1n);
      } else {
        const valid = scalar.value(node);
        toWord(table.kernel, f, node.rep);
        if (valid) f.i64(0n).get(valid).op('select');
      }
      f.op('i64.add').set(word);
    },
    store: () => emitAccumulate(table, f, index, entry, { kind: 'word', word, valid: undefined }),
  };
}

/** Whether a block's values add up to 32 bits. */
const blockFitsI32 = ({ range }: Node): boolean => range !== undefined && within({ min: range.min * BigInt(blockRows), max: range.max * BigInt(blockRows) }, i32Range);
