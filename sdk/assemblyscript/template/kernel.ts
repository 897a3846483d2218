import { Batch, Columns, Params, Type } from './millrace';
export { heap_top } from './millrace';

/** A scalar function: `SELECT ... WHERE keep(delay, distance)` in SQL, `call('keep', col('delay'), col('distance'))` in a program. */
export function keep(a: f64, b: f64): bool {
  return a > b;
}

// What follows is a batch kernel: batches of columns in, batches of other columns out. Here: texts longer than `least` characters.
let least: i32 = 0;

/** Parameters, `millrace kernel run ... --param least=10`. 0: they are fine. */
export function configure(at: usize, bytes: i32): i32 {
  least = new Params(at, bytes).i32('least', 0);
  return 0;
}

const input = new Columns();
input.add('text', Type.Utf8);

/** The columns this kernel takes. */
export function input_schema(): usize {
  return input.schema();
}

const out = new Columns();
const text = out.add('text', Type.Utf8);
const length = out.add('length', Type.I32);

/** The columns this kernel gives. */
export function schema(): usize {
  return out.schema();
}

export function process(input: usize, output: usize): i32 {
  const batch = new Batch(input);
  const texts = batch.column(0);
  out.clear();
  for (let row = 0; row < batch.rows; row++) {
    if (texts.isNull(row)) continue;
    const characters = texts.text(row).length;
    if (characters < least) continue;
    text.pushBytes(texts.at(row), texts.bytes(row));
    length.pushI32(characters);
  }
  return out.give(output);
}
