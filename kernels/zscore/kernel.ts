// Rows whose value lies more than `threshold` standard deviations from the mean of all rows, in one pass. What all rows' mean is, a row
// group cannot know: it gives its count, mean and sum of squares (Welford), and its `keep` lowest and highest rows, among which its
// anomalies are. merge joins the states in the row groups' order (Chan et al.), then knows which candidates are anomalies. Where all
// candidates of one end of a row group are, there may be more of them: then the kernel fails with -16 and `keep` has to be larger.
import { Batch, Columns, NOTHING, Params, text, Type } from './millrace';
export { heap_top } from './millrace';

let threshold: f64 = 3;
let keep: i32 = 256;

export function configure(at: usize, bytes: i32): i32 {
  const params = new Params(at, bytes);
  threshold = params.f64('threshold', 3);
  keep = params.i32('keep', 256);
  return threshold > 0 && keep >= 1 && keep <= 8192 ? 0 : 1;
}

export function error_text(): usize { return text('zscore takes a threshold above 0 and keep from 1 to 8192'); }

const input = new Columns();
input.add('id', Type.I64);
input.add('x', Type.F64);

/** kind 0: the row group's state, in n, mean, m2. 1: a candidate; lowEnd, highEnd: the last one kept of a full end. */
const partial = new Columns();
const pkind = partial.add('kind', Type.I32);
const pid = partial.add('id', Type.I64);
const px = partial.add('x', Type.F64);
const pn = partial.add('n', Type.I64);
const pmean = partial.add('mean', Type.F64);
const pm2 = partial.add('m2', Type.F64);
const plow = partial.add('low_end', Type.F64);
const phigh = partial.add('high_end', Type.F64);

const result = new Columns();
const rid = result.add('id', Type.I64);
const rx = result.add('x', Type.F64);
const rz = result.add('z', Type.F64);

export function input_schema(): usize { return input.schema(); }
export function schema(): usize { return partial.schema(); }
export function result_schema(): usize { return result.schema(); }

/** The `keep` most extreme rows of one end. */
class Extremes {
  ids: Array<i64> = new Array<i64>(0);
  values: Array<f64> = new Array<f64>(0);
  rows: Array<i32> = new Array<i32>(0);
  worst: i32 = 0;
  constructor(readonly high: bool) {}

  private beyond(a: f64, b: f64): bool { return this.high ? a > b : a < b; }

  offer(id: i64, x: f64, row: i32): void {
    if (this.values.length < keep) {
      this.ids.push(id);
      this.values.push(x);
      this.rows.push(row);
      if (this.values.length == keep) this.findWorst();
      return;
    }
    if (!this.beyond(x, unchecked(this.values[this.worst]))) return;
    unchecked((this.ids[this.worst] = id));
    unchecked((this.values[this.worst] = x));
    unchecked((this.rows[this.worst] = row));
    this.findWorst();
  }

  private findWorst(): void {
    this.worst = 0;
    for (let i = 1; i < this.values.length; i++) if (this.beyond(unchecked(this.values[this.worst]), unchecked(this.values[i]))) this.worst = i;
  }

  /** The least extreme of a full end; NaN: the end has all there are. */
  end(): f64 { return this.values.length < keep ? NaN : this.values[this.worst]; }
}

let n: i64 = 0;
let mean: f64 = 0;
let m2: f64 = 0;
let seen: i32 = 0;
let low: Extremes = new Extremes(false);
let high: Extremes = new Extremes(true);

export function process(input: usize, output: usize): i32 {
  const batch = new Batch(input);
  const ids = batch.column(0);
  const xs = batch.column(1);
  for (let row = 0; row < batch.rows; row++, seen++) {
    if (xs.isNull(row)) continue;
    const x = xs.f64(row);
    if (x != x) continue;
    n++;
    const delta = x - mean;
    mean += delta / <f64>n;
    m2 += delta * (x - mean);
    const id = ids.isNull(row) ? -1 : ids.i64(row);
    low.offer(id, x, seen);
    high.offer(id, x, seen);
  }
  return NOTHING;
}

export function finish(output: usize): i32 {
  push(0, 0, 0);
  // Candidates in the order of their rows; one that is at both ends once.
  const count = low.rows.length + high.rows.length;
  const order = new Array<i32>(count);
  for (let i = 0; i < count; i++) order[i] = i;
  order.sort((a, b) => rowOf(a) - rowOf(b));
  let before = -1;
  for (let i = 0; i < count; i++) {
    const row = rowOf(order[i]);
    if (row == before) continue;
    before = row;
    const at = order[i];
    const side = at < low.rows.length ? low : high;
    const index = at < low.rows.length ? at : at - low.rows.length;
    push(1, side.ids[index], side.values[index]);
  }
  return partial.give(output);
}

function rowOf(at: i32): i32 { return at < low.rows.length ? low.rows[at] : high.rows[at - low.rows.length]; }

function push(kind: i32, id: i64, x: f64): void {
  pkind.pushI32(kind);
  pid.pushI64(id);
  px.pushF64(x);
  pn.pushI64(n);
  pmean.pushF64(mean);
  pm2.pushF64(m2);
  plow.pushF64(low.end());
  phigh.pushF64(high.end());
}

let candidateIds: Array<i64> = new Array<i64>(0);
let candidates: Array<f64> = new Array<f64>(0);
/** Where full ends of row groups end: beyond these values nothing is hidden. */
let lowEnds: Array<f64> = new Array<f64>(0);
let highEnds: Array<f64> = new Array<f64>(0);

export function merge(input: usize, output: usize): i32 {
  const batch = new Batch(input);
  const kinds = batch.column(0);
  const ids = batch.column(1);
  const xs = batch.column(2);
  const counts = batch.column(3);
  const means = batch.column(4);
  const m2s = batch.column(5);
  const lows = batch.column(6);
  const highs = batch.column(7);
  for (let row = 0; row < batch.rows; row++) {
    if (kinds.i32(row) == 1) {
      candidateIds.push(ids.i64(row));
      candidates.push(xs.f64(row));
      continue;
    }
    const count = counts.i64(row);
    if (count == 0) continue;
    const delta = means.f64(row) - mean;
    const total = n + count;
    mean += delta * (<f64>count / <f64>total);
    m2 += m2s.f64(row) + delta * delta * (<f64>n * <f64>count / <f64>total);
    n = total;
    const low = lows.f64(row);
    const high = highs.f64(row);
    if (low == low) lowEnds.push(low);
    if (high == high) highEnds.push(high);
  }
  return NOTHING;
}

export function finish_merge(output: usize): i32 {
  if (n < 2) return NOTHING;
  const deviation = Math.sqrt(m2 / <f64>n);
  if (deviation == 0) return NOTHING;
  for (let i = 0; i < lowEnds.length; i++) if ((lowEnds[i] - mean) / deviation < -threshold) return -16;
  for (let i = 0; i < highEnds.length; i++) if ((highEnds[i] - mean) / deviation > threshold) return -16;
  for (let i = 0; i < candidates.length; i++) {
    const z = (candidates[i] - mean) / deviation;
    if (Math.abs(z) <= threshold) continue;
    rid.pushI64(candidateIds[i]);
    rx.pushF64(candidates[i]);
    rz.pushF64(z);
  }
  return result.give(output);
}
