import type { Column } from '../../types/schema.js';
import { blockRows } from '../compaction.js';
import type { FunctionBuilder, Local } from '../encoder/function-builder.js';
import type { Node } from '../ir.js';
import type { InputColumn, KernelModule } from '../kernel-module.js';
import { BlockSelection, splitConjunction } from '../selection.js';

/** The rows of one block that passed the filter: a list of u16 offsets from `base`, or [base, base + count) without a filter. */
export interface Block {
  readonly base: Local;
  /** Never 0. */
  readonly count: Local;
  readonly list: number | undefined;
}

/** The same as a bitmap over the `rows` rows from `base`, a multiple of blockRows, on; its bits up to the next 64 rows are 0. */
export interface BitmapBlock {
  readonly base: Local;
  readonly rows: Local;
  readonly bitmap: number;
}

/** A loop over a batch in blocks, each filtered sixteen rows at a time. */
export class BlockLoop {
  constructor(
    readonly kernel: KernelModule,
    readonly filter: Node | undefined,
    readonly columns: readonly Column[],
    readonly rowsMax: number,
  ) {}

  /** Whether the filter is all masks, so that emitBitmaps is for it. */
  get hasBitmaps(): boolean {
    return !this.filter || splitConjunction(this.filter, this.columns).rows.length === 0;
  }

  /** Emits the loop over the ArrowArray at `batch`. Leaves f with a negative status on bad input. */
  emit(f: FunctionBuilder, batch: Local, visit: (inputs: readonly InputColumn[], block: Block) => void): void {
    this.#emitBlocks(f, batch, (inputs, base, n) => {
      if (!this.filter) {
        visit(inputs, { base, count: n, list: undefined });
        return;
      }
      const count = f.local('i32');
      const selection = new BlockSelection(this.kernel, f, inputs, splitConjunction(this.filter, this.columns));
      selection.emitBitmap(base, n, count);
      f.get(count).if(() => {
        selection.emitList(base, n, count);
        f.get(count).if(() => visit(inputs, { base, count, list: selection.list }));
      });
    });
  }

  /** The same, with each block's selection as a bitmap. */
  emitBitmaps(f: FunctionBuilder, batch: Local, visit: (inputs: readonly InputColumn[], block: BitmapBlock) => void): void {
    this.#emitBlocks(f, batch, (inputs, base, rows) => {
      const count = f.local('i32');
      const selection = new BlockSelection(this.kernel, f, inputs, this.filter ? splitConjunction(this.filter, this.columns) : { masks: [], searches: [], rows: [] });
      selection.emitBitmap(base, rows, count);
      f.get(count).if(() => visit(inputs, { base, rows, bitmap: selection.bitmap }));
    });
  }

  #emitBlocks(f: FunctionBuilder, batch: Local, visit: (inputs: readonly InputColumn[], base: Local, n: Local) => void): void {
    const rows = f.local('i32');
    const inputs = this.kernel.readInput(f, batch, this.columns, rows, this.rowsMax);
    const base = f.local('i32');
    const n = f.local('i32');
    f.i32(0).set(base);
    f.while(
      () => f.get(base).get(rows).op('i32.lt_u'),
      () => {
        f.get(rows).get(base).op('i32.sub').i32(blockRows).get(rows).get(base).op('i32.sub').i32(blockRows).op('i32.lt_u', 'select').set(n);
        visit(inputs, base, n);
        f.get(base).get(n).op('i32.add').set(base);
      },
    );
  }

  /** The same, row by row. */
  emitRows(f: FunctionBuilder, batch: Local, visit: (inputs: readonly InputColumn[], row: Local) => void): void {
    const row = f.local('i32');
    const at = f.local('i32');
    const end = f.local('i32');
    this.emit(f, batch, (inputs, block) => {
      f.i32(block.list ?? 0).set(at);
      forEachRow(f, block, at, end, row, () => visit(inputs, row));
    });
  }
}

/** Visits the rows of a block. With a list, `at` must hold its address. */
export function forEachRow(f: FunctionBuilder, block: Block, at: Local, end: Local, row: Local, visit: () => void): void {
  if (block.list === undefined) {
    f.get(block.base).tee(row).get(block.count).op('i32.add').set(end);
    f.while(
      () => f.get(row).get(end).op('i32.lt_u'),
      () => {
        visit();
        f.add(row, 1);
      },
    );
    return;
  }
  f.get(at).get(block.count).i32(1).op('i32.shl', 'i32.add').set(end);
  f.while(
    () => f.get(at).get(end).op('i32.lt_u'),
    () => {
      f.get(at).mem('i32.load16_u').get(block.base).op('i32.add').set(row);
      visit();
      f.add(at, 2);
    },
  );
}
