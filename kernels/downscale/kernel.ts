// Images as rows of pixels (y, x, r, g, b), read at a lower resolution: each block of factor x factor pixels becomes their mean. A row
// group gives sums and counts of the blocks it touches, since blocks lie across row groups; merge adds them up. Sums are whole numbers,
// so the result does not depend on where row groups end.
import { Batch, Columns, NOTHING, Params, text, Type } from './millrace';
export { heap_top } from './millrace';

let factor: i32 = 0;
let width: i32 = 0;
let height: i32 = 0;

export function configure(at: usize, bytes: i32): i32 {
  const params = new Params(at, bytes);
  factor = params.i32('factor', 2);
  width = params.i32('width', 0);
  height = params.i32('height', 0);
  return factor >= 1 && factor <= 1024 && width >= 1 && height >= 1 && width <= 65536 && height <= 65536 ? 0 : 1;
}

export function error_text(): usize {
  return text('downscale needs width and height of the image, and factor from 1 to 1024');
}

const input = new Columns();
input.add('y', Type.I32);
input.add('x', Type.I32);
input.add('r', Type.I32);
input.add('g', Type.I32);
input.add('b', Type.I32);

const partial = new Columns();
const py = partial.add('y', Type.I32);
const px = partial.add('x', Type.I32);
const pn = partial.add('n', Type.I64);
const pr = partial.add('r', Type.I64);
const pg = partial.add('g', Type.I64);
const pb = partial.add('b', Type.I64);

const result = new Columns();
const ry = result.add('y', Type.I32);
const rx = result.add('x', Type.I32);
const rr = result.add('r', Type.I32);
const rg = result.add('g', Type.I32);
const rb = result.add('b', Type.I32);

export function input_schema(): usize { return input.schema(); }
export function schema(): usize { return partial.schema(); }
export function result_schema(): usize { return result.schema(); }

/** Bytes of a block's sums: n, r, g, b. */
const cellBytes: usize = 32;

function across(pixels: i32): i32 { return (pixels + factor - 1) / factor; }

function add(cell: usize, n: i64, r: i64, g: i64, b: i64): void {
  store<i64>(cell, load<i64>(cell) + n);
  store<i64>(cell, load<i64>(cell, 8) + r, 8);
  store<i64>(cell, load<i64>(cell, 16) + g, 16);
  store<i64>(cell, load<i64>(cell, 24) + b, 24);
}

let band: usize = 0;
let bandBytes: usize = 0;

export function process(input: usize, output: usize): i32 {
  const batch = new Batch(input);
  const y = batch.column(0);
  const x = batch.column(1);
  const r = batch.column(2);
  const g = batch.column(3);
  const b = batch.column(4);
  partial.clear();
  let first = i32.MAX_VALUE;
  let last = -1;
  for (let row = 0; row < batch.rows; row++) {
    if (y.isNull(row)) continue;
    const line = y.i32(row);
    if (line < 0 || line >= height) return -2;
    first = min(first, line / factor);
    last = max(last, line / factor);
  }
  if (last < 0) return NOTHING;
  // Blocks of the lines this batch touches.
  const columns = across(width);
  const bytes = <usize>(last - first + 1) * <usize>columns * cellBytes;
  if (bytes > bandBytes) {
    band = heap.alloc(bytes);
    bandBytes = bytes;
  }
  memory.fill(band, 0, bytes);
  for (let row = 0; row < batch.rows; row++) {
    if (y.isNull(row) || x.isNull(row) || r.isNull(row) || g.isNull(row) || b.isNull(row)) continue;
    const column = x.i32(row);
    if (column < 0 || column >= width) return -2;
    const cell = <usize>((y.i32(row) / factor - first) * columns + column / factor);
    add(band + cell * cellBytes, 1, r.i32(row), g.i32(row), b.i32(row));
  }
  for (let line = first; line <= last; line++) {
    for (let column = 0; column < columns; column++) {
      const cell = band + <usize>((line - first) * columns + column) * cellBytes;
      if (load<i64>(cell) == 0) continue;
      py.pushI32(line);
      px.pushI32(column);
      pn.pushI64(load<i64>(cell));
      pr.pushI64(load<i64>(cell, 8));
      pg.pushI64(load<i64>(cell, 16));
      pb.pushI64(load<i64>(cell, 24));
    }
  }
  return partial.give(output);
}

let image: usize = 0;

export function merge(input: usize, output: usize): i32 {
  const batch = new Batch(input);
  const columns = across(width);
  if (image == 0) {
    const bytes = <usize>across(height) * <usize>columns * cellBytes;
    image = heap.alloc(bytes);
    memory.fill(image, 0, bytes);
  }
  const y = batch.column(0);
  const x = batch.column(1);
  const n = batch.column(2);
  const r = batch.column(3);
  const g = batch.column(4);
  const b = batch.column(5);
  for (let row = 0; row < batch.rows; row++) add(image + <usize>(y.i32(row) * columns + x.i32(row)) * cellBytes, n.i64(row), r.i64(row), g.i64(row), b.i64(row));
  return NOTHING;
}

/** The mean, halves away from zero. */
function mean(sum: i64, n: i64): i32 { return <i32>((2 * sum + n) / (2 * n)); }

export function finish_merge(output: usize): i32 {
  if (image == 0) return NOTHING;
  const columns = across(width);
  for (let line = 0; line < across(height); line++) {
    for (let column = 0; column < columns; column++) {
      const cell = image + <usize>(line * columns + column) * cellBytes;
      const n = load<i64>(cell);
      if (n == 0) continue;
      ry.pushI32(line);
      rx.pushI32(column);
      rr.pushI32(mean(load<i64>(cell, 8), n));
      rg.pushI32(mean(load<i64>(cell, 16), n));
      rb.pushI32(mean(load<i64>(cell, 24), n));
    }
  }
  return result.give(output);
}
