import type { Column } from '../../types/schema.js';
import { blockRows } from '../compaction.js';
import type { FunctionBuilder, Local } from '../encoder/function-builder.js';
import type { Node } from '../ir.js';
import type { InputColumn, KernelModule } from '../kernel-module.js';
import { BlockSelection, splitConjunction } from '../selection.js';

/** A loop over the rows of a batch that a predicate takes: blocks are selected sixteen rows at a time, then visited row by row. */
export class RowLoop {
  constructor(
    readonly kernel: KernelModule,
    readonly filter: Node | undefined,
    readonly columns: readonly Column[],
    readonly rowsMax: number,
  ) {}

  /** Emits the loop over the ArrowArray at `batch`. Leaves f with a negative status on bad input. */
  emit(f: FunctionBuilder, batch: Local, visit: (inputs: readonly InputColumn[], row: Local) => void): void {
    const rows = f.local('i32');
    const row = f.local('i32');
    const inputs = this.kernel.readInput(f, batch, this.columns, rows, this.rowsMax);
    if (this.filter) this.#selected(f, this.filter, inputs, rows, row, visit);
    else {
      f.i32(0).set(row);
      f.while(
        () => f.get(row).get(rows).op('i32.lt_u'),
        () => {
          visit(inputs, row);
          f.add(row, 1);
        },
      );
    }
  }

  #selected(f: FunctionBuilder, filter: Node, inputs: readonly InputColumn[], rows: Local, row: Local, visit: (inputs: readonly InputColumn[], row: Local) => void): void {
    const selection = new BlockSelection(this.kernel, f, inputs, splitConjunction(filter, this.columns));
    const [base, n, count, at, end] = [1, 2, 3, 4, 5].map(() => f.local('i32')) as [Local, Local, Local, Local, Local];
    f.i32(0).set(base);
    f.while(
      () => f.get(base).get(rows).op('i32.lt_u'),
      () => {
        f.get(rows).get(base).op('i32.sub').i32(blockRows).get(rows).get(base).op('i32.sub').i32(blockRows).op('i32.lt_u', 'select').set(n);
        selection.emitBitmap(base, n, count);
        f.get(count).if(() => {
          selection.emitList(base, n, count);
          f.i32(selection.list).tee(at).get(count).i32(1).op('i32.shl', 'i32.add').set(end);
          f.while(
            () => f.get(at).get(end).op('i32.lt_u'),
            () => {
              f.get(at).mem('i32.load16_u').get(base).op('i32.add').set(row);
              visit(inputs, row);
              f.add(at, 2);
            },
          );
        });
        f.get(base).get(n).op('i32.add').set(base);
      },
    );
  }
}
