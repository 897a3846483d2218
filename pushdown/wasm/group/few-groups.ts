import { sumPhysical } from '../../plan/partials.js';
import { invariant } from '../../types/error.js';
import type { Column } from '../../types/schema.js';
import { valueBytes } from '../../types/physical.js';
import { blockRows, listFunction } from '../compaction.js';
import type { FunctionBuilder, Local } from '../encoder/function-builder.js';
import { laneOf, stepRows } from '../lanes.js';
import { VectorCompiler } from '../vector.js';
import type { InputColumn, KernelModule } from '../kernel-module.js';
import { type BitmapBlock, type Block, forEachRow } from './block-loop.js';
import { SharedScalarCompiler } from './shared-scalar.js';
import type { GroupShape, PreparedPartial } from './shape.js';
import type { GroupTable, KeyWord } from './table.js';
import { toWord } from './word.js';
import { existsMark, foldOf } from './fold.js';
import { hasVectorPartial } from '../ungrouped/by-vector.js';
import { emitBitmapMask } from '../vector-validity.js';
import { vectorFoldOf } from './vector-fold.js';

/** Slots up to which a block's rows are sorted by group first. */
const slotsMax = 32;
/** Slots up to which keys are compared with every group's. */
const maskSlotsMax = 12;
/** Sums and counts of all groups that may be kept in vectors at a time. */
const vectorSumsMax = 96;
/** A list, and room for the last vector store. */
const listBytes = blockRows * 2 + 64;
const bitmapBytes = blockRows / 8 + 64;

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
  readonly #bitmaps: number;
  /** One i32 per slot: where its list ends. */
  readonly #ends: number;
  readonly #slots: number;

  constructor(
    readonly kernel: KernelModule,
    readonly table: GroupTable,
    readonly shape: GroupShape,
    readonly columns: readonly Column[],
  ) {
    invariant(table.slots !== undefined, 'few groups have slots');
    this.#slots = table.slots;
    this.#lists = kernel.reserve(this.#slots * listBytes);
    this.#bitmaps = kernel.reserve(this.#slots <= maskSlotsMax ? this.#slots * bitmapBytes : 0);
    this.#ends = kernel.reserve(this.#slots * 4);
  }

  /** Whether the keys can be told apart sixteen rows at a time. */
  get hasMasks(): boolean {
    return this.#slots <= maskSlotsMax && this.table.layout.keys.every((k, i) => laneOf(this.shape.keys[i]!.node, this.columns) === 'i8' && k.kind === 'exact');
  }

  /** Aggregates a block whose rows are listed. */
  emit(f: FunctionBuilder, inputs: readonly InputColumn[], block: Block): void {
    this.#deal(f, inputs, block);
    this.#emitLists(f, inputs, block.base);
  }

  /** Aggregates a block whose rows are in a bitmap; hasMasks must hold. */
  emitMasked(f: FunctionBuilder, inputs: readonly InputColumn[], block: BitmapBlock): void {
    this.#dealByMask(f, inputs, block);
    this.#emitLists(f, inputs, block.base);
  }

  /** Whether all partials are counts and exact sums that lanes can compute: then no row is looked at by itself. */
  get hasVectorSums(): boolean {
    const exact = (p: PreparedPartial) => p.kind === 'sum' && p.scan.form !== 'sumF64' && hasVectorPartial({ kind: 'sum', node: p.node, column: { ...p.column, physical: 'i64' } }, this.columns);
    const counted = (p: PreparedPartial) => p.scan.form === 'count' && hasVectorPartial({ kind: 'count', node: p.node, column: p.column }, this.columns);
    return this.hasMasks && this.#slots * this.shape.partials.length <= vectorSumsMax && this.shape.partials.every((p) => counted(p) || exact(p));
  }

  /** Aggregates a block whose rows are in a bitmap, every group's sums sixteen rows at a time; hasVectorSums must hold. */
  emitVectorSums(f: FunctionBuilder, inputs: readonly InputColumn[], { base, rows, bitmap }: BitmapBlock): void {
    const [row, end, at, bits] = [1, 2, 3, 4].map(() => f.local('i32')) as [Local, Local, Local, Local];
    const groups = Array.from({ length: this.#slots }, (_, slot) => {
      const entry = f.local('i32');
      return { entry, mask: f.local('v128'), count: f.local('i32'), folds: this.shape.partials.map((p, i) => vectorFoldOf(f, this.table, inputs, p, i, entry)), slot };
    });
    for (const { count } of groups) f.i32(0).set(count);
    f.get(base).tee(row).get(rows).op('i32.add').set(end).i32(0).set(at);
    f.while(
      () => f.get(row).get(end).op('i32.lt_u'),
      () => {
        const v = new VectorCompiler(this.kernel, f, inputs, row, undefined, true);
        const wanted = f.local('v128');
        emitBitmapMask(v, at, bitmap);
        f.set(wanted);
        for (const { slot, mask, count, folds } of groups) {
          this.#slotMask(v, slot);
          f.get(wanted).op('v128.and').tee(mask).op('i8x16.bitmask').set(bits);
          f.get(at).get(bits).mem('i32.store16', this.#bitmapOf(slot));
          f.get(count).get(bits).op('i32.popcnt', 'i32.add').set(count);
          for (const fold of folds) fold?.add(v, mask);
        }
        f.add(at, 2).add(row, stepRows);
      },
    );
    for (const { slot, count } of groups) {
      f.get(at).i64(0n).mem('i64.store', this.#bitmapOf(slot), 1);
      f.i32(0).get(count).i32(1).op('i32.shl').i32(this.#listOf(slot)).op('i32.add').mem('i32.store', this.#ends + slot * 4);
      // A list is needed only to see where a group is met first.
      f.get(count).i32(0).op('i32.ne').i32(0).mem('i64.load', this.table.slotAddress(slot)).op('i64.eqz', 'i32.and').if(() => {
        f.i32(this.#bitmapOf(slot)).get(rows).i32(this.#listOf(slot)).call(listFunction(this.kernel));
      });
    }
    this.#meetNewGroups(f, rebased(f, inputs, base));
    for (const { slot, count, entry, folds } of groups)
      f.get(count).if(() => {
        f.i32(this.table.slotAddress(slot)).set(entry);
        // Takes the mark of a new group away.
        f.get(entry).get(entry).mem('i64.load').i64(existsMark - 1n).op('i64.and').get(count).op('i64.extend_i32_u', 'i64.add').mem('i64.store');
        for (const fold of folds) fold?.store();
      });
  }

  #emitLists(f: FunctionBuilder, inputs: readonly InputColumn[], base: Local): void {
    // Rows are offsets from here on.
    const inBlock = rebased(f, inputs, base);
    this.#meetNewGroups(f, inBlock);
    this.#foldLists(f, inBlock);
  }

  /** Appends every row to the list of its group. */
  #deal(f: FunctionBuilder, inputs: readonly InputColumn[], block: Block): void {
    const [row, at, end, slot, tail] = [1, 2, 3, 4, 5].map(() => f.local('i32')) as [Local, Local, Local, Local, Local];
    for (let s = 0; s < this.#slots; s++) f.i32(0).i32(this.#listOf(s)).mem('i32.store', this.#ends + s * 4);
    f.i32(block.list ?? 0).set(at);
    forEachRow(f, block, at, end, row, () => {
      const scalar = new SharedScalarCompiler(this.kernel, f, inputs, row);
      this.table.slotOf(f, this.#keys(f, scalar));
      f.i32(2).op('i32.shl').tee(slot).mem('i32.load', this.#ends).tee(tail);
      f.get(row).get(block.base).op('i32.sub').mem('i32.store16');
      f.get(slot).get(tail).i32(2).op('i32.add').mem('i32.store', this.#ends);
    });
    f.release(row, at, end, slot, tail);
  }

  /** The same by comparing sixteen keys at a time with each group's: a bitmap per group, then its list. */
  #dealByMask(f: FunctionBuilder, inputs: readonly InputColumn[], { base, rows, bitmap }: BitmapBlock): void {
    const [row, end, at, bits] = [1, 2, 3, 4].map(() => f.local('i32')) as [Local, Local, Local, Local];
    const counts = Array.from({ length: this.#slots }, () => f.local('i32'));
    for (const count of counts) f.i32(0).set(count);
    f.get(base).tee(row).get(rows).op('i32.add').set(end).i32(0).set(at);
    const step = () => {
      const v = new VectorCompiler(this.kernel, f, inputs, row);
      counts.forEach((count, slot) => {
        this.#slotMask(v, slot);
        f.op('i8x16.bitmask').get(at).mem('i32.load16_u', bitmap).op('i32.and').set(bits);
        f.get(at).get(bits).mem('i32.store16', this.#bitmapOf(slot));
        f.get(count).get(bits).op('i32.popcnt', 'i32.add').set(count);
      });
      f.add(at, 2).add(row, stepRows);
    };
    f.while(() => f.get(row).get(end).op('i32.lt_u'), step);
    counts.forEach((count, slot) => {
      f.get(at).i64(0n).mem('i64.store', this.#bitmapOf(slot), 1);
      f.i32(0).get(count).i32(1).op('i32.shl').i32(this.#listOf(slot)).op('i32.add').mem('i32.store', this.#ends + slot * 4);
      f.get(count).if(() => f.i32(this.#bitmapOf(slot)).get(rows).i32(this.#listOf(slot)).call(listFunction(this.kernel)));
    });
    f.release(row, end, at, bits, ...counts);
  }

  /** Leaves bytes of -1 where the keys are those of the slot. */
  #slotMask(v: VectorCompiler, slot: number): void {
    const { f } = v;
    const dimensions = this.table.dimensions ?? [];
    if (dimensions.length === 0) v.constant(new Uint8Array(16).fill(0xff));
    let rest = slot;
    for (let i = dimensions.length - 1; i >= 0; i--) {
      const digit = rest % dimensions[i]!;
      rest = Math.floor(rest / dimensions[i]!);
      const { nullable, range } = this.table.layout.keys[i]!;
      const { node } = this.shape.keys[i]!;
      v.keep(`key ${i} is ${digit}`, () => {
        const valid = nullable ? v.validity(node) : undefined;
        if (valid && digit === dimensions[i]! - 1) f.get(valid).op('v128.not');
        else {
          v.part(node, 'i8', 0);
          v.splat('i8', (range?.min ?? 0n) + BigInt(digit));
          f.op('i8x16.eq');
          if (valid) f.get(valid).op('v128.and');
        }
      });
      if (i < dimensions.length - 1) f.op('v128.and');
    }
  }

  #listOf(slot: number): number {
    return this.#lists + slot * listBytes;
  }

  #bitmapOf(slot: number): number {
    return this.#bitmaps + slot * bitmapBytes;
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
  #meetNewGroups(f: FunctionBuilder, inputs: readonly InputColumn[]): void {
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
        this.table.find(f, this.#keys(f, new SharedScalarCompiler(this.kernel, f, inputs, first)), entry);
        // The rows word says that the group exists; its list will count this row.
        f.get(entry).i64(existsMark).mem('i64.store');
        f.br(again);
      });
    });
    f.release(first, entry);
  }

  #foldLists(f: FunctionBuilder, inputs: readonly InputColumn[]): void {
    const [slot, entry, at, end] = [1, 2, 3, 4].map(() => f.local('i32')) as [Local, Local, Local, Local];
    f.i32(0).set(slot);
    f.while(
      () => f.get(slot).i32(this.#slots).op('i32.lt_u'),
      () => {
        f.get(slot).i32(listBytes).op('i32.mul').i32(this.#lists).op('i32.add').tee(at);
        f.get(slot).i32(2).op('i32.shl').mem('i32.load', this.#ends).tee(end).op('i32.ne').if(() => {
          f.get(slot).i32(this.table.layout.bytes).op('i32.mul').i32(this.table.slotAddress(0)).op('i32.add').set(entry);
          this.#foldList(f, inputs, at, end, entry);
        });
        f.add(slot, 1);
      },
    );
    f.release(slot, entry, at, end);
  }

  /** Folds one group's rows, listed from `at` to `end`. */
  #foldList(f: FunctionBuilder, inputs: readonly InputColumn[], at: Local, end: Local, entry: Local): void {
    const row = f.local('i32');
    const count = f.local('i32');
    f.get(end).get(at).op('i32.sub').i32(1).op('i32.shr_u').set(count);
    const folds = this.shape.partials.map((p, i) => foldOf(f, this.table, p, i, entry, count));
    const nodes = this.shape.partials.flatMap((p) => p.node ?? []);
    for (const fold of folds) fold.start();
    // Only rows are counted: their list's length says it.
    if (nodes.length > 0)
      f.while(
        () => f.get(at).get(end).op('i32.lt_u'),
        () => {
          f.get(at).mem('i32.load16_u').set(row);
          const scalar = new SharedScalarCompiler(this.kernel, f, inputs, row);
          scalar.share(nodes);
          for (const fold of folds) fold.add(scalar);
          f.add(at, 2);
        },
      );
    for (const fold of folds) fold.store();
    f.release(row, count);
  }
}

/** The columns of a block: pointers to its first row, which is a multiple of blockRows. */
function rebased(f: FunctionBuilder, inputs: readonly InputColumn[], base: Local): InputColumn[] {
  const moved = (pointer: Local, bits: number): Local => {
    const local = f.local('i32');
    f.get(pointer).get(base);
    if (bits < 8) f.i32(3 - Math.log2(bits)).op('i32.shr_u');
    else if (bits > 8) f.i32(Math.log2(bits) - 3).op('i32.shl');
    f.op('i32.add').set(local);
    return local;
  };
  return inputs.map((input) => ({
    column: input.column,
    validity: input.validity && moved(input.validity, 1),
    offsets: input.offsets && moved(input.offsets, 32),
    data: input.column.physical === 'utf8' ? input.data : moved(input.data, (valueBytes[input.column.physical] ?? 1 / 8) * 8),
  }));
}
