import type { FunctionBuilder, Local } from '../encoder/function-builder.js';
import { type KernelModule, type OutputColumn, abi } from '../kernel-module.js';
import { splitText } from './text.js';
import { storeBit, storeWord } from './word.js';

/** How one output column of the row whose data lies at `entry` is written. */
export interface Cell {
  /** Leaves 1 if the value is not NULL; absent: never NULL. Asked only for nullable columns. */
  readonly valid?: (f: FunctionBuilder, entry: Local) => void;
  /** Leaves the value as a word (word.ts); for texts, of the text. */
  readonly word?: (f: FunctionBuilder, entry: Local) => void;
  /** Leaves low, then high half; for i128 columns. */
  readonly wide?: (f: FunctionBuilder, entry: Local) => void;
  /** Leaves an f64 to store as it is; for float columns. */
  readonly f64?: (f: FunctionBuilder, entry: Local) => void;
}

/**
 * A function (out) -> status that puts out the next rows of a sequence kept in linear memory, in batches of at most
 * rowsMax rows whose texts fit textBytesMax per column.
 */
export function emitRowsFunction(
  kernel: KernelModule,
  cells: readonly Cell[],
  source: { readonly count: number; readonly next: number; readonly entryAt: (f: FunctionBuilder, i: Local) => void; /** Emitted first. */ readonly setup?: (f: FunctionBuilder) => void },
  bounds: { readonly rowsMax: number; readonly textBytesMax: number },
): FunctionBuilder {
  const f = kernel.module.func(['i32'], ['i32']);
  const [out] = f.params as [Local];
  const row = f.local('i32');
  const i = f.local('i32');
  const entry = f.local('i32');
  const word = f.local('i64');
  source.setup?.(f);
  f.i32(0).set(row).globalGet(source.next).set(i);
  const texts = cells.flatMap((cell, c) => (kernel.outputs[c]!.column.physical === 'utf8' ? [{ cell, output: kernel.outputs[c]!, end: f.local('i32') }] : []));
  for (const { output, end } of texts) {
    f.i32(0).set(end);
    f.i32(0).i32(0).mem('i32.store', output.offsets!);
  }
  f.block((done) => {
    f.loop((again) => {
      f.get(i).globalGet(source.count).op('i32.ge_u').brIf(done);
      f.get(row).i32(bounds.rowsMax).op('i32.ge_u').brIf(done);
      source.entryAt(f, i);
      f.set(entry);
      for (const { cell, output, end } of texts) {
        textWord(f, cell, output, entry, word);
        f.get(word).i64(32n).op('i64.shr_u').get(end).op('i64.extend_i32_u', 'i64.add').i64(BigInt(bounds.textBytesMax)).op('i64.gt_u').if(() => {
          // Not even one row fits.
          f.get(row).op('i32.eqz').if(() => {
            f.i32(abi.outOfHeap).op('return');
          });
          f.br(done);
        });
      }
      cells.forEach((cell, c) => {
        const output = kernel.outputs[c]!;
        if (output.validity !== undefined) storeBit(f, output.validity, row, () => (cell.valid ? cell.valid(f, entry) : f.i32(1)));
        const text = texts.find((t) => t.cell === cell);
        if (text) writeText(f, text.output, text.end, row, () => textWord(f, cell, output, entry, word), word);
        else writeValue(f, cell, output, row, entry, word);
      });
      f.add(row, 1).add(i, 1).br(again);
    });
  });
  f.get(i).globalSet(source.next);
  f.get(row).op('i32.eqz').if(() => {
    f.i32(abi.needInput).op('return');
  });
  kernel.writeOutput(f, out, row);
  f.i32(abi.outputReady | abi.needInput).i32(abi.outputReady).get(i).globalGet(source.count).op('i32.ge_u', 'select');
  return f;
}

function writeValue(f: FunctionBuilder, cell: Cell, output: OutputColumn, row: Local, entry: Local, word: Local): void {
  if (cell.f64 && output.column.physical === 'f32') {
    const value = f.local('f64');
    cell.f64(f, entry);
    f.set(value).get(row).i32(2).op('i32.shl');
    f.get(value).f64(Number.NaN).get(value).get(value).op('f64.eq', 'select', 'f32.demote_f64').mem('f32.store', output.data);
    f.release(value);
  } else if (cell.f64) {
    const value = f.local('f64');
    cell.f64(f, entry);
    f.set(value).get(row).i32(3).op('i32.shl');
    // One NaN in outputs.
    f.get(value).f64(Number.NaN).get(value).get(value).op('f64.eq', 'select').mem('f64.store', output.data);
    f.release(value);
  } else if (cell.wide && output.column.physical === 'i128') {
    const high = f.local('i64');
    cell.wide(f, entry);
    f.set(high).set(word);
    f.get(row).i32(4).op('i32.shl').get(word).mem('i64.store', output.data);
    f.get(row).i32(4).op('i32.shl').get(high).mem('i64.store', output.data + 8);
    f.release(high);
  } else {
    cell.word?.(f, entry);
    f.set(word);
    storeWord(f, output, row, word);
  }
}

/** The text's word; an empty one for NULL, whose word may be anything. */
function textWord(f: FunctionBuilder, cell: Cell, output: OutputColumn, entry: Local, word: Local): void {
  cell.word?.(f, entry);
  if (cell.valid && output.validity !== undefined) {
    f.i64(0n);
    cell.valid(f, entry);
    f.op('select');
  }
  f.set(word);
  // The mark of a minimum over nothing.
  f.i64(0n).get(word).get(word).i64(-1n).op('i64.eq', 'select').set(word);
}

function writeText(f: FunctionBuilder, output: OutputColumn, end: Local, row: Local, load: () => void, word: Local): void {
  load();
  f.i32(output.data).get(end).op('i32.add');
  splitText(f, word);
  f.memoryCopy();
  f.get(end).get(word).i64(32n).op('i64.shr_u', 'i32.wrap_i64', 'i32.add').set(end);
  f.get(row).i32(2).op('i32.shl').get(end).mem('i32.store', output.offsets! + 4);
}
