import type { LogicalType } from '../../types/logical.js';
import type { Column } from '../../types/schema.js';
import type { FunctionBuilder, Local } from '../encoder/function-builder.js';
import type { Rep } from '../ir.js';
import { type KernelModule, type OutputColumn } from '../kernel-module.js';

/**
 * Keys, minima and maxima as 64-bit words. exact: the value. float: f64 bits reordered so that signed comparison is SQL's order
 * (NaN on top, one NaN, one zero). text: address in the low half, bytes in the high half.
 */
export type WordKind = 'exact' | 'float' | 'text';

export const wordKindOf = (column: Column): WordKind =>
  column.physical === 'utf8' ? 'text' : column.physical === 'f32' || column.physical === 'f64' ? 'float' : 'exact';

export const repKind = (rep: Rep): WordKind => (rep === 'utf8' ? 'text' : rep === 'f32' || rep === 'f64' ? 'float' : 'exact');

/** Turns the value on the stack, of representation `rep`, into a word. */
export function toWord(kernel: KernelModule, f: FunctionBuilder, rep: Rep): void {
  switch (rep) {
    case 'i32':
      f.op('i64.extend_i32_s');
      break;
    case 'bool':
      f.op('i64.extend_i32_u');
      break;
    case 'i64':
      break;
    case 'f32':
      f.op('f64.promote_f32').call(orderedBits(kernel));
      break;
    case 'f64':
      f.call(orderedBits(kernel));
      break;
    case 'utf8': {
      const bytes = f.local('i32');
      f.set(bytes).op('i64.extend_i32_u').get(bytes).op('i64.extend_i32_u').i64(32n).op('i64.shl', 'i64.or');
      f.release(bytes);
      break;
    }
    default:
      rep satisfies never;
  }
}

/** f64 -> word. Negative numbers: all bits but the sign flipped. */
function orderedBits(kernel: KernelModule): FunctionBuilder {
  return kernel.helper('ordered_bits', ['f64'], ['i64'], (f) => {
    const [value] = f.params as [Local];
    const bits = f.local('i64');
    // + 0 makes -0 into 0.
    f.f64(Number.NaN).get(value).f64(0).op('f64.add').get(value).get(value).op('f64.ne', 'select', 'i64.reinterpret_f64').set(bits);
    f.get(bits).get(bits).i64(63n).op('i64.shr_s').i64(1n).op('i64.shr_u', 'i64.xor');
  });
}

/** Stores the word in `word` as row `row` of an output column (not bool, not utf8). */
export function storeWord(f: FunctionBuilder, output: OutputColumn, row: Local, word: Local): void {
  const { column, data } = output;
  const at = (shift: number) => {
    f.get(row);
    if (shift > 0) f.i32(shift).op('i32.shl');
  };
  switch (column.physical) {
    case 'i8':
    case 'dict8':
      at(0);
      f.get(word).mem('i64.store8', data);
      break;
    case 'i16':
    case 'dict16':
      at(1);
      f.get(word).mem('i64.store16', data);
      break;
    case 'i32':
    case 'dict32':
      at(2);
      f.get(word).mem('i64.store32', data);
      break;
    case 'i64':
      at(3);
      f.get(word).mem('i64.store', data);
      break;
    case 'i128':
      at(4);
      f.get(word).mem('i64.store', data);
      at(4);
      f.get(word).i64(63n).op('i64.shr_s').mem('i64.store', data + 8);
      break;
    case 'f64':
      at(3);
      fromOrdered(f, word);
      f.mem('i64.store', data);
      break;
    case 'f32':
      at(2);
      fromOrdered(f, word);
      f.op('f64.reinterpret_i64', 'f32.demote_f64').mem('f32.store', data);
      break;
    case 'bool':
      // The word of a minimum over nothing is no truth value.
      storeBit(f, data, row, () => f.get(word).op('i32.wrap_i64').i32(1).op('i32.and'));
      break;
    default:
      break;
  }
}

function fromOrdered(f: FunctionBuilder, word: Local): void {
  f.get(word).get(word).i64(63n).op('i64.shr_s').i64(1n).op('i64.shr_u', 'i64.xor');
}

/** Sets bit `row` of the bitmap at `base` to what `bit` leaves (0 or 1), keeping the bits before it. Rows come in order. */
export function storeBit(f: FunctionBuilder, base: number, row: Local, bit: () => void): void {
  const byte = f.local('i32');
  f.get(row).i32(3).op('i32.shr_u').tee(byte);
  // The first row of a byte clears it.
  f.get(byte).mem('i32.load8_u', base).i32(0).get(row).i32(7).op('i32.and', 'select');
  bit();
  f.get(row).i32(7).op('i32.and', 'i32.shl', 'i32.or').mem('i32.store8', base);
  f.release(byte);
}

/** Logical bool values are stored as bits, everything else by word. */
export const isText = (type: LogicalType): boolean => type.kind === 'utf8';
