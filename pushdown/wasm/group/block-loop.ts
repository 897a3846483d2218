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

/** A loop over a batch in blocks, each filtered sixteen rows at a time. */
export class BlockLoop {
  constructor(
    readonly kernel: KernelModule,
    readonly filter: Node | undefined,
    readonly columns: readonly Column[],
    readonly rowsMax: number,
  ) {}

  /** Emits the loop over the ArrowArray at `batch`. Leaves f with a negative status on bad input. */
  emit(f: FunctionBuilder, batch: Local, visit: (inputs: readonly InputColumn[], block: Block) => void): void {
    const rows = f.local('i32');
    const inputs = this.kernel.readInput(f, batch, this.columns, rows, this.rowsMax);
    const selection = this.filter && new BlockSelection(this.kernel, f, inputs, splitConjunction(this.filter, this.columns));
    const base = f.local('i32');
    const n = f.local('i32');
    const count = f.local('i32');
    f.i32(0).set(base);
    f.while(
      () => f.get(base).get(rows).op('i32.lt_u'),
      () => {
        f.get(rows).get(base).op('i32.sub').i32(blockRows).get(rows).get(base).op('i32.sub').i32(blockRows).op('i32.lt_u', 'select').set(n);
        if (selection) {
          selection.emitBitmap(base, n, count);
          f.get(count).if(() => {
            selection.emitList(base, n, count);
            f.get(count).if(() => visit(inputs, { base, count, list: selection.list }));
          });
        } else {
          f.get(n).set(count);
          visit(inputs, { base, count, list: undefined });
        }
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
