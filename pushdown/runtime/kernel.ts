import type { ColumnData } from '../types/batch.js';
import { ArrowArray, type ColumnPointers, columnsMax, GuestMemory, inputStructBytes, type OutputFormat, readSchema, violate, writeInput } from './arrow-c.js';
import { type Checkpoint, CheckpointReader, type CheckpointTarget, type CheckpointPhaseCode, type KernelGeometry, type StreamCursor, writeCheckpoint } from './checkpoint.js';
import { asKernelFault, type GuestFaultCode, KernelFault } from './kernel-fault.js';
import { KernelState } from './kernel-state.js';
import type { KernelModule } from './kernel-module.js';
import { type KernelOutput, readOutput } from './kernel-output.js';
import { CheckpointPhase, GuestFault } from './wire.gen.js';

export interface KernelOptions {
  /** Bytes of input buffers that can be in the window at a time. */
  readonly windowBytes: number;
  /** Columns of the input. */
  readonly inputColumns: number;
  /** A memory made before (makeMemory's rules) with its window mapped at a fixed place; absent: an own memory is made. */
  readonly shared?: { readonly memory: WebAssembly.Memory; readonly windowAddress: number; /** Makes everything outside the window read as zero, where the place knows a quicker way than to look at all of it. */ readonly clear?: () => void };
}

const pageBytes = 65536;
const blockBytes = 4096;
const needInput = 2;
const outputReady = 1;

interface KernelExports {
  alloc(bytes: number, align: number): number;
  release_fn(): number;
  schema(): number;
  reset(): void;
  process(input: number, output: number): number;
  finish(output: number): number;
}

/**
 * One kernel at work: the same code in a device slot, a Node client and a browser. Guest code runs in every method;
 * what it does wrong comes out as KernelFault, after which the instance must be dropped.
 */
export class KernelInstance {
  /** Columns of every output batch, as the kernel's schema() declares them. */
  readonly formats: readonly OutputFormat[];
  /** First byte of the window: a multiple of 4096. */
  readonly windowAddress: number;
  readonly windowBytes: number;
  readonly memory: WebAssembly.Memory;
  #guest: GuestMemory;
  readonly #exports: KernelExports;
  readonly #input: number;
  readonly #output: number;
  readonly #releaseFn: number;
  readonly #inputColumns: number;
  readonly #kernel: KernelModule;
  readonly #schema: number;
  readonly #windowPlacement: 0 | 1;
  readonly #clear: (() => void) | undefined;
  #phase: CheckpointPhaseCode = CheckpointPhase.Streaming;
  /** Inside a batch the kernel may hold pointers into the window: no checkpoint there. */
  #insideBatch = false;
  #batches = 0;
  #outputBatches = 0;
  #outputRows = 0;

  /** Throws KernelFault: ModuleRejected or MemoryLimit when it does not fit, AbiViolation or a trap when its set-up misbehaves. */
  constructor(kernel: KernelModule, options: KernelOptions) {
    if (options.inputColumns > columnsMax) violate(`more than ${columnsMax} input columns`);
    const structBytes = inputStructBytes(options.inputColumns);
    this.memory = options.shared?.memory ?? makeMemory(kernel, options.windowBytes + structBytes);
    this.#guest = new GuestMemory(this.memory);
    this.windowBytes = options.windowBytes;
    this.#inputColumns = options.inputColumns;
    this.#kernel = kernel;
    this.#windowPlacement = options.shared ? 1 : 0;
    this.#clear = options.shared?.clear;
    try {
      this.#exports = new WebAssembly.Instance(kernel.module, { millrace: { memory: this.memory } }).exports as unknown as KernelExports;
      const taken: Allocation[] = [];
      const alloc = (bytes: number, align: number) => this.#call(() => this.#alloc(taken, bytes, align));
      this.windowAddress = options.shared ? allocShared(alloc, options.windowBytes, options.shared.windowAddress) : roundUp(alloc(options.windowBytes + blockBytes, blockBytes), blockBytes);
      this.#input = alloc(structBytes, 64);
      this.#output = alloc(ArrowArray.bytes, 64);
      this.#guest.bytes.fill(0, this.#output, this.#output + ArrowArray.bytes);
      this.#releaseFn = this.#call(() => this.#exports.release_fn()) >>> 0;
      this.#schema = this.#call(() => this.#exports.schema()) >>> 0;
      this.formats = readSchema(this.#guest, this.#schema);
      this.reset();
    } catch (thrown) {
      // LinkError: the memory does not satisfy the module's limits.
      throw thrown instanceof WebAssembly.LinkError ? new KernelFault(GuestFault.ModuleRejected, thrown.message) : asKernelFault(thrown);
    }
  }

  /** Copies a batch's buffers into the window. Throws KernelFault(MemoryLimit) when they do not fit: see loadedBytes. */
  loadBatch(data: readonly ColumnData[]): ColumnPointers[] {
    const needed = loadedBytes(data);
    if (needed > this.windowBytes) throw new KernelFault(GuestFault.MemoryLimit, `an input of ${needed} bytes does not fit a window of ${this.windowBytes}`);
    let at = this.windowAddress;
    const put = (bytes: Uint8Array): number => {
      const start = at;
      this.#guest.bytes.set(bytes, start);
      at += roundUp(bytes.length, 64);
      return start;
    };
    return data.map((column) => ({
      validity: column.validity ? put(column.validity) : 0,
      offsets: column.offsets ? put(asBytes(column.offsets)) : 0,
      data: put(column.data),
      nullCount: column.validity ? -1 : 0,
    }));
  }

  /** A scan kernel's whole morsel: reset, then process. The columns' pointers lie in the window. */
  *runMorsel(rows: number, columns: readonly ColumnPointers[]): Generator<KernelOutput & { readonly last: boolean }, void> {
    this.reset();
    yield* this.process(rows, columns);
  }

  /** A merge kernel's next frame, or any batch given as data. */
  *processBatch(rows: number, data: readonly ColumnData[]): Generator<KernelOutput & { readonly last: boolean }, void> {
    yield* this.process(rows, this.loadBatch(data));
  }

  /** Feeds one batch; yields what the kernel puts out, each valid until the next is asked for. `last`: the input is used up. */
  *process(rows: number, columns: readonly ColumnPointers[]): Generator<KernelOutput & { readonly last: boolean }, void> {
    if (columns.length !== this.#inputColumns) throw new Error(`invariant broken: an input of ${columns.length} columns for a kernel set up for ${this.#inputColumns}`);
    writeInput(this.#guest, this.#input, rows, columns, this.#releaseFn);
    let input = this.#input;
    this.#insideBatch = true;
    yield* this.#drain(
      () => {
        const code = this.#exports.process(input, this.#output);
        input = 0;
        return code;
      },
      () => {
        this.#insideBatch = false;
        this.#batches++;
      },
    );
  }

  /** No more input will come; yields what is left. */
  *finish(): Generator<KernelOutput & { readonly last: boolean }, void> {
    if (this.#phase === CheckpointPhase.Finished) return;
    this.#phase = CheckpointPhase.Finishing;
    yield* this.#drain(
      () => this.#exports.finish(this.#output),
      () => { this.#phase = CheckpointPhase.Finished; },
    );
  }

  reset(): void {
    this.#call(() => this.#exports.reset());
    this.#phase = CheckpointPhase.Streaming;
    this.#insideBatch = false;
    this.#batches = this.#outputBatches = this.#outputRows = 0;
  }

  /** How far the stream that began with the last reset has come. */
  get cursor(): StreamCursor {
    return { phase: this.#phase, batches: this.#batches, outputBatches: this.#outputBatches, outputRows: this.#outputRows };
  }

  /** False inside a batch that is not used up. */
  get atBoundary(): boolean {
    return !this.#insideBatch;
  }

  /**
   * The state of the stream, between two batches or between two outputs of finish. In pieces, each valid until the next is
   * asked for; nothing may run in between. The same state gives the same bytes.
   */
  checkpoint(): Generator<Uint8Array, void> {
    if (this.#insideBatch) throw new Error('invariant broken: a checkpoint inside a batch');
    const state = this.#state();
    return writeCheckpoint(this.#geometry(), this.cursor, this.#kernel.digest, state.globals(), this.#guest.bytes, state.pages());
  }

  /**
   * Takes over the state of a checkpoint of the same kernel in a place of the same geometry; this instance must be fresh. Throws
   * MR_CHECKPOINT_INVALID or MR_CHECKPOINT_MISMATCH, after which the instance must be dropped. Push the pieces, then end.
   */
  restore(): { push(piece: Uint8Array): void; end(): void } {
    const state = this.#state();
    const target: CheckpointTarget = {
      begin: (checkpoint) => {
        state.expect(checkpoint, this.#geometry(), this.#kernel.digest);
        if (this.#clear) this.#clear();
        else state.clear();
      },
      global: (value) => state.setGlobal(value),
      page: (address) => state.page(address),
    };
    const reader = new CheckpointReader(target);
    return { push: (piece) => reader.push(piece), end: () => this.#resume(reader.end()) };
  }

  #resume({ phase, batches, outputBatches, outputRows }: Checkpoint): void {
    this.#phase = phase;
    this.#batches = batches;
    this.#outputBatches = outputBatches;
    this.#outputRows = outputRows;
  }

  #state(): KernelState {
    return new KernelState(this.#guest.bytes, this.windowAddress, this.windowBytes, this.#exports as unknown as Record<string, unknown>, this.#kernel.shape.mutableGlobals);
  }

  #geometry(): KernelGeometry {
    return {
      memoryPages: this.#guest.size / pageBytes, windowAddress: this.windowAddress, windowBytes: this.windowBytes, windowPlacement: this.#windowPlacement, inputColumns: this.#inputColumns,
      inputAddress: this.#input, outputAddress: this.#output, schemaAddress: this.#schema, releaseFn: this.#releaseFn,
    };
  }

  *#drain(call: () => number, end: () => void): Generator<KernelOutput & { readonly last: boolean }, void> {
    for (;;) {
      const bits = this.#call(call);
      if (bits < 0) throw new KernelFault(kernelCodes[bits]?.fault ?? GuestFault.KernelError, kernelCodes[bits]?.words ?? `the kernel returned ${bits}`);
      if (bits === 0 || bits > (outputReady | needInput)) violate(`the kernel returned ${bits}: neither output nor wish for input`);
      const last = (bits & needInput) !== 0;
      if (last) end();
      if (bits & outputReady) {
        const output = readOutput(this.#guest, this.#output, this.formats);
        this.#outputBatches++;
        this.#outputRows += output.rows;
        yield { ...output, last };
      }
      if (last) return;
    }
  }

  #call<T>(guestCall: () => T): T {
    try {
      return guestCall();
    } catch (thrown) {
      throw asKernelFault(thrown);
    } finally {
      // memory.grow(0) is legal, changes nothing and detaches the buffer all the same.
      if (this.memory.buffer !== this.#guest.bytes.buffer) this.#guest = new GuestMemory(this.memory);
    }
  }

  /** The kernel's alloc, believed in nothing: null, misaligned, outside, or overlapping an earlier one is a violation. */
  #alloc(taken: Allocation[], bytes: number, align: number): number {
    const at = this.#exports.alloc(bytes, align) >>> 0;
    if (at === 0) throw new KernelFault(GuestFault.MemoryLimit, `alloc(${bytes}, ${align}) found no room`);
    if (at % align !== 0) violate(`alloc(${bytes}, ${align}) returned ${at}, which is not aligned`);
    this.#guest.check(at, bytes, 'what alloc returned');
    for (const other of taken) if (at < other.at + other.bytes && other.at < at + bytes) violate('alloc returned the same bytes twice');
    taken.push({ at, bytes });
    return at;
  }
}

interface Allocation { at: number; bytes: number }

const kernelCodes: Readonly<Record<number, { readonly fault: GuestFaultCode; readonly words: string }>> = {
  [-1]: { fault: GuestFault.ArithmeticOverflow, words: 'an exact result does not fit its SQL type' },
  [-2]: { fault: GuestFault.KernelError, words: 'the input does not match what the kernel was made for' },
  [-3]: { fault: GuestFault.MemoryLimit, words: 'out of kernel heap' },
  [-1001]: { fault: GuestFault.AbiViolation, words: 'a function gave a text that lies neither in the memory its module declares nor in a text it was given' },
  [-1002]: { fault: GuestFault.OutputLimit, words: 'a function gave a text longer than 256 KiB' },
};

/**
 * A window that begins at a given address whatever the kernel's allocator does: one probe tells where free memory begins,
 * then everything from there to the end of the window is taken.
 */
function allocShared(alloc: (bytes: number, align: number) => number, windowBytes: number, windowAddress: number): number {
  const probe = alloc(blockBytes, blockBytes);
  if (probe >= windowAddress) throw new KernelFault(GuestFault.MemoryLimit, `the kernel's own memory reaches beyond ${windowAddress} bytes`);
  const at = alloc(windowAddress + windowBytes - probe - blockBytes, blockBytes);
  const bytes = windowAddress + windowBytes - probe - blockBytes;
  if (at > windowAddress || at + bytes < windowAddress + windowBytes) violate(`alloc returned ${at}, from which the window at ${windowAddress} cannot be reached`);
  return windowAddress;
}

/** A memory of fixed size: what the kernel declares + the given bytes + one page for alignment. Throws KernelFault. */
function makeMemory(kernel: KernelModule, bytes: number): WebAssembly.Memory {
  const pages = kernel.memoryPagesMin + Math.ceil((bytes + 2 * blockBytes) / pageBytes) + 1;
  if (pages > kernel.shape.memoryPagesMax) throw new KernelFault(GuestFault.MemoryLimit, `${pages} pages are needed, the module allows ${kernel.shape.memoryPagesMax}`);
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages });
  } catch (thrown) {
    throw new KernelFault(GuestFault.MemoryLimit, `a memory of ${pages} pages cannot be had: ${String(thrown)}`);
  }
}

/** Bytes loadBatch takes of the window for these columns. */
export function loadedBytes(data: readonly ColumnData[]): number {
  let bytes = 0;
  for (const c of data) bytes += roundUp(c.validity?.length ?? 0, 64) + roundUp(c.offsets?.byteLength ?? 0, 64) + roundUp(c.data.length, 64);
  return bytes;
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

function asBytes(array: Int32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
