import { invariant } from '../types/error.js';
import { valueBytes } from '../types/physical.js';
import { blockRows, canonicalFunction, compactBitsFunction, compactFunction, gatherBitsFunction, gatherFunction, packBitsFunction, type Width } from './compaction.js';
import { emitComputedRows, emitComputedVector, hasVectorForm } from './computed-columns.js';
import type { FunctionBuilder, Local } from './encoder/function-builder.js';
import type { InputColumn, KernelModule, OutputColumn } from './kernel-module.js';
import type { OutputPlan } from './output-columns.js';
import { type BlockSelection, mayFail } from './selection.js';
import { emitStrings } from './string-columns.js';

/** Locals of the block at work: first row, rows, selected rows, rows already put out. */
export interface BlockLocals {
  readonly base: Local;
  readonly rows: Local;
  readonly count: Local;
  readonly outRows: Local;
}

/** Which rows of the block a column takes: all, those of the list, or those of the bitmap. */
export type Move = 'all' | 'list' | 'bitmap';

/** Buffers a column fills beside its own: bits are collected as bytes and packed once per batch. */
interface Scratch {
  readonly validBytes: number | undefined;
  readonly boolBytes: number | undefined;
  /** One block of computed values, before compaction. */
  blockValues: number | undefined;
  blockValid: number | undefined;
  readonly used: Local | undefined;
  readonly usedBefore: Local | undefined;
}

/** Moves values of selected rows into output buffers, block by block. */
export class RowColumnState {
  readonly #scratch: Scratch[];

  constructor(
    readonly kernel: KernelModule,
    readonly f: FunctionBuilder,
    readonly inputs: readonly InputColumn[],
    readonly block: BlockLocals,
    readonly outputs: readonly OutputPlan[],
    readonly rowsMax: number,
    readonly utf8Capacity: number,
    isDirect: (index: number) => boolean,
  ) {
    this.#scratch = outputs.map(({ column }, i) => {
      const own = !isDirect(i);
      const utf8 = own && column.physical === 'utf8';
      return {
        validBytes: own && column.nullable ? kernel.reserve(rowsMax + 64) : undefined,
        boolBytes: own && column.physical === 'bool' ? kernel.reserve(rowsMax + 64) : undefined,
        blockValues: undefined,
        blockValid: undefined,
        used: utf8 ? f.local('i32') : undefined,
        usedBefore: utf8 ? f.local('i32') : undefined,
      };
    });
  }

  scratch(index: number): Scratch {
    const found = this.#scratch[index];
    invariant(found, 'every output has its scratch');
    return found;
  }

  place(index: number): OutputColumn {
    const found = this.kernel.outputs[index];
    invariant(found, 'every output has its place');
    return found;
  }

  /** Emits what must happen once per batch, before the first block. */
  emitStart(): void {
    for (const [i, scratch] of this.#scratch.entries()) {
      if (!scratch.used) continue;
      this.f.i32(0).set(scratch.used);
      this.f.i32(this.place(i).offsets ?? 0).i32(0).mem('i32.store');
    }
  }

  /** Emits the moves of a block whose bitmap and count are set. clampCount cuts `count` at the limit; stop leaves the block. */
  emitSelected(selection: BlockSelection, clampCount: () => void, stop: () => void): void {
    const { f, block } = this;
    const moveAll = (move: Move) => this.emitMoves(move, selection, stop);
    f.get(block.count).if(() => {
      if (selection.conjunction.rows.length > 0) {
        selection.emitList(block.base, block.rows, block.count);
        clampCount();
        moveAll('list');
        return;
      }
      f.get(block.count).i32(3).op('i32.shl').get(block.rows).op('i32.ge_u').if(
        () => {
          if (this.outputs.some((o, i) => this.#needsList(o, i))) selection.emitList(block.base, block.rows, block.count);
          clampCount();
          moveAll('bitmap');
        },
        () => {
          selection.emitList(block.base, block.rows, block.count);
          clampCount();
          moveAll('list');
        },
      );
    });
  }

  #needsList(output: OutputPlan, _index: number): boolean {
    if (output.column.physical === 'utf8') return true;
    return output.source.kind === 'computed' && (mayFail(output.source.node) || !hasVectorForm(output.source.node, this.inputs.map((c) => c.column)));
  }

  emitMoves(move: Move, selection: BlockSelection | undefined, stop: () => void, skip: (index: number) => boolean = () => false): void {
    // Strings first: they may find no room, and then nothing else of the block must have happened.
    const order = this.outputs.map((_, i) => i).filter((i) => !skip(i));
    const isText = (i: number) => this.outputs[i]?.column.physical === 'utf8';
    const texts = order.filter(isText);
    for (const i of texts) {
      const { used, usedBefore } = this.scratch(i);
      if (used && usedBefore) this.f.get(used).set(usedBefore);
    }
    const noRoom = () => {
      for (const i of texts) {
        const { used, usedBefore } = this.scratch(i);
        if (used && usedBefore) this.f.get(usedBefore).set(used);
      }
      stop();
    };
    for (const i of texts) emitStrings(this, i, move === 'all' ? undefined : selection?.list, noRoom);
    for (const i of order.filter((j) => !isText(j))) this.#emitColumn(i, move, selection);
  }

  #emitColumn(index: number, move: Move, selection: BlockSelection | undefined): void {
    const output = this.outputs[index];
    invariant(output, 'the output exists');
    if (output.source.kind === 'stored' && move !== 'all') {
      invariant(selection, 'selected rows have a selection');
      this.#emitStored(index, output.source.input, move, selection);
      return;
    }
    const columns = this.inputs.map((c) => c.column);
    const node = output.source.kind === 'computed' ? output.source.node : this.columnNode(output.source.input);
    const vector = hasVectorForm(node, columns);
    if (vector && move === 'all') emitComputedVector(this, index, node, 'output');
    else if (vector && move === 'bitmap' && !mayFail(node)) {
      // Rows that are not selected are computed too: none of them may fail.
      invariant(selection, 'a bitmap belongs to a selection');
      emitComputedVector(this, index, node, 'block');
      this.#compactBlock(index, selection);
    } else emitComputedRows(this, index, node, move === 'all' ? undefined : selection?.list);
  }

  /** A stored column as a node: codes for dictionaries. */
  columnNode(input: number) {
    const column = this.inputs[input]?.column;
    invariant(column, 'the input is read');
    const { type, nullable, physical } = column;
    const bytes = valueBytes[physical] ?? 0;
    if (physical === 'bool' || physical === 'utf8') return { op: 'column', input, rep: physical, type, nullable } as const;
    if (physical === 'f32' || physical === 'f64') return { op: 'column', input, rep: physical, type, nullable } as const;
    const max = 2n ** BigInt(bytes * 8 - 1);
    return { op: 'column', input, rep: bytes === 8 ? 'i64' : 'i32', type, nullable, range: { min: -max, max: max - 1n } } as const;
  }

  #emitStored(index: number, inputIndex: number, move: 'list' | 'bitmap', selection: BlockSelection): void {
    const { f, kernel, block } = this;
    const input = this.inputs[inputIndex];
    invariant(input, 'the input is read');
    const scratch = this.scratch(index);
    const place = this.place(index);
    const bits = (bitmap: Local, bytes: number) => {
      f.get(bitmap).get(block.base).i32(3).op('i32.shr_u', 'i32.add');
      this.#selected(move, selection);
      f.i32(bytes).get(block.outRows).op('i32.add').call(move === 'list' ? gatherBitsFunction(kernel) : compactBitsFunction(kernel));
    };
    if (scratch.boolBytes !== undefined) bits(input.data, scratch.boolBytes);
    else {
      const width = widthOf(index, this.outputs);
      scaled(f, () => f.get(input.data), block.base, width);
      this.#selected(move, selection);
      scaled(f, () => f.i32(place.data), block.outRows, width);
      f.call(move === 'list' ? gatherFunction(kernel, width) : compactFunction(kernel, width));
    }
    if (scratch.validBytes !== undefined && input.validity) bits(input.validity, scratch.validBytes);
  }

  #selected(move: 'list' | 'bitmap', selection: BlockSelection): void {
    if (move === 'list') this.f.i32(selection.list).get(this.block.count);
    else this.f.i32(selection.bitmap).get(this.block.rows);
  }

  #compactBlock(index: number, selection: BlockSelection): void {
    const { f, kernel, block } = this;
    const scratch = this.scratch(index);
    const move = (source: number, target: number, width: Width) => {
      f.i32(source).i32(selection.bitmap).get(block.rows);
      scaled(f, () => f.i32(target), block.outRows, width);
      f.call(compactFunction(kernel, width));
    };
    invariant(scratch.blockValues !== undefined, 'the block was computed');
    if (scratch.boolBytes !== undefined) move(scratch.blockValues, scratch.boolBytes, 1);
    else move(scratch.blockValues, this.place(index).data, widthOf(index, this.outputs));
    if (scratch.validBytes !== undefined && scratch.blockValid !== undefined) move(scratch.blockValid, scratch.validBytes, 1);
  }

  /** Room for one block of a computed column. */
  blockRoom(index: number): { values: number; valid: number | undefined } {
    const scratch = this.scratch(index);
    const width = scratch.boolBytes !== undefined ? 1 : widthOf(index, this.outputs);
    scratch.blockValues ??= this.kernel.reserve(blockRows * width + 64);
    if (scratch.validBytes !== undefined) scratch.blockValid ??= this.kernel.reserve(blockRows + 64);
    return { values: scratch.blockValues, valid: scratch.blockValid };
  }

  /** Emits the last touches of a batch: bitmaps packed, NaNs canonical. */
  emitFinish(index: number): void {
    const { f, kernel, block } = this;
    const scratch = this.scratch(index);
    const place = this.place(index);
    if (scratch.validBytes !== undefined && place.validity !== undefined) f.i32(scratch.validBytes).get(block.outRows).i32(place.validity).call(packBitsFunction(kernel));
    if (scratch.boolBytes !== undefined) f.i32(scratch.boolBytes).get(block.outRows).i32(place.data).call(packBitsFunction(kernel));
    const { physical } = place.column;
    if (physical === 'f32' || physical === 'f64') f.i32(place.data).get(block.outRows).i32(place.data).call(canonicalFunction(kernel, physical === 'f32' ? 4 : 8));
  }

  /** Points a column of the output at its input's buffers. */
  pointAtInput(index: number): void {
    const { f } = this;
    const output = this.outputs[index];
    invariant(output?.source.kind === 'stored', 'only stored columns lie in the input');
    const input = this.inputs[output.source.input];
    invariant(input, 'the input is read');
    const pointers = input.offsets ? [input.validity, input.offsets, input.data] : [input.validity, input.data];
    for (const [i, pointer] of pointers.entries()) {
      f.i32(this.place(index).buffers);
      if (pointer) f.get(pointer);
      else f.i32(0);
      f.mem('i32.store', i * 4);
    }
  }
}

function widthOf(index: number, outputs: readonly OutputPlan[]): Width {
  const physical = outputs[index]?.column.physical;
  const width = physical && valueBytes[physical];
  invariant(width === 1 || width === 2 || width === 4 || width === 8, 'the column has a fixed width');
  return width;
}

/** Leaves address + rows * width. */
export function scaled(f: FunctionBuilder, address: () => void, rows: Local, width: number): void {
  address();
  f.get(rows);
  if (width > 1) f.i32(Math.log2(width)).op('i32.shl');
  f.op('i32.add');
}
