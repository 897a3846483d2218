import type { ColumnPointers } from '../../pushdown/runtime/arrow-c.js';
import { type FrameStamp, frameBytes, rowsThatFit, writeFrame } from '../../pushdown/runtime/frame-write.js';
import type { KernelInstance } from '../../pushdown/runtime/kernel.js';
import { KernelFault } from '../../pushdown/runtime/kernel-fault.js';
import type { KernelOutput } from '../../pushdown/runtime/kernel-output.js';
import { GuestFault, MorselColumn, MorselFlag, MorselHeader } from '../../pushdown/runtime/wire.gen.js';

/** One morsel as the device describes it (MorselHeader, MorselColumn[]). The device is trusted, so nothing is checked twice. */
export interface Morsel {
  readonly scan: number;
  readonly morsel: number;
  readonly rows: number;
  readonly program: number;
  readonly outOffset: number;
  readonly outBytes: number;
  readonly columns: readonly ColumnPointers[];
  /** The next batch of the slot's stream: nothing is reset. `finish`: its last. */
  readonly stream: boolean;
  readonly finish: boolean;
  /** A host's Execute: (offset, bytes) in the SLM of all that its kernel may see. */
  readonly only?: Float64Array;
}

const absent = 0xffffffff;
/** Frames are cut to this: whoever fetches them needs no larger buffer, and may work on one while the next comes. */
const frameBytesGood = 1024 * 1024;
/** A frame must fit one transfer of the device (kTransferBytesMax, 32 MiB). */
const frameBytesMost = 31 * 1024 * 1024;

export function readMorsel(data: DataView, at: number, windowAddress: number): Morsel {
  const u32 = (offset: number) => data.getUint32(at + offset, true);
  const u64 = (offset: number) => data.getUint32(offset, true) + data.getUint32(offset + 4, true) * 2 ** 32;
  const columnCount = u32(MorselHeader.columnCount);
  const flags = u32(MorselHeader.flags);
  const columns: ColumnPointers[] = [];
  const shown: number[] = [];
  for (let i = 0; i < columnCount; i++) {
    const column = at + MorselHeader.bytes + i * MorselColumn.bytes;
    // Offsets are below 4 GiB, so the upper half is all ones exactly when the buffer is absent.
    const pointer = (field: number) => (data.getUint32(column + field + 4, true) === absent ? 0 : windowAddress + data.getUint32(column + field, true));
    shown.push(data.getUint32(column + MorselColumn.dataOffset, true), data.getUint32(column + MorselColumn.dataBytes, true));
    columns.push({ validity: pointer(MorselColumn.validityOffset), offsets: pointer(MorselColumn.offsetsOffset), data: pointer(MorselColumn.dataOffset), nullCount: data.getUint32(column + MorselColumn.nullCount, true) | 0 });
  }
  return {
    scan: u32(MorselHeader.scan), morsel: u32(MorselHeader.morsel), rows: u32(MorselHeader.rows), program: u32(MorselHeader.program),
    outOffset: u64(at + MorselHeader.outOffsetBytes), outBytes: u64(at + MorselHeader.outBytesMax), columns,
    stream: (flags & MorselFlag.Stream) !== 0, finish: (flags & MorselFlag.Finish) !== 0,
    ...(flags & MorselFlag.OnlyInputs ? { only: Float64Array.from(shown) } : {}),
  };
}

/** Thrown by `more` when the device wants the command ended while its output waited. */
export class MorselStopped extends Error {}

const nothing = new Uint8Array(0);

/** What the kernel makes of the morsel; `last` once, on the last of all. */
function* outputsOf(instance: KernelInstance, morsel: Morsel): Generator<KernelOutput & { readonly last: boolean }, void> {
  if (!morsel.stream) {
    yield* instance.runMorsel(morsel.rows, morsel.columns);
    return;
  }
  for (const output of instance.process(morsel.rows, morsel.columns)) yield morsel.finish ? { ...output, last: false } : output;
  if (morsel.finish) yield* instance.finish();
}

/**
 * Runs a morsel and writes its frames into the output area. `more(bytes)` hands a full area over and returns when it is
 * free again. Returns the bytes in the area at the end. Throws KernelFault.
 */
export function executeMorsel(instance: KernelInstance, morsel: Morsel, area: Uint8Array, more: (bytes: number) => void, nowNs: () => bigint): number {
  const startNs = nowNs();
  let waitedNs = 0n;
  let used = 0;
  let sequence = 0;
  let ended = false;

  const put = (output: KernelOutput, from: number, to: number, last: boolean): void => {
    const stamp: FrameStamp = { scan: morsel.scan, morsel: morsel.morsel, sequence: sequence++, last, place: 0, elapsedNs: last ? nowNs() - startNs - waitedNs : 0n };
    used += writeFrame(area, used, stamp, instance.formats, { data: output.data, from, to });
  };
  const drain = (): void => {
    const before = nowNs();
    more(used);
    waitedNs += nowNs() - before;
    used = 0;
  };
  /** Rows for the next frame: a frame of a good size if that takes any, else the least a frame can be. */
  const rowsForFrame = (output: KernelOutput, from: number): number => {
    const rows = { data: output.data, from, to: output.rows };
    const space = Math.min(area.length - used, frameBytesMost);
    return rowsThatFit(instance.formats, rows, Math.min(space, frameBytesGood)) || rowsThatFit(instance.formats, { ...rows, to: Math.min(from + 8, output.rows) }, space);
  };
  const emit = (output: KernelOutput, last: boolean): void => {
    let from = 0;
    do {
      let rows = rowsForFrame(output, from);
      const empty = output.rows === 0 && frameBytes(instance.formats, { data: output.data, from, to: from }) <= area.length - used;
      if (rows === 0 && !empty && used > 0) {
        drain();
        rows = rowsForFrame(output, from);
      }
      if (rows === 0 && output.rows > 0) throw new KernelFault(GuestFault.OutputLimit, `8 rows of output do not fit a frame of ${frameBytesMost} bytes or an area of ${area.length}`);
      put(output, from, from + rows, last && from + rows === output.rows);
      from += rows;
    } while (from < output.rows);
  };

  for (const output of outputsOf(instance, morsel)) {
    emit(output, output.last);
    ended = output.last;
  }
  if (!ended) emit({ rows: 0, data: instance.formats.map((f) => ({ validity: null, offsets: f.layout === 'utf8' ? new Int32Array(1) : null, data: nothing })) }, true);
  return used;
}
