import { valueBytes } from '../../types/physical.js';
import type { FunctionBuilder, Local } from '../encoder/function-builder.js';
import type { OutputColumn } from '../kernel-module.js';

/** Stores an i32 or i64 as row 0 of the column, in its width; for bool as its bit. */
export function storeInteger(f: FunctionBuilder, place: OutputColumn, value: Local): void {
  const width = valueBytes[place.column.physical] ?? 1;
  f.i32(place.data).get(value);
  if (value.type === 'i64') f.mem(width === 8 ? 'i64.store' : width === 4 ? 'i64.store32' : width === 2 ? 'i64.store16' : 'i64.store8');
  else if (width === 8) f.op('i64.extend_i32_s').mem('i64.store');
  else f.mem(width === 4 ? 'i32.store' : width === 2 ? 'i32.store16' : 'i32.store8');
}

export function storeWide(f: FunctionBuilder, place: OutputColumn, low: Local, high: Local): void {
  f.i32(place.data).get(low).mem('i64.store').i32(place.data).get(high).mem('i64.store', 8);
}

/** Stores an f32 or f64 with a canonical NaN, in the column's width. */
export function storeFloat(f: FunctionBuilder, place: OutputColumn, value: Local): void {
  const rep = value.type === 'f32' ? 'f32' : 'f64';
  f.i32(place.data);
  if (rep === 'f32') f.f32(Number.NaN);
  else f.f64(Number.NaN);
  f.get(value).get(value).get(value).op(`${rep}.ne`, 'select');
  if (place.column.physical === 'f32') {
    if (rep === 'f64') f.op('f32.demote_f64');
    f.mem('f32.store');
  } else {
    if (rep === 'f32') f.op('f64.promote_f32');
    f.mem('f64.store');
  }
}
