import { blockRows } from '../compaction.js';
import type { FunctionBuilder, Local } from '../encoder/function-builder.js';
import type { InputColumn } from '../kernel-module.js';
import { both, type VectorFold } from '../ungrouped/by-vector.js';
import { emitExactVectorSum } from '../ungrouped/vector-sum.js';
import { emitAccumulate } from './accumulate.js';
import { emitDigitSum } from './digit-sum.js';
import type { PreparedPartial } from './shape.js';
import type { GroupTable } from './table.js';

/**
 * The fold of a count or exact sum of one group over one block, in vectors; store adds it to the group at `entry`. Undefined for
 * what the group's number of rows already says. Emits the start of the fold at once.
 */
export function vectorFoldOf(f: FunctionBuilder, table: GroupTable, inputs: readonly InputColumn[], { node, kind }: PreparedPartial, index: number, entry: Local): VectorFold | undefined {
  const addWord = (word: Local) => emitAccumulate(table, f, index, entry, { kind: 'word', word, valid: undefined });
  if (!node) return undefined;
  if (kind === 'sum') return emitDigitSum(f, inputs, node, addWord) ?? emitExactVectorSum(f, inputs, node, blockRows, addWord);
  const count = f.local('i32');
  f.i32(0).set(count);
  return {
    add: (v, mask) => {
      f.get(count).get(both(v, mask, node)).op('i8x16.bitmask', 'i32.popcnt', 'i32.add').set(count);
    },
    store: () => {
      const word = f.local('i64');
      f.get(count).op('i64.extend_i32_u').set(word);
      addWord(word);
      f.release(word);
    },
  };
}
