import { MillraceError } from '../types/error.js';
import { Crc32c } from './crc32c.js';
import { CheckpointGlobal, CheckpointHeader, CheckpointHeaderMagic, CheckpointPhase } from './wire.gen.js';

export const checkpointVersion = 1;
export const checkpointPageBytes = 4096;
/** Pages of a 32-bit memory, and mutable globals (moduleLimits): what a header may claim before anything is sized by it. */
const pagesMax = 2 ** 20;
const globalsMax = 4096;

export type CheckpointPhaseCode = (typeof CheckpointPhase)[keyof typeof CheckpointPhase];

/** Where a kernel runs: what must be equal for its addresses to be. */
export interface KernelGeometry {
  readonly memoryPages: number;
  readonly windowAddress: number;
  readonly windowBytes: number;
  readonly windowPlacement: number;
  readonly inputColumns: number;
  readonly inputAddress: number;
  readonly outputAddress: number;
  readonly schemaAddress: number;
  readonly releaseFn: number;
}

/** How far a stream has come. */
export interface StreamCursor {
  readonly phase: CheckpointPhaseCode;
  /** Batches used up since the stream began. */
  readonly batches: number;
  readonly outputBatches: number;
  readonly outputRows: number;
}

export interface Checkpoint extends KernelGeometry, StreamCursor {
  /** SHA-256 of the kernel's bytes. */
  readonly digest: string;
  readonly globalCount: number;
  readonly pageCount: number;
  readonly totalBytes: number;
}

function invalid(detail: string): never {
  throw new MillraceError('MR_CHECKPOINT_INVALID', `this is no checkpoint of version ${checkpointVersion}: ${detail}`);
}

const geometryFields = ['memoryPages', 'windowAddress', 'inputColumns', 'inputAddress', 'outputAddress', 'schemaAddress', 'releaseFn', 'windowPlacement'] as const;
const cursorFields = ['batches', 'outputBatches', 'outputRows'] as const;

/** Bytes before the pages: header, globals, page addresses, padded. */
export function headBytes(counts: Pick<Checkpoint, 'globalCount' | 'pageCount'>): number {
  return Math.ceil((CheckpointHeader.bytes + counts.globalCount * CheckpointGlobal.bytes + counts.pageCount * 4) / 64) * 64;
}

/** What a header says, checked for what can be checked without the rest. Throws MR_CHECKPOINT_INVALID. */
export function readCheckpoint(bytes: Uint8Array): Checkpoint {
  if (bytes.length < CheckpointHeader.bytes) invalid(`${bytes.length} bytes are less than its header`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, CheckpointHeader.bytes);
  const u32 = (field: Exclude<keyof typeof CheckpointHeader, 'bytes'>) => view.getUint32(CheckpointHeader[field], true);
  const count = (field: Exclude<keyof typeof CheckpointHeader, 'bytes'>): number => {
    const value = view.getBigUint64(CheckpointHeader[field], true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) invalid(`${field} is ${value}`);
    return Number(value);
  };
  if (view.getBigUint64(CheckpointHeader.magic, true) !== CheckpointHeaderMagic) invalid('the magic number is missing');
  if (u32('version') !== checkpointVersion) invalid(`its version is ${u32('version')}`);
  const phase = Object.values(CheckpointPhase).find((p) => p === u32('phase')) ?? invalid(`its phase is ${u32('phase')}`);
  const geometry = Object.fromEntries(geometryFields.map((f) => [f, u32(f)])) as unknown as KernelGeometry;
  const cursor = Object.fromEntries(cursorFields.map((f) => [f, count(f)])) as unknown as StreamCursor;
  const digest = Array.from(bytes.subarray(CheckpointHeader.digest, CheckpointHeader.digest + 32), (b) => b.toString(16).padStart(2, '0')).join('');
  const checkpoint = { ...geometry, ...cursor, phase, digest, windowBytes: count('windowBytes'), globalCount: u32('globalCount'), pageCount: u32('pageCount'), totalBytes: count('totalBytes') };
  if (checkpoint.memoryPages > 65536 || checkpoint.windowPlacement > 1) invalid('it comes from a place that cannot be');
  if (checkpoint.globalCount > globalsMax || checkpoint.pageCount > pagesMax) invalid(`${checkpoint.globalCount} globals and ${checkpoint.pageCount} pages`);
  if (checkpoint.totalBytes !== headBytes(checkpoint) + checkpoint.pageCount * checkpointPageBytes) invalid(`${checkpoint.totalBytes} bytes do not hold ${checkpoint.globalCount} globals and ${checkpoint.pageCount} pages`);
  return checkpoint;
}

export interface CheckpointGlobalValue {
  readonly index: number;
  readonly valueType: number;
  readonly low: bigint;
  readonly high: bigint;
}

/** The checkpoint in pieces: its head, then each page, a view valid only until the next piece is asked for. */
export function* writeCheckpoint(geometry: KernelGeometry, cursor: StreamCursor, digest: string, globals: readonly CheckpointGlobalValue[], memory: Uint8Array, pages: readonly number[]): Generator<Uint8Array, void> {
  const counts = { globalCount: globals.length, pageCount: pages.length };
  const head = new Uint8Array(headBytes(counts));
  const view = new DataView(head.buffer);
  view.setBigUint64(CheckpointHeader.magic, CheckpointHeaderMagic, true);
  view.setUint32(CheckpointHeader.version, checkpointVersion, true);
  view.setUint32(CheckpointHeader.phase, cursor.phase, true);
  for (let i = 0; i < 32; i++) head[CheckpointHeader.digest + i] = Number.parseInt(digest.slice(2 * i, 2 * i + 2), 16);
  for (const field of geometryFields) view.setUint32(CheckpointHeader[field], geometry[field], true);
  for (const field of cursorFields) view.setBigUint64(CheckpointHeader[field], BigInt(cursor[field]), true);
  view.setBigUint64(CheckpointHeader.windowBytes, BigInt(geometry.windowBytes), true);
  view.setUint32(CheckpointHeader.globalCount, counts.globalCount, true);
  view.setUint32(CheckpointHeader.pageCount, counts.pageCount, true);
  view.setBigUint64(CheckpointHeader.totalBytes, BigInt(head.length + pages.length * checkpointPageBytes), true);
  let at: number = CheckpointHeader.bytes;
  for (const global of globals) {
    view.setUint32(at + CheckpointGlobal.index, global.index, true);
    view.setUint32(at + CheckpointGlobal.valueType, global.valueType, true);
    view.setBigInt64(at + CheckpointGlobal.bits, global.low, true);
    view.setBigInt64(at + CheckpointGlobal.bits + 8, global.high, true);
    at += CheckpointGlobal.bytes;
  }
  for (const page of pages) {
    view.setUint32(at, page, true);
    at += 4;
  }
  const page = (address: number) => memory.subarray(address, address + checkpointPageBytes);
  const crc = new Crc32c().update(head);
  for (const address of pages) crc.update(page(address));
  view.setUint32(CheckpointHeader.crc32c, crc.value, true);
  yield head;
  for (const address of pages) yield page(address);
}

/** What CheckpointReader hands a checkpoint to. */
export interface CheckpointTarget {
  /** The header is there and well formed; throws when it is not this target's. */
  begin(checkpoint: Checkpoint): void;
  global(value: CheckpointGlobalValue): void;
  /** Where the bytes of the page at `address` go. Throws when it has no such page. */
  page(address: number): Uint8Array;
}

/** Takes a checkpoint in pieces cut anywhere; nothing it says is believed before it is checked. */
export class CheckpointReader {
  readonly #target: CheckpointTarget;
  readonly #crc = new Crc32c();
  #head = new Uint8Array(CheckpointHeader.bytes);
  #headUsed = 0;
  #checkpoint: Checkpoint | undefined;
  #crcWanted = 0;
  #pages: Uint32Array = new Uint32Array(0);
  #pageUsed = 0;
  #next = 0;

  constructor(target: CheckpointTarget) {
    this.#target = target;
  }

  push(piece: Uint8Array): void {
    let at = 0;
    while (this.#pages.length === 0 && this.#headUsed < this.#head.length && at < piece.length) {
      const take = Math.min(piece.length - at, this.#head.length - this.#headUsed);
      this.#head.set(piece.subarray(at, at + take), this.#headUsed);
      this.#headUsed += take;
      at += take;
      if (this.#headUsed === this.#head.length) this.#headComplete();
    }
    while (at < piece.length) {
      if (this.#next === this.#pages.length) invalid('bytes are left over behind its last page');
      const target = this.#target.page(this.#pages[this.#next] as number);
      const part = piece.subarray(at, at + Math.min(piece.length - at, checkpointPageBytes - this.#pageUsed));
      target.set(part, this.#pageUsed);
      this.#crc.update(part);
      at += part.length;
      this.#pageUsed += part.length;
      if (this.#pageUsed < checkpointPageBytes) return;
      this.#pageUsed = 0;
      this.#next++;
    }
  }

  /** All pieces came. Throws MR_CHECKPOINT_INVALID when they are not one whole, undamaged checkpoint; then the target is worth nothing. */
  end(): Checkpoint {
    if (!this.#checkpoint || this.#headUsed < this.#head.length || this.#next < this.#pages.length) invalid('it ends early');
    if (this.#crc.value !== this.#crcWanted) invalid('its checksum does not match');
    return this.#checkpoint;
  }

  #headComplete(): void {
    if (!this.#checkpoint) {
      this.#checkpoint = readCheckpoint(this.#head);
      const whole = new Uint8Array(headBytes(this.#checkpoint));
      whole.set(this.#head);
      this.#head = whole;
      if (this.#headUsed < whole.length) return;
    }
    const { globalCount, pageCount } = this.#checkpoint;
    const view = new DataView(this.#head.buffer);
    this.#crcWanted = view.getUint32(CheckpointHeader.crc32c, true);
    view.setUint32(CheckpointHeader.crc32c, 0, true);
    this.#crc.update(this.#head);
    this.#target.begin(this.#checkpoint);
    let at: number = CheckpointHeader.bytes;
    for (let i = 0; i < globalCount; i++, at += CheckpointGlobal.bytes)
      this.#target.global({ index: view.getUint32(at + CheckpointGlobal.index, true), valueType: view.getUint32(at + CheckpointGlobal.valueType, true), low: view.getBigInt64(at + CheckpointGlobal.bits, true), high: view.getBigInt64(at + CheckpointGlobal.bits + 8, true) });
    this.#pages = Uint32Array.from({ length: pageCount }, (_, i) => view.getUint32(at + 4 * i, true));
    this.#pages.forEach((address, i) => { if (address % checkpointPageBytes !== 0 || (i > 0 && address <= (this.#pages[i - 1] as number))) invalid(`page ${i} lies at ${address}`); });
  }
}
