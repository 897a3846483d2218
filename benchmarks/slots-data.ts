/** Row group g of the column both sides of `slots` work on. */
export function slotColumn(g: number, rows: number): Int32Array {
  return Int32Array.from({ length: rows }, (_, i) => (g * 7919 + i * 31) % 100_003);
}
