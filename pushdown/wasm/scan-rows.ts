import type { Column } from '../types/schema.js';
import type { LinkedModule } from './encoder/base-module.js';
import { batchBytesMax, batchRoom } from './batch-room.js';
import { blockRows } from './compaction.js';
import { RowColumnState } from './row-columns.js';
import type { Local } from './encoder/function-builder.js';
import type { Node } from './ir.js';
import { abi, KernelModule } from './kernel-module.js';
import type { OutputPlan } from './output-columns.js';
import { BlockSelection, splitConjunction } from './selection.js';

export interface RowScan {
  readonly inputs: readonly Column[];
  readonly predicate: Node | undefined;
  readonly outputs: readonly OutputPlan[];
  /** First rows of each morsel that are wanted. */
  readonly limit: number | undefined;
  readonly rowsMax: number;
  /** Modules whose functions it calls. */
  readonly base?: LinkedModule | undefined;
  /** The batches are another part's of the same module to take: nothing is exported. */
  readonly inner?: boolean;
}

/** A row scan as a kernel of its own. */
export function emitRowScan(scan: RowScan): { readonly wasm: Uint8Array<ArrayBuffer>; readonly bytesMax: number } {
  const { kernel, bytesMax } = rowScanKernel(scan);
  return { wasm: kernel.build(), bytesMax };
}

/**
 * Filter, projection and limit over one morsel: blocks of rows are selected, then each output column takes its selected values.
 * A morsel is one output batch unless its strings do not fit their buffer: then it stops between blocks and goes on at the next call.
 */
export function rowScanKernel(scan: RowScan): { readonly kernel: KernelModule; readonly bytesMax: number } {
  const { inputs, outputs, rowsMax } = scan;
  const pointed = (o: OutputPlan) => scan.predicate === undefined && isDirect(o);
  const room = batchRoom(outputs.filter((o) => !pointed(o)).map((o) => o.column), rowsMax);
  // A morsel that may take several batches cannot point at its input.
  const splits = room.rows < rowsMax || outputs.some((o) => o.column.physical === 'utf8' && !pointed(o));
  const direct = (i: number) => !splits && pointed(outputs[i]!);
  const own = splits ? batchRoom(outputs.map((o) => o.column), rowsMax) : room;
  const kernel = new KernelModule(
    outputs.map((o) => o.column),
    own.rows,
    { utf8BytesMax: () => own.textBytes, external: direct, base: scan.base, inner: scan.inner ?? false },
  );
  const { module, process: f } = kernel;
  const [input, out] = f.params as [Local, Local];
  const savedInput = module.global('i32');
  const savedRow = module.global('i32');
  const blockSize = module.global('i32', blockRows);
  const remaining = module.global('i64');
  const rows = f.local('i32');
  const outRows = f.local('i32');
  const base = f.local('i32');
  const count = f.local('i32');
  const n = f.local('i32');

  kernel.reset.i64(BigInt(scan.limit ?? Number.MAX_SAFE_INTEGER)).globalSet(remaining).i32(0).globalSet(savedInput);
  kernel.finish.i32(abi.needInput);

  f.get(input).if(
    () => f.get(input).globalSet(savedInput).i32(0).globalSet(savedRow),
    () => f.globalGet(savedInput).set(input),
  );
  f.get(input).op('i32.eqz').if(() => {
    f.i32(abi.badInput).op('return');
  });
  const columns = kernel.readInput(f, input, inputs, rows, rowsMax);
  f.i32(0).set(outRows).globalGet(savedRow).set(base).i32(blockRows).globalSet(blockSize);

  const state = new RowColumnState(kernel, f, columns, { base, rows: n, count, outRows }, outputs, own.rows, own.textBytes, direct);
  state.emitStart();
  const selection = scan.predicate ? new BlockSelection(kernel, f, columns, splitConjunction(scan.predicate, inputs)) : undefined;

  if (!selection) f.get(rows).globalGet(remaining).op('i32.wrap_i64').get(rows).op('i64.extend_i32_u').globalGet(remaining).op('i64.lt_u', 'select').set(rows);

  f.block((done) => {
    f.loop((nextBlock) => {
      f.get(base).get(rows).op('i32.ge_u').brIf(done);
      f.globalGet(remaining).op('i64.eqz').brIf(done);
      f.get(rows).get(base).op('i32.sub').globalGet(blockSize).get(rows).get(base).op('i32.sub').globalGet(blockSize).op('i32.lt_u', 'select').set(n);
      if (own.rows < rowsMax) f.get(outRows).get(n).op('i32.add').i32(own.rows).op('i32.gt_u').if(stopOrShrink);
      if (selection) {
        selection.emitBitmap(base, n, count);
        const clampCount = () => {
          f.get(count).op('i64.extend_i32_u').globalGet(remaining).op('i64.gt_u').if(() => {
            f.globalGet(remaining).op('i32.wrap_i64').set(count);
          });
        };
        state.emitSelected(selection, clampCount, stopOrShrink);
      } else {
        f.get(n).set(count);
        state.emitMoves('all', undefined, stopOrShrink, direct);
      }
      f.get(outRows).get(count).op('i32.add').set(outRows);
      f.globalGet(remaining).get(count).op('i64.extend_i32_u', 'i64.sub').globalSet(remaining);
      f.get(base).get(n).op('i32.add').set(base).br(nextBlock);

      /** The block may not fit: give what there is and go on with it later, or try half the block. */
      function stopOrShrink(): void {
        f.get(outRows).if(() => {
          f.get(base).globalSet(savedRow);
          finishBatch();
          f.i32(abi.outputReady).op('return');
        });
        f.globalGet(blockSize).i32(16).op('i32.le_u').if(() => {
          f.i32(abi.outOfHeap).op('return');
        });
        f.globalGet(blockSize).i32(1).op('i32.shr_u').globalSet(blockSize).br(nextBlock);
      }
    });
  });

  finishBatch();
  f.get(outRows).if(
    () => f.i32(abi.outputReady | abi.needInput),
    () => f.i32(abi.needInput),
    'i32',
  );
  return { kernel, bytesMax: batchBytesMax(outputs.map((o) => o.column), { rows: own.rows, textBytes: Math.max(own.textBytes, 4 << 20) }) };

  function finishBatch(): void {
    for (const i of outputs.keys()) {
      if (direct(i)) state.pointAtInput(i);
      else state.emitFinish(i);
    }
    kernel.writeOutput(f, out, outRows);
  }
}

/** Without a filter a stored column is its input, except floats, whose NaNs must be canonical. */
function isDirect(output: OutputPlan): boolean {
  const { physical } = output.column;
  return output.source.kind === 'stored' && physical !== 'f32' && physical !== 'f64';
}
