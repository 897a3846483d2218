import type { ColumnData } from '../types/batch.js';
import { ArrowArray, type GuestMemory, type OutputFormat, violate } from './arrow-c.js';
import { canonicalNans } from './canonical-nan.js';

/** Rows a kernel may give in one batch: keeps every size below in 32 bits. */
export const outputRowsMax = 16 * 1024 * 1024;

/** A batch a kernel put out: views into its memory, valid until it is called again. */
export interface KernelOutput {
  readonly rows: number;
  readonly data: readonly ColumnData[];
}

/** Checks the ArrowArray at `address` against the schema and every pointer and length against the memory. */
export function readOutput(guest: GuestMemory, address: number, formats: readonly OutputFormat[]): KernelOutput {
  guest.check(address, ArrowArray.bytes, 'the output batch');
  const rows = guest.count(address + ArrowArray.length, outputRowsMax, 'the number of output rows');
  const children = guest.count(address + ArrowArray.childCount, formats.length, 'the number of output columns');
  if (children !== formats.length) violate(`the output has ${children} columns, the schema ${formats.length}`);
  const list = guest.u32(address + ArrowArray.children);
  if (children > 0) guest.check(list, children * 4, 'the list of output columns');
  return { rows, data: formats.map((format, i) => readColumn(guest, guest.u32(list + i * 4), rows, format, i)) };
}

const empty = new Uint8Array(0);

function readColumn(guest: GuestMemory, address: number, rows: number, format: OutputFormat, index: number): ColumnData {
  guest.check(address, ArrowArray.bytes, `output column ${index}`);
  if (guest.count(address + ArrowArray.length, outputRowsMax, `the length of output column ${index}`) !== rows) violate(`output column ${index} has another length than the batch`);
  guest.count(address + ArrowArray.offset, 0, `the offset of output column ${index}`);
  const buffersWanted = format.layout === 'utf8' ? 3 : 2;
  if (guest.count(address + ArrowArray.bufferCount, 3, `the number of buffers of output column ${index}`) !== buffersWanted) violate(`output column ${index} must have ${buffersWanted} buffers`);
  if (rows === 0) return { validity: null, offsets: format.layout === 'utf8' ? new Int32Array(1) : null, data: empty };
  const list = guest.u32(address + ArrowArray.buffers);
  guest.check(list, buffersWanted * 4, `the buffer list of output column ${index}`);
  const bitmapBytes = (rows + 7) >>> 3;
  const validityAt = guest.u32(list);
  const validity = validityAt === 0 ? null : take(guest, validityAt, bitmapBytes, index);
  const second = guest.u32(list + 4);
  if (format.layout === 'bits') return { validity, offsets: null, data: take(guest, second, bitmapBytes, index) };
  if (format.layout === 'fixed') {
    const data = take(guest, second, rows * format.valueBytes, index);
    return { validity, offsets: null, data: format.format === 'f' ? canonicalNans(data, 4) : format.format === 'g' ? canonicalNans(data, 8) : data };
  }
  if (second % 4 !== 0) violate(`the offsets of output column ${index} are not aligned`);
  take(guest, second, (rows + 1) * 4, index);
  const offsets = new Int32Array(guest.memory.buffer, second, rows + 1);
  checkOffsets(offsets, index);
  const dataBytes = offsets[rows] as number;
  return { validity, offsets, data: dataBytes === 0 ? empty : take(guest, guest.u32(list + 8), dataBytes, index) };
}

function take(guest: GuestMemory, address: number, bytes: number, index: number): Uint8Array {
  guest.check(address, bytes, `a buffer of output column ${index}`);
  return new Uint8Array(guest.memory.buffer, address, bytes);
}

/** Offsets start at 0 and never fall: whoever reads the strings, native code too, may rely on it. */
function checkOffsets(offsets: Int32Array, index: number): void {
  if (offsets[0] !== 0) violate(`the offsets of output column ${index} do not start at 0`);
  let last = 0;
  for (let i = 1; i < offsets.length; i++) {
    const next = offsets[i] as number;
    if (next < last) violate(`the offsets of output column ${index} fall at row ${i}`);
    last = next;
  }
}
