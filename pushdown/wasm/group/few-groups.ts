import { sumPhysical } from '../../plan/partials.js';
import { invariant } from '../../types/error.js';
import { blockRows } from '../compaction.js';
import type { FunctionBuilder, Local } from '../encoder/function-builder.js';
import type { InputColumn, KernelModule } from '../kernel-module.js';
import { emitAccumulate } from './accumulate.js';
import { type Block, forEachRow } from './block-loop.js';
import { SharedScalarCompiler } from './shared-scalar.js';
import type { GroupShape, PreparedPartial } from './shape.js';
import type { GroupTable, KeyWord } from './table.js';
import { toWord } from './word.js';

/** Slots up to which a block's rows are sorted by group first. */
const slotsMax = 32;

/** Whether the shape's groups are few and all its partials can be kept in locals for the rows of a block. */
export function isFewGroups(table: GroupTable, shape: GroupShape): boolean {
  return table.slots !== undefined && table.slots <= slotsMax && shape.partials.every((p) => !('kind' in p.scan && p.scan.kind === 'text') && fitsBlock(p));
}

/** A block's sum stays in 64 bits. */
const fitsBlock = ({ node, scan }: PreparedPartial): boolean => scan.form !== 'sum128' || (node?.range !== undefined && sumPhysical(node.range, blockRows) === 'i64');

/**
 * Aggregation into few groups: the rows of a block are dealt out to one list per group, then each group's rows are folded
 * with everything in locals. A read-modify-write in memory per row and partial, chained through one address when neighbours
 * fall into one group, costs twice as much.
 */
export class FewGroups {
  readonly #lists: number;
  /** One i32 per slot: where its list ends. */
  readonly #ends: number;
  readonly #slots: number;

  constructor(
    readonly kernel: KernelModule,
    readonly table: GroupTable,
    readonly shape: GroupShape,
  ) {
    invariant(table.slots !== undefined, 'few groups have slots');
    this.#slots = table.slots;
    this.#lists = kernel.reserve(this.#slots * blockRows * 2);
    this.#ends = kernel.reserve(this.#slots * 4);
  }

  emit(f: FunctionBuilder, inputs: readonly InputColumn[], block: Block): void {
    const row = f.local('i32');
    const at = f.local('i32');
    const end = f.local('i32');
    this.#deal(f, inputs, block, { row, at, end });
    this.#meetNewGroups(f, inputs, block, row);
    this.#foldLists(f, inputs, block, { row, at, end });
    f.release(row, at, end);
  }

  /** Appends every row to the list of its group. */
  #deal(f: FunctionBuilder, inputs: readonly InputColumn[], block: Block, { row, at, end }: Record<'row' | 'at' | 'end', Local>): void {
    for (let slot = 0; slot < this.#slots; slot++) f.i32(0).i32(this.#listOf(slot)).mem('i32.store', this.#ends + slot * 4);
    const slot = f.local('i32');
    const tail = f.local('i32');
    f.i32(block.list ?? 0).set(at);
    forEachRow(f, block, at, end, row, () => {
      const scalar = new SharedScalarCompiler(this.kernel, f, inputs, row);
      this.table.slotOf(f, this.#keys(f, scalar));
      f.i32(2).op('i32.shl').tee(slot).mem('i32.load', this.#ends).tee(tail);
      f.get(row).get(block.base).op('i32.sub').mem('i32.store16');
      f.get(slot).get(tail).i32(2).op('i32.add').mem('i32.store', this.#ends);
    });
    f.release(slot, tail);
  }

  #listOf(slot: number): number {
    return this.#lists + slot * blockRows * 2;
  }

  #keys(f: FunctionBuilder, scalar: SharedScalarCompiler): KeyWord[] {
    return this.shape.keys.map(({ node }) => {
      const word = f.local('i64');
      const valid = scalar.value(node);
      toWord(this.kernel, f, node.rep);
      if (valid) f.i64(0n).get(valid).op('select');
      f.set(word);
      return { word, valid };
    });
  }

  /** Makes the groups that this block is the first to have, in the order of their first rows. */
  #meetNewGroups(f: FunctionBuilder, inputs: readonly InputColumn[], block: Block, row: Local): void {
    const first = f.local('i32');
    const entry = f.local('i32');
    f.loop((again) => {
      // The earliest first row of the lists whose group does not exist yet.
      f.i32(blockRows).set(first);
      for (let slot = 0; slot < this.#slots; slot++) {
        f.i32(0).mem('i32.load', this.#ends + slot * 4).i32(this.#listOf(slot)).op('i32.ne');
        f.i32(0).mem('i64.load', this.table.slotAddress(slot)).op('i64.eqz', 'i32.and');
        f.if(() => {
          f.i32(0).mem('i32.load16_u', this.#listOf(slot)).get(first).i32(0).mem('i32.load16_u', this.#listOf(slot)).get(first).op('i32.lt_u', 'select').set(first);
        });
      }
      f.get(first).i32(blockRows).op('i32.ne').if(() => {
        f.get(block.base).get(first).op('i32.add').set(row);
        this.table.find(f, this.#keys(f, new SharedScalarCompiler(this.kernel, f, inputs, row)), entry);
        // The rows word says that the group exists; its list will count this row.
        f.get(entry).i64(existsMark).mem('i64.store');
        f.br(again);
      });
    });
    f.release(first, entry);
  }

  #foldLists(f: FunctionBuilder, inputs: readonly InputColumn[], block: Block, { row, at, end }: Record<'row' | 'at' | 'end', Local>): void {
    const slot = f.local('i32');
    const entry = f.local('i32');
    const count = f.local('i32');
    f.i32(0).set(slot);
    f.while(
      () => f.get(slot).i32(this.#slots).op('i32.lt_u'),
      () => {
        f.get(slot).i32(blockRows * 2).op('i32.mul').i32(this.#lists).op('i32.add').tee(at);
        f.get(slot).i32(2).op('i32.shl').mem('i32.load', this.#ends).op('i32.ne').if(() => {
          f.get(slot).i32(2).op('i32.shl').mem('i32.load', this.#ends).get(at).op('i32.sub').i32(1).op('i32.shr_u').set(count);
          f.get(slot).i32(this.table.layout.bytes).op('i32.mul').i32(this.table.slotAddress(0)).op('i32.add').set(entry);
          this.#foldList(f, inputs, { ...block, count, list: 0 }, { row, at, end, entry });
        });
        f.add(slot, 1);
      },
    );
    f.release(slot, entry, count);
  }

  /** Folds one group's rows; `at` is where its list starts. */
  #foldList(f: FunctionBuilder, inputs: readonly InputColumn[], block: Block, { row, at, end, entry }: Record<'row' | 'at' | 'end' | 'entry', Local>): void {
    const folds = this.shape.partials.map((p, i) => this.#foldOf(f, p, i, entry, block.count));
    for (const fold of folds) fold.start();
    forEachRow(f, block, at, end, row, () => {
      const scalar = new SharedScalarCompiler(this.kernel, f, inputs, row);
      scalar.share(this.shape.partials.flatMap((p) => p.node ?? []));
      for (const fold of folds) fold.add(scalar);
    });
    for (const fold of folds) fold.store();
  }

  #foldOf(f: FunctionBuilder, { node, scan, kind }: PreparedPartial, index: number, entry: Local, count: Local): Fold {
    const at = this.table.layout.accumulatorsAt[index]!;
    if (!node) {
      return {
        start: () => {},
        add: () => {},
        store: () => {
          // Takes the mark of a new group away.
          f.get(entry).get(entry).mem('i64.load', at).i64(existsMark - 1n).op('i64.and').get(count).op('i64.extend_i32_u', 'i64.add').mem('i64.store', at);
        },
      };
    }
    if (scan.form === 'sumF64') {
      const sum = f.local('f64');
      return {
        start: () => f.get(entry).mem('f64.load', at).set(sum),
        add: (scalar) => {
          f.get(sum);
          const valid = scalar.value(node);
          if (node.rep === 'f32') f.op('f64.promote_f32');
          if (valid) f.f64(0).get(valid).op('select');
          f.op('f64.add').set(sum);
        },
        store: () => f.get(entry).get(sum).mem('f64.store', at),
      };
    }
    const word = f.local('i64');
    if (scan.form === 'min' || scan.form === 'max') {
      const candidate = f.local('i64');
      return {
        start: () => f.get(entry).mem('i64.load', at).set(word),
        add: (scalar) => {
          const valid = scalar.value(node);
          toWord(this.kernel, f, node.rep);
          f.tee(candidate).get(word).get(candidate).get(word).op(scan.form === 'min' ? 'i64.lt_s' : 'i64.gt_s');
          if (valid) f.get(valid).op('i32.and');
          f.op('select').set(word);
        },
        store: () => f.get(entry).get(word).mem('i64.store', at),
      };
    }
    return {
      start: () => f.i64(0n).set(word),
      add: (scalar) => {
        f.get(word);
        if (kind === 'count') {
          const valid = scalar.validityOf([node]);
          if (valid) f.get(valid).op('i64.extend_i32_u');
          else f.i64(1n);
        } else {
          const valid = scalar.value(node);
          toWord(this.kernel, f, node.rep);
          if (valid) f.i64(0n).get(valid).op('select');
        }
        f.op('i64.add').set(word);
      },
      store: () => emitAccumulate(this.table, f, index, entry, { kind: 'word', word, valid: undefined }),
    };
  }
}

/** In the rows word of a group that exists but has no row yet. Row counts stay below it. */
const existsMark = 1n << 62n;

interface Fold {
  start(): void;
  add(scalar: SharedScalarCompiler): void;
  store(): void;
}
