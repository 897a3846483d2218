import type { FunctionBuilder, Local } from '../encoder/function-builder.js';
import type { Validity } from '../scalar.js';
import type { GroupTable } from './table.js';
import { textBeats } from './table.js';

/** A value to fold into an accumulator of a group. */
export type Operand =
  /** Adds one. */
  | { readonly kind: 'one' }
  /** Adds one where valid. */
  | { readonly kind: 'valid'; readonly valid: Validity }
  /** i64 to add to a count or sum, or a word for min and max. */
  | { readonly kind: 'word'; readonly word: Local; readonly valid: Validity }
  | { readonly kind: 'f64'; readonly value: Local; readonly valid: Validity }
  /** 128 bits to add. */
  | { readonly kind: 'wide'; readonly low: Local; readonly high: Local };

/** Emits the folding of `operand` into accumulator `index` of the group at `entry`. NULL operands change nothing. */
export function emitAccumulate(table: GroupTable, f: FunctionBuilder, index: number, entry: Local, operand: Operand): void {
  const spec = table.layout.accumulators[index]!;
  const at = table.layout.accumulatorsAt[index]!;
  switch (spec.form) {
    case 'count':
    case 'sum64':
      f.get(entry).get(entry).mem('i64.load', at);
      if (operand.kind === 'one') f.i64(1n);
      else if (operand.kind === 'valid') {
        if (operand.valid) f.get(operand.valid).op('i64.extend_i32_u');
        else f.i64(1n);
      } else if (operand.kind === 'word') maskedWord(f, operand.word, operand.valid);
      f.op('i64.add').mem('i64.store', at);
      break;
    case 'sum128':
      addWide(f, at, entry, operand);
      break;
    case 'sumF64': {
      if (operand.kind !== 'f64') return;
      const { value, valid } = operand;
      f.get(entry).get(entry).mem('f64.load', at).get(value);
      // x + 0 is x for every sum: it starts at 0 and so is never -0.
      if (valid) f.f64(0).get(valid).op('select');
      f.op('f64.add').mem('f64.store', at);
      break;
    }
    case 'min':
    case 'max': {
      if (operand.kind !== 'word') return;
      const { word, valid } = operand;
      const best = f.local('i64');
      f.get(entry).mem('i64.load', at).set(best);
      if (spec.kind === 'text') textBeats(table.kernel, f, spec.form, word, best);
      else f.get(word).get(best).op(spec.form === 'min' ? 'i64.lt_s' : 'i64.gt_s');
      if (valid) f.get(valid).op('i32.and');
      f.if(() => {
        if (spec.kind === 'text') table.arena.keep(f, word);
        f.get(entry).get(word).mem('i64.store', at);
      });
      f.release(best);
      break;
    }
    default:
      spec satisfies never;
  }
}

/** Leaves the word, or 0 where it is NULL. */
function maskedWord(f: FunctionBuilder, word: Local, valid: Validity): void {
  f.get(word);
  if (valid) f.i64(0n).get(valid).op('select');
}

function addWide(f: FunctionBuilder, at: number, entry: Local, operand: Operand): void {
  const sum = f.local('i64');
  const low = f.local('i64');
  if (operand.kind === 'wide') f.get(operand.low).set(low);
  else if (operand.kind === 'word') {
    maskedWord(f, operand.word, operand.valid);
    f.set(low);
  }
  f.get(entry).mem('i64.load', at).get(low).op('i64.add').set(sum);
  // High half: plus the operand's, plus the carry out of the low half.
  f.get(entry).get(entry).mem('i64.load', at + 8);
  if (operand.kind === 'wide') f.get(operand.high);
  else f.get(low).i64(63n).op('i64.shr_s');
  f.op('i64.add').get(sum).get(low).op('i64.lt_u', 'i64.extend_i32_u', 'i64.add').mem('i64.store', at + 8);
  f.get(entry).get(sum).mem('i64.store', at);
  f.release(sum, low);
}
