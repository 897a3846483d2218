import { readCheckpoint } from '../../../pushdown/runtime/checkpoint.js';
import { frameBatch } from '../../../pushdown/runtime/frame-batch.js';
import type { Frame } from '../../../pushdown/runtime/frame-read.js';
import { KernelInstance } from '../../../pushdown/runtime/kernel.js';
import { resumeKernel } from '../../../pushdown/runtime/kernel-resume.js';
import { FrameKind } from '../../../pushdown/runtime/wire.gen.js';
import type { Batch } from '../../../pushdown/types/batch.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import type { Column } from '../../../pushdown/types/schema.js';
import { columnsOf } from '../../../pushdown/user/kernel-shape.js';
import { retained } from '../result/retain.js';
import type { Scan, Transport } from '../transport/transport.js';
import type { DatasetView } from './dataset-view.js';
import { chunkData } from './host-kernel.js';
import { batchOf } from './kernel-batch.js';
import { moduleOf } from './kernel-pool.js';
import { faultError, kernelError } from './scan-run.js';

export type StreamPlace = 'device' | 'host';

export interface KernelStreamOptions {
  /** Dataset columns, in the order of the kernel's inputs. They come as they are stored (describe()): narrowed, strings of a dictionary as codes. */
  readonly columns: readonly string[];
  /** Where it begins; 'device' unless given. */
  readonly place?: StreamPlace;
  /** For one row group in a slot. */
  readonly deadlineMs?: number;
}

/** One batch the kernel put out; what finish puts out belongs to the last row group. */
export interface StreamOutput {
  readonly rowGroup: number;
  readonly place: StreamPlace;
  readonly batch: Batch;
}

export interface StreamParts {
  readonly transport: Transport;
  readonly view: DatasetView;
}

/** Row groups a host asks for at a time. */
const hostRunMorsels = 8;

type State = Uint8Array<ArrayBuffer>;
/** state: undefined: the stream was over before its state could be taken. */
type Event = { readonly kind: 'frame'; readonly result: IteratorResult<Frame, void> } | { readonly kind: 'moved' } | { readonly kind: 'state'; readonly state: State | undefined };

/**
 * A kernel of ABI v1 that keeps its state from row group to row group, over a whole dataset, in slots of the device or here. It moves between
 * two row groups, as often as one likes, and puts out the same bytes wherever it was: both places run the same module over the same state.
 */
export class KernelStream implements AsyncIterable<StreamOutput> {
  readonly #open: () => Promise<StreamParts>;
  readonly #wasm: Uint8Array<ArrayBuffer>;
  readonly #options: KernelStreamOptions;
  #wanted: StreamPlace;
  #wake = (): void => undefined;
  #begun = false;

  constructor(open: () => Promise<StreamParts>, wasm: Uint8Array<ArrayBuffer>, options: KernelStreamOptions) {
    this.#open = open;
    this.#wasm = wasm;
    this.#options = options;
    this.#wanted = options.place ?? 'device';
  }

  /** From the next row group boundary it goes on there. Acts while outputs are asked for. */
  moveTo(place: StreamPlace): void {
    this.#wanted = place;
    this.#wake();
  }

  /** Outputs in order, once. Leaving early ends the stream. @throws MillraceError MR_KERNEL_*, MR_COLUMN_NOT_FOUND, MR_DATASET_CHANGED */
  async *[Symbol.asyncIterator](): AsyncGenerator<StreamOutput, void, void> {
    if (this.#begun) throw new MillraceError('MR_STREAM_STATE', 'The outputs of this stream were asked for before.');
    this.#begun = true;
    const { view, transport } = await this.#open();
    if (view.layout.rowGroups === 0) throw new MillraceError('MR_REQUEST_INVALID', `Dataset ${view.info.name} has no rows to stream.`, { field: 'dataset' });
    const inputs = this.#options.columns.map((name) => {
      const index = view.info.columns.findIndex((column) => column.name === name);
      if (index < 0) throw new MillraceError('MR_COLUMN_NOT_FOUND', `Dataset ${view.info.name} has no column '${name}'.`, { field: 'columns' });
      return index;
    });
    const openScan = (kind: 'run' | 'held' | 'chunks', from: number): Promise<Scan> =>
      transport.openScan({
        dataset: view.info, layout: view.layout, columns: inputs, rowGroups: Array.from({ length: view.layout.rowGroups - from }, (_, i) => from + i), outputBytesMax: 0,
        ...(kind === 'chunks' ? {} : { wasm: this.#wasm, stream: kind }), ...(this.#options.deadlineMs === undefined ? {} : { deadlineMs: this.#options.deadlineMs }),
      });
    try {
      const output = columnsOf(new KernelInstance(moduleOf(this.#wasm), { windowBytes: 64, inputColumns: inputs.length }).formats);
      let state: State | undefined;
      do {
        // Where a slot's memory lies only a slot says: a stream that begins here takes the state of one nobody began.
        state = state && this.#wanted === 'host'
          ? yield* this.#onHost(state, await openScan('chunks', readCheckpoint(state).batches), inputs.map((index) => view.info.columns[index]!), view.layout.rowGroups, output) // just found
          : yield* this.#onDevice(state, await openScan(state || this.#wanted === 'host' ? 'held' : 'run', 0), output);
      } while (state);
    } catch (error) {
      throw kernelError(error);
    }
  }

  /** Until it is over (undefined), or leaves with this state. */
  async *#onDevice(begin: State | undefined, scan: Scan, output: readonly Column[]): AsyncGenerator<StreamOutput, State | undefined, void> {
    let whole = begin ? readCheckpoint(begin).batches : 0;
    let left: State | undefined;
    try {
      if (begin) await scan.restore(begin, whole);
      const frames = scan.results()[Symbol.asyncIterator]();
      const nextFrame = (): Promise<Event> => observed(frames.next().then((result) => ({ kind: 'frame', result })));
      let frame = nextFrame();
      let other: Promise<Event> | undefined = this.#moved('host');
      while (!left || whole < readCheckpoint(left).batches) {
        const event: Event = await Promise.race(other ? [frame, other] : [frame]);
        switch (event.kind) {
          case 'moved':
            other = observed(scan.checkpoint().then((state) => ({ kind: 'state', state }), tooLate));
            break;
          case 'state':
            left = event.state;
            other = undefined;
            break;
          case 'frame': {
            if (event.result.done) return undefined;
            const { value } = event.result;
            if (value.kind === FrameKind.Fault) throw await faultError(value, this.#wasm);
            if (value.last) whole = value.morsel + 1;
            const batch = frameBatch(value, output);
            if (batch.rows > 0) yield { rowGroup: value.morsel, place: 'device', batch: scan.ownsFrames ? batch : retained(batch) };
            frame = nextFrame();
            break;
          }
          default: event satisfies never;
        }
      }
      return left;
    } finally {
      await scan.close();
    }
  }

  async *#onHost(begin: State, scan: Scan, inputs: readonly Pick<Column, 'physical'>[], rowGroups: number, output: readonly Column[]): AsyncGenerator<StreamOutput, State | undefined, void> {
    const kernel = resumeKernel(moduleOf(this.#wasm), begin);
    const batches = function* (rowGroup: number, outputs: ReturnType<KernelInstance['finish']>): Generator<StreamOutput, void, void> {
      for (const each of outputs) if (each.rows > 0) yield { rowGroup, place: 'host', batch: batchOf(each, output) };
    };
    let rowGroup = readCheckpoint(begin).batches;
    try {
      for (let claim = await scan.claim(hostRunMorsels); claim; claim = await scan.claim(hostRunMorsels)) {
        for await (const frame of claim.frames) {
          yield* batches(rowGroup, kernel.process(frame.rows, kernel.loadBatch(chunkData(frame, inputs))));
          rowGroup++;
          if (this.#wanted === 'device' && rowGroup < rowGroups) return joined(kernel.checkpoint());
        }
      }
      if (rowGroup < rowGroups) throw new MillraceError('MR_FRAME_INVALID', `The device gave ${rowGroup} of ${rowGroups} row groups.`);
      yield* batches(rowGroups - 1, kernel.finish());
      return undefined;
    } finally {
      await scan.close();
    }
  }

  /** Resolves when it is wanted there. */
  async #moved(place: StreamPlace): Promise<Event> {
    while (this.#wanted !== place) await new Promise<void>((resolve) => { this.#wake = resolve; });
    return { kind: 'moved' };
  }
}

function tooLate(error: unknown): Event {
  // Over REST the daemon closes a scan that is over.
  if (error instanceof MillraceError && (error.code === 'MR_STREAM_STATE' || error.code === 'MR_SCAN_NOT_FOUND')) return { kind: 'state', state: undefined };
  throw error;
}

/** A promise whose rejection is looked at later. */
function observed<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

function joined(pieces: Iterable<Uint8Array>): State {
  const copies = Array.from(pieces, (piece) => piece.slice());
  const bytes = new Uint8Array(copies.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of copies) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
