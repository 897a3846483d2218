/**
 * How a column's values lie in a chunk's data buffer. bool: Arrow bitmap. dict8/16/32: signed codes into the column's
 * dictionary (i8: up to 128 entries, i16: up to 32768); dictionaries are sorted by UTF-8 bytes, so codes keep order.
 * i128 occurs in results only. Decimals, dates and timestamps are stored as the narrowest i8..i64 that holds the column.
 */
export type PhysicalType = 'bool' | 'i8' | 'i16' | 'i32' | 'i64' | 'i128' | 'f32' | 'f64' | 'utf8' | 'dict8' | 'dict16' | 'dict32';

/** Bytes of one value in the data buffer; undefined for bool (bits) and utf8 (32-bit offsets and bytes). */
export const valueBytes = {
  bool: undefined, i8: 1, i16: 2, i32: 4, i64: 8, i128: 16, f32: 4, f64: 8, utf8: undefined, dict8: 1, dict16: 2, dict32: 4,
} as const satisfies Record<PhysicalType, number | undefined>;

/** Arrow C Data Interface format string of the physical layout (ABI: what a kernel's schema() reports). */
export const arrowFormat = {
  bool: 'b', i8: 'c', i16: 's', i32: 'i', i64: 'l', i128: 'd:38,0', f32: 'f', f64: 'g', utf8: 'u', dict8: 'c', dict16: 's', dict32: 'i',
} as const satisfies Record<PhysicalType, string>;
