import type { Column } from '../types/schema.js';
import { blockRows, listFunction } from './compaction.js';
import type { FunctionBuilder, Local } from './encoder/function-builder.js';
import { invariant } from '../types/error.js';
import type { Node, NodeOf } from './ir.js';
import { float32Max, floatBound } from './float-bound.js';
import type { InputColumn, KernelModule } from './kernel-module.js';
import { stepRows } from './lanes.js';
import { emitMask, hasMask } from './mask.js';
import { isContains, longestPiece } from './like-pattern.js';
import { keepContainingFunction } from './text-search.js';
import { ScalarCompiler } from './scalar.js';
import { VectorCompiler } from './vector.js';

/** A conjunction, split by how it is computed. */
export interface Conjunction {
  /** Sixteen rows at a time; these cannot fail. */
  readonly masks: readonly Node[];
  /** LIKE over stored strings: a search of the block's text for their longest piece leaves few rows to look at. */
  readonly searches: readonly NodeOf<'like'>[];
  /** Row by row in this order, for rows that passed the masks and searches. */
  readonly rows: readonly Node[];
}

/** Whether evaluating the node can end the kernel with an overflow, or with whatever a user's function does. */
export function mayFail(node: Node): boolean {
  if (node.op === 'call') return true;
  if ('check' in node && node.check) return true;
  if (node.op === 'convert' && node.how === 'floatToFloat' && node.rep === 'f32' && floatBound(node.arg) > float32Max) return true;
  return childrenOf(node).some(mayFail);
}

export function childrenOf(node: Node): readonly Node[] {
  const parts: (Node | readonly Node[])[] = [];
  if ('arg' in node) parts.push(node.arg);
  if ('args' in node) parts.push(node.args);
  if ('left' in node) parts.push(node.left, node.right);
  if ('low' in node) parts.push(node.low, node.high);
  return parts.flat();
}

/** Conjuncts that cannot fail may run in any order; from the first that can, SQL's left to right decides which rows reach it. */
export function splitConjunction(predicate: Node, columns: readonly Column[]): Conjunction {
  const conjuncts = predicate.op === 'and' ? predicate.args : [predicate];
  const failing = conjuncts.findIndex(mayFail);
  const free = failing < 0 ? conjuncts : conjuncts.slice(0, failing);
  const masks = free.filter((n) => hasMask(n, columns));
  // A pattern with a fixed beginning is decided by a look at it.
  const searched = (n: NodeOf<'like'>) => n.arg.op === 'column' && /^[%_]/u.test(n.pattern.text) && longestPiece(n.pattern.text).length > 0;
  const searches = free.filter((n) => n.op === 'like').filter(searched);
  const settled = (n: Node) => masks.includes(n) || (n.op === 'like' && searches.includes(n) && !n.nullable && isContains(n.pattern.text));
  return { masks, searches, rows: conjuncts.filter((n) => !settled(n)) };
}

/** Selects rows of a block [base, base + rows): into a bitmap while only masks are needed, into a list when asked or row by row. */
export class BlockSelection {
  readonly bitmap: number;
  readonly list: number;

  constructor(
    readonly kernel: KernelModule,
    readonly f: FunctionBuilder,
    readonly inputs: readonly InputColumn[],
    readonly conjunction: Conjunction,
  ) {
    this.bitmap = kernel.reserve(blockRows / 8 + 64);
    this.list = kernel.reserve(blockRows * 2 + 64);
  }

  /** Emits the bitmap of the masks (all rows without any) and sets `count` to its ones. Bits up to the next 64 rows are 0. */
  emitBitmap(base: Local, rows: Local, count: Local): void {
    const { f, kernel } = this;
    const row = f.local('i32');
    const end = f.local('i32');
    const at = f.local('i32');
    const bits = f.local('i32');
    f.i32(0).set(count).get(base).set(row).get(base).get(rows).op('i32.add').set(end).i32(this.bitmap).set(at);
    f.while(
      () => f.get(row).get(end).op('i32.lt_u'),
      () => {
        f.get(at);
        if (this.conjunction.masks.length === 0) f.i32(0xffff);
        else {
          const v = new VectorCompiler(kernel, f, this.inputs, row);
          for (const [i, mask] of this.conjunction.masks.entries()) {
            emitMask(v, mask, true);
            if (i > 0) f.op('v128.and');
          }
          f.op('i8x16.bitmask');
        }
        f.tee(bits).mem('i32.store16');
        f.get(count).get(bits).op('i32.popcnt', 'i32.add').set(count);
        f.add(at, 2).add(row, stepRows);
      },
    );
    // Rows past the end of the block were read too: they do not count.
    f.get(row).get(end).op('i32.ne').if(() => {
      f.get(at).i32(2).op('i32.sub').i32(0xffff).get(row).get(end).op('i32.sub', 'i32.shr_u').get(bits).op('i32.and').mem('i32.store16');
      f.get(count).get(bits).i32(0xffff).get(row).get(end).op('i32.sub', 'i32.shr_u').i32(-1).op('i32.xor', 'i32.and', 'i32.popcnt', 'i32.sub').set(count);
    });
    f.get(at).i64(0n).mem('i64.store', 0, 1);
    f.release(row, end, at, bits);
    for (const { arg, pattern } of this.conjunction.searches) {
      const input = arg.op === 'column' ? this.inputs[arg.input] : undefined;
      invariant(input?.offsets, 'a search is over a column of strings');
      f.get(count).if(() => {
        f.get(input.offsets!).get(base).i32(2).op('i32.shl', 'i32.add').get(input.data).get(rows).i32(this.bitmap);
        f.call(keepContainingFunction(kernel, longestPiece(pattern.text))).set(count);
      });
    }
  }

  /** Emits the list from the bitmap, then drops what the row-by-row conjuncts refuse. */
  emitList(base: Local, rows: Local, count: Local): void {
    const { f, kernel } = this;
    f.i32(this.bitmap).get(rows).i32(this.list).call(listFunction(kernel));
    if (this.conjunction.rows.length === 0) return;
    const [from, to, entry, row, end] = [1, 2, 3, 4, 5].map(() => f.local('i32')) as [Local, Local, Local, Local, Local];
    f.i32(this.list).tee(from).set(to).get(from).get(count).i32(1).op('i32.shl', 'i32.add').set(end);
    f.while(
      () => f.get(from).get(end).op('i32.lt_u'),
      () => {
        f.get(from).mem('i32.load16_u').tee(entry).get(base).op('i32.add').set(row);
        const scalar = new ScalarCompiler(kernel, f, this.inputs, row);
        f.block((refused) => {
          for (const conjunct of this.conjunction.rows) {
            scalar.truth(conjunct);
            f.op('i32.eqz').brIf(refused);
          }
          f.get(to).get(entry).mem('i32.store16').add(to, 2);
        });
        f.add(from, 2);
      },
    );
    f.get(to).i32(this.list).op('i32.sub').i32(1).op('i32.shr_u').set(count);
    f.release(from, to, entry, row, end);
  }
}
