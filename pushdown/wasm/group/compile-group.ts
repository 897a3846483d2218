import type { Expr } from '../../expr/expr.js';
import type { ScanKernel } from '../../plan/compiled.js';
import type { DatasetSchema } from '../../types/schema.js';
import type { FunctionBuilder, Local } from '../encoder/function-builder.js';
import type { Node } from '../ir.js';
import { KernelModule } from '../kernel-module.js';
import type { Lowering } from '../lower.js';
import { emitAccumulate, type Operand } from './accumulate.js';
import { BlockLoop } from './block-loop.js';
import { batchRowsMax, batchTextBytesMax, frameBytesMax } from './bounds.js';
import { type Cell, emitRowsFunction } from './emit-rows.js';
import { FewGroups, isFewGroups } from './few-groups.js';
import { SharedScalarCompiler } from './shared-scalar.js';
import { type GroupShape, type PreparedPartial, keySpecs } from './shape.js';
import { GroupTable, type KeyWord } from './table.js';
import { TextArena } from './text.js';
import { toWord } from './word.js';

/** The kernel that makes partial aggregates of one morsel: a row per group, in order of first appearance. */
export function compileGroupScan(shape: GroupShape, predicate: Expr | undefined, lowering: Lowering, dataset: DatasetSchema): ScanKernel {
  const filter = predicate && lowering.lower(predicate);
  lowering.readSomething();
  const output = [...shape.keys.map((k) => k.column), ...shape.partials.map((p) => p.column)];
  const rowsMax = Math.min(batchRowsMax, dataset.rowGroupRowsMax);
  const kernel = new KernelModule(output, rowsMax, { utf8BytesMax: () => batchTextBytesMax, base: lowering.base });
  const table = new GroupTable(
    kernel,
    keySpecs(shape),
    shape.partials.map((p) => p.scan),
    dataset.rowGroupRowsMax,
    new TextArena(kernel, 0),
  );
  const next = kernel.module.global('i32');
  const emit = emitRowsFunction(kernel, [...keyCells(table), ...partialCells(table)], { count: table.groups, next, entryAt: (f, i) => table.entryAt(f, i) }, { rowsMax, textBytesMax: batchTextBytesMax });
  table.reset(kernel.reset);
  kernel.reset.i32(0).globalSet(next);
  const { process } = kernel;
  const [input, out] = process.params as [Local, Local];
  process.get(input).if(() => {
    const loop = new BlockLoop(kernel, filter, lowering.inputColumns, dataset.rowGroupRowsMax);
    if (isFewGroups(table, shape)) {
      const few = new FewGroups(kernel, table, shape, lowering.inputColumns);
      if (few.hasVectorSums && loop.hasBitmaps) loop.emitBitmaps(process, input, (inputs, block) => few.emitVectorSums(process, inputs, block));
      else if (few.hasMasks && loop.hasBitmaps) loop.emitBitmaps(process, input, (inputs, block) => few.emitMasked(process, inputs, block));
      else loop.emit(process, input, (inputs, block) => few.emit(process, inputs, block));
    } else loop.emitRows(process, input, (inputs, row) => addRow(process, new SharedScalarCompiler(kernel, process, inputs, row), table, shape));
  });
  process.get(out).call(emit);
  // A scan kernel has nothing left when its only input is used up.
  kernel.finish.i32(2);
  return { wasm: kernel.build(), inputColumns: lowering.inputs, output, outputBytesMaxPerMorsel: frameBytesMax(output, rowsMax) };
}

function addRow(f: FunctionBuilder, scalar: SharedScalarCompiler, table: GroupTable, shape: GroupShape): void {
  scalar.share([...shape.keys.map((k) => k.node), ...shape.partials.flatMap((p) => p.node ?? [])]);
  const keys = shape.keys.map(({ node }) => wordLocal(f, scalar, node));
  // NULL keys all have word 0.
  for (const { word, valid } of keys) if (valid) f.get(word).i64(0n).get(valid).op('select').set(word);
  const entry = f.local('i32');
  const words = new Map<Node, Operand>();
  const operands = shape.partials.map((p): Operand => operandOf(f, scalar, p, words));
  table.find(f, keys, entry);
  operands.forEach((operand, i) => {
    emitAccumulate(table, f, i, entry, operand);
  });
}

function wordLocal(f: FunctionBuilder, scalar: SharedScalarCompiler, node: Node): KeyWord {
  const word = f.local('i64');
  const valid = scalar.value(node);
  toWord(scalar.kernel, f, node.rep);
  f.set(word);
  return { word, valid };
}

function operandOf(f: FunctionBuilder, scalar: SharedScalarCompiler, partial: PreparedPartial, words: Map<Node, Operand>): Operand {
  const { node, scan } = partial;
  if (!node) return { kind: 'one' };
  if (partial.kind === 'count') return { kind: 'valid', valid: scalar.validityOf([node]) };
  if (scan.form === 'sumF64') {
    const value = f.local('f64');
    const valid = scalar.value(node);
    if (node.rep === 'f32') f.op('f64.promote_f32');
    f.set(value);
    return { kind: 'f64', value, valid };
  }
  const known = words.get(node);
  if (known) return known;
  const { word, valid } = wordLocal(f, scalar, node);
  const operand: Operand = { kind: 'word', word, valid };
  words.set(node, operand);
  return operand;
}

export function keyCells(table: GroupTable): Cell[] {
  return table.layout.keys.map((_, i) => ({
    valid: (f, entry) => f.get(entry).mem('i32.load', table.layout.nullsAt).i32(i).op('i32.shr_u').i32(1).op('i32.and').op('i32.eqz'),
    word: (f, entry) => f.get(entry).mem('i64.load', table.layout.keysAt[i]!),
  }));
}

/** Accumulators as they are. */
function partialCells(table: GroupTable): Cell[] {
  return table.layout.accumulators.map((spec, i) => accumulatorCell(spec.form, table.layout.accumulatorsAt[i]!));
}

export function accumulatorCell(form: PreparedPartial['scan']['form'], at: number): Cell {
  switch (form) {
    case 'sum128':
      return { wide: (f, entry) => f.get(entry).mem('i64.load', at).get(entry).mem('i64.load', at + 8) };
    case 'sumF64':
      return { f64: (f, entry) => f.get(entry).mem('f64.load', at) };
    default:
      return { word: (f, entry) => f.get(entry).mem('i64.load', at) };
  }
}
