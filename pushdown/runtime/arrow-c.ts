import { KernelFault } from './kernel-fault.js';
import { GuestFault } from './wire.gen.js';

/** Arrow C Data Interface with 32-bit pointers, little endian: byte offsets (docs/kernel-abi-v1.md, "Structs"). */
export const ArrowArray = { bytes: 64, length: 0, nullCount: 8, offset: 16, bufferCount: 24, childCount: 32, buffers: 40, children: 44, dictionary: 48, release: 52, privateData: 56 } as const;
export const ArrowSchema = { bytes: 48, format: 0, name: 4, metadata: 8, flags: 16, childCount: 24, children: 32, dictionary: 36, release: 40, privateData: 44 } as const;

/** How the buffers of one output column lie: decides their number and sizes. */
export interface OutputFormat {
  readonly format: string;
  readonly name: string;
  readonly layout: 'bits' | 'utf8' | 'fixed';
  /** Bytes of one value; 0 for bits and utf8. */
  readonly valueBytes: number;
  /** ARROW_FLAG_NULLABLE of the column's schema. */
  readonly nullable: boolean;
}

export const columnsMax = 4096;
const nameBytesMax = 1024;
const nullableFlag = 2;
const widths: Readonly<Record<string, number>> = { c: 1, s: 2, i: 4, l: 8, f: 4, g: 8 };

export function violate(detail: string): never {
  throw new KernelFault(GuestFault.AbiViolation, detail);
}

/** Reads over a kernel's memory. The kernel is hostile: every address and count is checked before use. */
export class GuestMemory {
  readonly view: DataView;
  readonly bytes: Uint8Array;
  constructor(readonly memory: WebAssembly.Memory) {
    this.bytes = new Uint8Array(memory.buffer);
    this.view = new DataView(memory.buffer);
  }

  get size(): number {
    return this.bytes.length;
  }

  check(address: number, bytes: number, what: string): void {
    if (address <= 0 || bytes > this.size || address > this.size - bytes) violate(`${what} at ${address} (${bytes} bytes) lies outside the memory`);
  }

  u32(address: number): number {
    return this.view.getUint32(address, true);
  }

  /** An i64 that must be a count from 0 to `max`. */
  count(address: number, max: number, what: string): number {
    const low = this.view.getUint32(address, true);
    if (this.view.getInt32(address + 4, true) !== 0 || low > max) violate(`${what} is ${this.view.getBigInt64(address, true)}, allowed are 0 to ${max}`);
    return low;
  }

  text(address: number, what: string): string {
    if (address === 0) return '';
    this.check(address, 1, what);
    const end = this.bytes.subarray(address, Math.min(this.size, address + nameBytesMax)).indexOf(0);
    if (end < 0) violate(`${what} is not terminated within ${nameBytesMax} bytes`);
    return new TextDecoder().decode(this.bytes.slice(address, address + end));
  }
}

function formatLayout(format: string): Pick<OutputFormat, 'layout' | 'valueBytes'> {
  if (format === 'b') return { layout: 'bits', valueBytes: 0 };
  if (format === 'u') return { layout: 'utf8', valueBytes: 0 };
  if (/^d:\d{1,2},-?\d{1,2}$/.test(format)) return { layout: 'fixed', valueBytes: 16 };
  const width = widths[format];
  if (width === undefined) violate(`the output format '${format}' is not one of b c s i l f g u d:P,S`);
  return { layout: 'fixed', valueBytes: width };
}

/** The columns an ArrowSchema struct (`+s`) declares. */
export function readSchema(guest: GuestMemory, address: number): OutputFormat[] {
  guest.check(address, ArrowSchema.bytes, 'the schema');
  const format = guest.text(guest.u32(address + ArrowSchema.format), 'the schema format');
  if (format !== '+s') violate(`the schema's format is '${format}', not '+s'`);
  const children = guest.count(address + ArrowSchema.childCount, columnsMax, 'the number of output columns');
  const list = guest.u32(address + ArrowSchema.children);
  if (children > 0) guest.check(list, children * 4, 'the list of output columns');
  return Array.from({ length: children }, (_, i) => {
    const child = guest.u32(list + i * 4);
    guest.check(child, ArrowSchema.bytes, `output column ${i}`);
    if (guest.u32(child + ArrowSchema.dictionary) !== 0) violate(`output column ${i} has a dictionary: dictionaries stay with the host`);
    const childFormat = guest.text(guest.u32(child + ArrowSchema.format), `the format of output column ${i}`);
    return { format: childFormat, name: guest.text(guest.u32(child + ArrowSchema.name), `the name of output column ${i}`), nullable: (guest.u32(child + ArrowSchema.flags) & nullableFlag) !== 0, ...formatLayout(childFormat) };
  });
}

/** Addresses of one input column's buffers in linear memory; 0: absent. */
export interface ColumnPointers {
  readonly validity: number;
  readonly offsets: number;
  readonly data: number;
  /** -1: unknown. */
  readonly nullCount: number;
}

/** Bytes the structs of an input of `columns` columns take: struct, child list, children, and three buffers each. */
export function inputStructBytes(columns: number): number {
  return ArrowArray.bytes + 16 + columns * (8 + ArrowArray.bytes + 16);
}

/** Writes the ArrowArray structs of an input batch at `at` (64-byte aligned, inputStructBytes free). */
export function writeInput(guest: GuestMemory, at: number, rows: number, columns: readonly ColumnPointers[], releaseFn: number): void {
  const { view } = guest;
  const count = columns.length;
  const rootBuffers = at + ArrowArray.bytes;
  const list = rootBuffers + 16;
  const children = list + count * 8;
  writeArray(view, at, { rows, nullCount: 0, buffers: rootBuffers, bufferCount: 1, children: count > 0 ? list : 0, childCount: count, releaseFn });
  view.setUint32(rootBuffers, 0, true);
  for (let i = 0; i < count; i++) {
    const column = columns[i] as ColumnPointers;
    const child = children + i * (ArrowArray.bytes + 16);
    const buffers = child + ArrowArray.bytes;
    view.setUint32(list + i * 4, child, true);
    const utf8 = column.offsets !== 0;
    writeArray(view, child, { rows, nullCount: column.validity === 0 ? 0 : column.nullCount, buffers, bufferCount: utf8 ? 3 : 2, children: 0, childCount: 0, releaseFn });
    view.setUint32(buffers, column.validity, true);
    view.setUint32(buffers + 4, utf8 ? column.offsets : column.data, true);
    view.setUint32(buffers + 8, utf8 ? column.data : 0, true);
  }
}

interface ArrayFields { rows: number; nullCount: number; buffers: number; bufferCount: number; children: number; childCount: number; releaseFn: number }

function writeArray(view: DataView, at: number, f: ArrayFields): void {
  view.setUint32(at + ArrowArray.length, f.rows, true);
  view.setUint32(at + ArrowArray.length + 4, 0, true);
  view.setInt32(at + ArrowArray.nullCount, f.nullCount, true);
  view.setInt32(at + ArrowArray.nullCount + 4, f.nullCount < 0 ? -1 : 0, true);
  view.setUint32(at + ArrowArray.offset, 0, true);
  view.setUint32(at + ArrowArray.offset + 4, 0, true);
  view.setUint32(at + ArrowArray.bufferCount, f.bufferCount, true);
  view.setUint32(at + ArrowArray.bufferCount + 4, 0, true);
  view.setUint32(at + ArrowArray.childCount, f.childCount, true);
  view.setUint32(at + ArrowArray.childCount + 4, 0, true);
  view.setUint32(at + ArrowArray.buffers, f.buffers, true);
  view.setUint32(at + ArrowArray.children, f.children, true);
  view.setUint32(at + ArrowArray.dictionary, 0, true);
  view.setUint32(at + ArrowArray.release, f.releaseFn, true);
  view.setUint32(at + ArrowArray.privateData, 0, true);
}
