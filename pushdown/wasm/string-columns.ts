import { invariant } from '../types/error.js';
import { copyTextFunction } from './copy-text.js';
import type { Local } from './encoder/function-builder.js';
import type { RowColumnState } from './row-columns.js';
import { ScalarCompiler } from './scalar.js';

/** Emits a utf8 column for the listed rows of the block (all without a list); noRoom when the data buffer is full. */
export function emitStrings(state: RowColumnState, index: number, list: number | undefined, noRoom: () => void): void {
  const { f, kernel, inputs, block, utf8Capacity } = state;
  const output = state.outputs[index];
  const place = state.place(index);
  const { used, validBytes } = state.scratch(index);
  invariant(output && used && place.offsets !== undefined, 'a string column has offsets and a buffer');
  const node = output.source.kind === 'computed' ? output.source.node : state.columnNode(output.source.input);
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
      const [address, bytes] = scalar.store('utf8') as [Local, Local];
      if (valid) f.get(bytes).i32(0).get(valid).op('select').set(bytes);
      // Unsigned and 64-bit: a wrong offset in the input makes a length beyond the buffer, not a wrap-around.
      f.get(used).op('i64.extend_i32_u').get(bytes).op('i64.extend_i32_u', 'i64.add').i64(BigInt(utf8Capacity)).op('i64.gt_u').if(noRoom);
      f.i32(place.data).get(used).op('i32.add').get(address).get(bytes).call(copyTextFunction(kernel));
      f.get(used).get(bytes).op('i32.add').set(used);
      f.get(block.outRows).get(k).op('i32.add').i32(2).op('i32.shl').get(used).mem('i32.store', place.offsets! + 4);
      if (validBytes !== undefined) {
        f.i32(validBytes).get(block.outRows).op('i32.add').get(k).op('i32.add');
        if (valid) f.i32(0).get(valid).op('i32.sub');
        else f.i32(-1);
        f.mem('i32.store8');
      }
      f.add(k, 1);
    },
  );
  f.release(k, row);
}
