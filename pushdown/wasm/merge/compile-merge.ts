import { invariant } from '../../types/error.js';
import type { Merge } from '../../plan/compiled.js';
import type { Column, DatasetSchema } from '../../types/schema.js';
import type { FunctionBuilder, Local } from '../encoder/function-builder.js';
import { accumulatorCell, keyCells } from '../group/compile-group.js';
import { emitAccumulate, type Operand } from '../group/accumulate.js';
import { batchRowsMax, batchTextBytesMax, mergeHeapBytesMax, mergeTextBytesMax } from '../group/bounds.js';
import { type Cell, emitRowsFunction } from '../group/emit-rows.js';
import { type AccumulatorSpec, EntryLayout } from '../group/layout.js';
import { type GroupShape, keySpecs } from '../group/shape.js';
import { GroupTable, type KeyWord } from '../group/table.js';
import { TextArena } from '../group/text.js';
import { toWord } from '../group/word.js';
import { type InputColumn, KernelModule } from '../kernel-module.js';
import { Lowering } from '../lower.js';
import { ScalarCompiler } from '../scalar.js';

/** The kernel that folds the partials of all morsels, in the order they come, and gives the aggregate's rows. */
export function compileGroupMerge(shape: GroupShape, input: readonly Column[], dataset: DatasetSchema): Merge {
  const output = shape.result;
  const kernel = new KernelModule(output, batchRowsMax, { utf8BytesMax: () => batchTextBytesMax });
  const keys = keySpecs(shape);
  const specs = shape.partials.map((p) => p.merge);
  const table = new GroupTable(kernel, keys, specs, groupsMaxOf(shape, keys, dataset), new TextArena(kernel, hasText(shape) ? mergeTextBytesMax : 0));
  const next = kernel.module.global('i32');
  const cells = [...keyCells(table), ...finalCells(table, shape)];
  const emit = emitRowsFunction(kernel, cells, { count: table.groups, next, entryAt: (f, i) => table.entryAt(f, i) }, { rowsMax: batchRowsMax, textBytesMax: batchTextBytesMax });
  table.reset(kernel.reset);
  kernel.reset.i32(0).globalSet(next);
  const { process, finish } = kernel;
  const [batch] = process.params as [Local, Local];
  consume(kernel, process, batch, table, shape, input);
  process.i32(2);
  const [out] = finish.params as [Local];
  if (shape.keys.length === 0) onlyGroup(finish, table);
  finish.get(out).call(emit);
  return { kind: 'kernel', wasm: kernel.build(), input, output };
}

/** Without keys there is one row, over no rows too. */
function onlyGroup(f: FunctionBuilder, table: GroupTable): void {
  f.globalGet(table.groups).op('i32.eqz').if(() => {
    const entry = f.local('i32');
    table.find(f, [], entry);
    f.release(entry);
  });
}

function groupsMaxOf(shape: GroupShape, keys: ConstructorParameters<typeof EntryLayout>[0], dataset: DatasetSchema): number {
  const bytes = new EntryLayout(keys, shape.partials.map((p) => p.merge)).bytes;
  const possible = keys.reduce((n, k) => n * (k.range ? Number(k.range.max - k.range.min) + 2 : Number.POSITIVE_INFINITY), 1);
  return Math.max(1, Math.min(dataset.rows, possible, Math.floor(mergeHeapBytesMax / (2 * bytes + 16))));
}

const hasText = (shape: GroupShape): boolean => shape.keys.some((k) => k.column.physical === 'utf8') || shape.partials.some((p) => p.column.physical === 'utf8');

function consume(kernel: KernelModule, f: FunctionBuilder, batch: Local, table: GroupTable, shape: GroupShape, columns: readonly Column[]): void {
  // Inputs are all columns, in order.
  const lowering = new Lowering({ columns });
  for (const column of columns) lowering.input(column);
  const rows = f.local('i32');
  const row = f.local('i32');
  const inputs = kernel.readInput(f, batch, columns, rows, batchRowsMax);
  const scalar = new ScalarCompiler(kernel, f, inputs, row);
  f.i32(0).set(row);
  f.while(
    () => f.get(row).get(rows).op('i32.lt_u'),
    () => {
      const keys = shape.keys.map((_, i): KeyWord => {
        const word = f.local('i64');
        const node = lowering.stored(columns[i]!);
        const valid = scalar.value(node);
        toWord(kernel, f, node.rep);
        if (valid) f.i64(0n).get(valid).op('select');
        f.set(word);
        return { word, valid };
      });
      const entry = f.local('i32');
      table.find(f, keys, entry);
      const partialInput = (i: number) => inputs[shape.keys.length + i]!;
      shape.partials.forEach((p, i) => {
        const column = columns[shape.keys.length + i]!;
        emitAccumulate(table, f, i, entry, operandOf(f, scalar, p.kind, lowering, column, partialInput(i), row, () => countOf(f, shape, i, partialInput, row)));
      });
      f.add(row, 1);
    },
  );
}

function operandOf(f: FunctionBuilder, scalar: ScalarCompiler, kind: string, lowering: Lowering, column: Column, input: InputColumn, row: Local, count: () => Local): Operand {
  if (column.physical === 'i128') {
    const low = f.local('i64');
    const high = f.local('i64');
    f.get(input.data).get(row).i32(4).op('i32.shl', 'i32.add').mem('i64.load').set(low);
    f.get(input.data).get(row).i32(4).op('i32.shl', 'i32.add').mem('i64.load', 8).set(high);
    return { kind: 'wide', low, high };
  }
  const node = lowering.stored(column);
  if (kind === 'sum' && column.physical === 'f64') {
    const value = f.local('f64');
    scalar.value(node);
    f.set(value);
    return { kind: 'f64', value, valid: undefined };
  }
  const word = f.local('i64');
  scalar.value(node);
  toWord(scalar.kernel, f, node.rep);
  f.set(word);
  // A minimum over nothing is no minimum.
  return { kind: 'word', word, valid: kind === 'min' || kind === 'max' ? count() : undefined };
}

/** An i32 local: 1 if the partial `i` of this row stands for at least one value. */
function countOf(f: FunctionBuilder, shape: GroupShape, i: number, inputOf: (i: number) => InputColumn, row: Local): Local {
  const final = shape.finals.find((x) => x.value === i);
  invariant(final, 'a minimum belongs to an aggregate');
  const valid = f.local('i32');
  f.get(inputOf(final.count).data).get(row).i32(3).op('i32.shl', 'i32.add').mem('i64.load').i64(0n).op('i64.ne').set(valid);
  return valid;
}

function finalCells(table: GroupTable, shape: GroupShape): Cell[] {
  const { layout } = table;
  return shape.finals.map((final, i): Cell => {
    const countAt = layout.accumulatorsAt[final.count]!;
    if (final.value === undefined) return { word: (f, entry) => f.get(entry).mem('i64.load', countAt) };
    const at = layout.accumulatorsAt[final.value]!;
    const spec = layout.accumulators[final.value]!;
    const valid: Cell['valid'] = (f, entry) => f.get(entry).mem('i64.load', countAt).i64(0n).op('i64.ne');
    if (final.fn !== 'avg') return { valid, ...accumulatorCell(spec.form, at) };
    const type = shape.partials[final.value]?.node?.type;
    const scale = type?.kind === 'decimal' ? type.scale : 0;
    invariant(shape.result[shape.keys.length + i]?.physical === 'f64', 'avg is a float');
    return { valid, f64: (f, entry) => average(f, entry, spec, at, countAt, scale) };
  });
}

/** f64(sum) / (f64(count) * 10^scale): docs/kernel-abi-v1.md. */
function average(f: FunctionBuilder, entry: Local, spec: AccumulatorSpec, at: number, countAt: number, scale: number): void {
  if (spec.form === 'sumF64') f.get(entry).mem('f64.load', at);
  else if (spec.form === 'sum64') f.get(entry).mem('i64.load', at).op('f64.convert_i64_s');
  else {
    const low = () => f.get(entry).mem('i64.load', at);
    const high = () => f.get(entry).mem('i64.load', at + 8);
    high();
    low();
    f.i64(63n).op('i64.shr_s', 'i64.eq').if(
      () => {
        low();
        f.op('f64.convert_i64_s');
      },
      () => {
        high();
        f.op('f64.convert_i64_s').f64(2 ** 64).op('f64.mul');
        low();
        f.op('f64.convert_i64_u', 'f64.add');
      },
      'f64',
    );
  }
  f.get(entry).mem('i64.load', countAt).op('f64.convert_i64_s').f64(10 ** scale).op('f64.mul', 'f64.div');
}
