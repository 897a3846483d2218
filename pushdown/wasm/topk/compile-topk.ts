import type { Expr } from '../../expr/expr.js';
import type { Merge, ScanKernel } from '../../plan/compiled.js';
import type { NamedExpr, PlanOp } from '../../plan/plan.js';
import type { Column, DatasetSchema } from '../../types/schema.js';
import type { FunctionBuilder, Local } from '../encoder/function-builder.js';
import { batchRowsMax, batchTextBytesMax, frameBytesMax, mergeHeapBytesMax, mergeTextBytesMax } from '../group/bounds.js';
import { type Cell, emitRowsFunction } from '../group/emit-rows.js';
import { BlockLoop } from '../group/block-loop.js';
import { TextArena } from '../group/text.js';
import { repKind, toWord, wordKindOf } from '../group/word.js';
import type { Node } from '../ir.js';
import { KernelModule, abi } from '../kernel-module.js';
import { Lowering } from '../lower.js';
import { type OutputPlan, planOutput } from '../output-columns.js';
import { refuseMadeText } from '../made-text.js';
import { ScalarCompiler } from '../scalar.js';
import { Unsupported } from '../unsupported.js';
import { type SortKey, TopHeap } from './top-heap.js';

type TopK = PlanOp & { readonly kind: 'topK' };

/**
 * The k best rows: per morsel, sorted, by the scan kernel, and of all morsels by the merge. Sort keys that the result does
 * not show travel as columns behind it.
 */
export function compileTopK(op: TopK, predicate: Expr | undefined, columns: readonly NamedExpr[], dataset: DatasetSchema): { scan: ScanKernel; merge: Merge; output: readonly Column[] } {
  const lowering = new Lowering(dataset);
  const filter = predicate && lowering.lower(predicate);
  const outputs = columns.map((c) => planOutput(c, lowering));
  const keys = op.orderBy.map((o, i) => {
    const shown = o.expr.kind === 'column' ? columns.findIndex((c) => c.expr.kind === 'column' && o.expr.kind === 'column' && c.expr.name === o.expr.name) : -1;
    const plan = shown >= 0 ? outputs[shown]! : planOutput({ name: `order ${i}`, expr: o.expr }, lowering);
    return { plan, order: o, column: shown };
  });
  lowering.readSomething();
  const hidden = keys.filter((k) => k.column < 0).map((k) => k.plan);
  const all = [...outputs, ...hidden];
  const keyColumns = keys.map((k) => (k.column >= 0 ? k.column : outputs.length + hidden.indexOf(k.plan)));
  const sortKeys = keys.map(({ plan, order }): SortKey => ({ kind: wordKindOf(plan.column), nullable: plan.column.nullable, order }));
  const scan = scanKernel(op.k, filter, all, keyColumns, sortKeys, lowering, dataset);
  const output = outputs.map((o) => o.column);
  return { scan, merge: mergeKernel(op.k, scan.output, output, keyColumns, sortKeys, dataset), output };
}

function scanKernel(k: number, filter: Node | undefined, outputs: readonly OutputPlan[], keyColumns: readonly number[], sortKeys: readonly SortKey[], lowering: Lowering, dataset: DatasetSchema): ScanKernel {
  const output = outputs.map((o) => o.column);
  const nodes = outputs.map((o) => (o.source.kind === 'computed' ? o.source.node : lowering.stored(lowering.inputColumns[o.source.input]!)));
  for (const c of keyColumns) refuseMadeText(nodes[c]!, 'a sort key');
  const rowsMax = Math.max(1, Math.min(batchRowsMax, k, dataset.rowGroupRowsMax));
  const kernel = new KernelModule(output, rowsMax, { utf8BytesMax: () => batchTextBytesMax, base: lowering.base });
  const heap = new TopHeap(kernel, sortKeys, Math.min(k, dataset.rowGroupRowsMax), 0);
  const next = kernel.module.global('i32');
  const saved = kernel.module.global('i32');
  const emit = scanEmit(kernel, heap, nodes, saved, next, lowering, dataset, rowsMax);
  heap.reset(kernel.reset);
  kernel.reset.i32(0).globalSet(next);
  const { process: f } = kernel;
  const [input, out] = f.params as [Local, Local];
  f.get(input).if(() => {
    f.get(input).globalSet(saved);
    const sequence = f.local('i64');
    new BlockLoop(kernel, filter, lowering.inputColumns, dataset.rowGroupRowsMax).emitRows(f, input, (inputs, row) => {
      const scalar = new ScalarCompiler(kernel, f, inputs, row);
      const words = keyColumns.map((c) => wordOf(f, scalar, nodes[c]!));
      f.get(row).op('i64.extend_i32_u').set(sequence);
      heap.offer(f, words, sequence, () => {});
    });
    heap.sort(f);
  });
  f.get(out).call(emit);
  kernel.finish.i32(abi.needInput);
  return { wasm: kernel.build(), inputColumns: lowering.inputs, output, outputBytesMaxPerMorsel: frameBytesMax(output, rowsMax) };
}

/** Evaluates the output columns again for the rows that were kept. */
function scanEmit(kernel: KernelModule, heap: TopHeap, nodes: readonly Node[], saved: number, next: number, lowering: Lowering, dataset: DatasetSchema, rowsMax: number): FunctionBuilder {
  let scalar: ScalarCompiler | undefined;
  let row: Local | undefined;
  const setup = (f: FunctionBuilder) => {
    const batch = f.local('i32');
    const rows = f.local('i32');
    f.globalGet(saved).set(batch);
    row = f.local('i32');
    scalar = new ScalarCompiler(kernel, f, kernel.readInput(f, batch, lowering.inputColumns, rows, dataset.rowGroupRowsMax), row);
  };
  const at = (f: FunctionBuilder, entry: Local) => {
    f.get(entry).mem('i32.load').set(row!); // setup made it
    return scalar!; // setup made it
  };
  const cells = nodes.map((node): Cell => {
    const valid: Cell['valid'] = (f, entry) => {
      const v = at(f, entry).validityOf([node]);
      if (v) f.get(v);
      else f.i32(1);
    };
    if (node.rep === 'f32' || node.rep === 'f64')
      return {
        valid,
        f64: (f, entry) => {
          at(f, entry).value(node);
          if (node.rep === 'f32') f.op('f64.promote_f32');
        },
      };
    return {
      valid,
      word: (f, entry) => {
        at(f, entry).value(node);
        toWord(kernel, f, node.rep);
      },
    };
  });
  return emitRowsFunction(kernel, cells, { count: heap.size, next, entryAt: (f, i) => heap.entryAt(f, i), setup }, { rowsMax, textBytesMax: batchTextBytesMax });
}

function mergeKernel(k: number, input: readonly Column[], output: readonly Column[], keyColumns: readonly number[], sortKeys: readonly SortKey[], dataset: DatasetSchema): Merge {
  const kernel = new KernelModule(output, batchRowsMax, { utf8BytesMax: () => batchTextBytesMax });
  const lowering = new Lowering({ columns: input });
  for (const column of input) lowering.input(column);
  const capacity = Math.max(1, Math.min(k, dataset.rows));
  // Per shown column: a word, and a word that is 1 if it is not NULL.
  const payloadBytes = output.length * 16;
  if (capacity * (payloadBytes + 64) > mergeHeapBytesMax) throw new Unsupported(`the ${k} best rows of ${output.length} columns do not fit a merge`);
  const heap = new TopHeap(kernel, sortKeys, capacity, payloadBytes);
  const arena = new TextArena(kernel, input.some((c) => c.physical === 'utf8') ? mergeTextBytesMax : 0);
  const sequence = kernel.module.global('i32');
  const next = kernel.module.global('i32');
  const sorted = kernel.module.global('i32');
  const wordAt = (i: number) => heap.payloadAt + i * 16;
  const cells = output.map((column, i): Cell => {
    const valid: Cell['valid'] = (f, entry) => f.get(entry).mem('i32.load', wordAt(i) + 8);
    const float = column.physical === 'f32' || column.physical === 'f64';
    return float ? { valid, f64: (f, entry) => f.get(entry).mem('f64.load', wordAt(i)) } : { valid, word: (f, entry) => f.get(entry).mem('i64.load', wordAt(i)) };
  });
  const emit = emitRowsFunction(kernel, cells, { count: heap.size, next, entryAt: (f, i) => heap.entryAt(f, i) }, { rowsMax: batchRowsMax, textBytesMax: batchTextBytesMax });
  heap.reset(kernel.reset);
  arena.reset(kernel.reset);
  for (const global of [sequence, next, sorted]) kernel.reset.i32(0).globalSet(global);
  const { process: f, finish } = kernel;
  const [batch] = f.params as [Local, Local];
  const sequence64 = f.local('i64');
  new BlockLoop(kernel, undefined, input, batchRowsMax).emitRows(f, batch, (inputs, row) => {
    const scalar = new ScalarCompiler(kernel, f, inputs, row);
    const nodes = input.map((c) => lowering.stored(c));
    const words = keyColumns.map((c) => wordOf(f, scalar, nodes[c]!));
    f.globalGet(sequence).op('i64.extend_i32_u').set(sequence64).globalGet(sequence).i32(1).op('i32.add').globalSet(sequence);
    heap.offer(f, words, sequence64, (entry) => {
      keepTextKeys(f, heap, arena, words, entry, sortKeys);
      output.forEach((column, i) => {
        keepPayload(f, scalar, arena, nodes[i]!, column, entry, wordAt(i));
      });
    });
  });
  f.i32(abi.needInput);
  const [out] = finish.params as [Local];
  finish.globalGet(sorted).op('i32.eqz').if(() => {
    heap.sort(finish);
    finish.i32(1).globalSet(sorted);
  });
  finish.get(out).call(emit);
  return { kind: 'kernel', wasm: kernel.build(), input, output };
}

function wordOf(f: FunctionBuilder, scalar: ScalarCompiler, node: Node): { word: Local; valid: Local | undefined } {
  const word = f.local('i64');
  const valid = scalar.value(node);
  toWord(scalar.kernel, f, node.rep);
  f.set(word);
  return { word, valid };
}

/** The entry's text keys still point at the frame: point them at copies. */
function keepTextKeys(f: FunctionBuilder, heap: TopHeap, arena: TextArena, words: readonly { readonly word: Local }[], entry: Local, sortKeys: readonly SortKey[]): void {
  sortKeys.forEach((key, i) => {
    if (key.kind !== 'text') return;
    const { word } = words[i]!;
    const at = heap.textAt(i);
    f.get(entry).mem('i64.load', at).set(word);
    arena.keep(f, word);
    f.get(entry).get(word).mem('i64.store', at);
  });
}

function keepPayload(f: FunctionBuilder, scalar: ScalarCompiler, arena: TextArena, node: Node, column: Column, entry: Local, at: number): void {
  if (repKind(node.rep) === 'float') {
    const value = f.local('f64');
    const valid = scalar.value(node);
    if (node.rep === 'f32') f.op('f64.promote_f32');
    f.set(value).get(entry).get(value).mem('f64.store', at);
    storeValid(f, entry, at, valid);
    f.release(value);
    return;
  }
  const { word, valid } = wordOf(f, scalar, node);
  if (column.physical === 'utf8') {
    if (valid) f.get(word).i64(0n).get(valid).op('select').set(word);
    arena.keep(f, word);
  }
  f.get(entry).get(word).mem('i64.store', at);
  storeValid(f, entry, at, valid);
  f.release(word);
}

function storeValid(f: FunctionBuilder, entry: Local, at: number, valid: Local | undefined): void {
  f.get(entry);
  if (valid) f.get(valid);
  else f.i32(1);
  f.mem('i32.store', at + 8);
}
