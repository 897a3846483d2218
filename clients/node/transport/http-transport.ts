import type { Frame } from '../../../pushdown/runtime/frame-read.js';
import { FrameKind } from '../../../pushdown/runtime/wire.gen.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import { FrameAssembler } from '../scan/frame-assembler.js';
import type { Claim, Scan, ScanRequest, Transport } from './transport.js';

/** A body as it comes; whoever gets it reads it to its end or destroys it. */
export interface ByteStream extends AsyncIterable<Uint8Array> {
  destroy(): unknown;
}

interface WireRequest {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly json?: unknown;
  readonly body?: Uint8Array<ArrayBuffer>;
  readonly contentType?: string;
}

/** HTTP to one daemon as scans need it: Node's (RestClient) or a browser's (clients/pages). Refusals come out as MillraceError. */
export interface HttpWire {
  json<T>(path: string, options?: WireRequest): Promise<T>;
  bytes(path: string, options?: WireRequest): Promise<Uint8Array>;
  stream(path: string, options?: WireRequest): Promise<ByteStream>;
}

/** Scans over REST (docs/rest.md): frames in response bodies. */
export class HttpTransport implements Transport {
  readonly kind = 'http';
  readonly #rest: HttpWire;
  readonly #digestOf: (wasm: Uint8Array) => string;
  /** What the daemon says of a program, by our digest of its module. */
  readonly #programs = new Map<string, Promise<{ readonly program: number; readonly digest: string }>>();

  /** `digestOf`: equal for equal modules only. */
  constructor(rest: HttpWire, digestOf: (wasm: Uint8Array) => string) {
    this.#rest = rest;
    this.#digestOf = digestOf;
  }

  /** SHA-256, hexadecimal, of what the device took for this module; undefined: it was not asked to take it. */
  async deviceDigest(wasm: Uint8Array): Promise<string | undefined> {
    return (await this.#programs.get(this.#digestOf(wasm)))?.digest;
  }

  async openScan(request: ScanRequest): Promise<Scan> {
    const digest = request.wasm && this.#digestOf(request.wasm);
    try {
      return await this.#open(request, digest);
    } catch (error) {
      // The daemon dropped the program for others' (or was started anew): loading it again is all it takes.
      if (!digest || !(error instanceof MillraceError) || error.code !== 'MR_PROGRAM_NOT_FOUND') throw error;
      this.#programs.delete(digest);
      return this.#open(request, digest);
    }
  }

  async close(): Promise<void> {}

  async #open(request: ScanRequest, digest: string | undefined): Promise<Scan> {
    const program = request.wasm && digest ? (await this.#program(request.wasm, digest)).program : undefined;
    const { scan } = await this.#rest.json<{ scan: number }>('/v1/scans', {
      method: 'POST',
      json: {
        dataset: request.dataset.name, version: request.dataset.version, program, columns: request.columns, rowGroups: request.rowGroups, deviceRuns: program !== undefined,
        outputBytesMax: request.outputBytesMax, deadlineMs: request.deadlineMs, limitRows: request.limitRows, feed: request.feed, stream: request.stream,
      },
    });
    return new HttpScan(this.#rest, scan, program !== undefined);
  }

  #program(wasm: Uint8Array<ArrayBuffer>, digest: string): Promise<{ readonly program: number; readonly digest: string }> {
    let program = this.#programs.get(digest);
    if (!program) {
      program = this.#rest.json<{ program: number; digest: string }>('/v1/programs', { method: 'POST', body: wasm, contentType: 'application/wasm' });
      this.#programs.set(digest, program);
      program.catch(() => this.#programs.delete(digest));
    }
    return program;
  }
}

class HttpScan implements Scan {
  readonly ownsFrames = true;
  readonly #rest: HttpWire;
  readonly #path: string;
  readonly #open = new Set<ByteStream>();
  #bytes = 0;
  #closed = false;
  /** The daemon closes a scan whose results have ended. */
  #over = false;
  readonly #deviceRuns: boolean;
  /** Morsels whose chunks came. */
  readonly #taken: number[] = [];

  constructor(rest: HttpWire, scan: number, deviceRuns: boolean) {
    this.#rest = rest;
    this.#deviceRuns = deviceRuns;
    this.#path = `/v1/scans/${scan}`;
  }

  linkBytes(): number {
    return this.#bytes;
  }

  async *results(): AsyncGenerator<Frame, void, void> {
    yield* this.#frames(await this.#rest.stream(`${this.#path}/results`), new FrameAssembler());
    this.#over = this.#deviceRuns;
  }

  async claim(morsels: number): Promise<Claim | undefined> {
    let response: ByteStream;
    try {
      response = await this.#rest.stream(`${this.#path}/claims`, { method: 'POST', json: { morsels } });
    } catch (error) {
      if (this.#ended(error)) return undefined;
      throw error;
    }
    const left = { early: false };
    const frames = this.#frames(response, new FrameAssembler({ reuse: true }), left);
    const first = await frames.next();
    if (first.done) return undefined;
    const giveBack = (): void => {
      left.early = true;
      response.destroy();
    };
    return { morsels, frames: this.#claimed(first.value, frames, left), giveBack };
  }

  async done(morsels: readonly number[]): Promise<void> {
    if (!this.#closed && !this.#over) await this.#rest.bytes(`${this.#path}/done`, { method: 'POST', json: { morsels } }).catch(() => undefined); // the scan may be closed
  }

  async checkpoint(): Promise<Uint8Array<ArrayBuffer>> {
    return Uint8Array.from(await this.#rest.bytes(`${this.#path}/checkpoint`, { method: 'POST' }));
  }

  async restore(checkpoint: Uint8Array<ArrayBuffer>, morsel: number): Promise<void> {
    await this.#rest.bytes(`${this.#path}/restore?morsel=${morsel}`, { method: 'POST', body: checkpoint, contentType: 'application/octet-stream' });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const response of this.#open) response.destroy();
    if (this.#over) return;
    // It may be gone already: closed by the daemon, or with it.
    await this.#rest.bytes(this.#path, { method: 'DELETE' }).catch(() => undefined);
  }

  /** Results ended while this was on its way. */
  #ended(error: unknown): boolean {
    return this.#deviceRuns && error instanceof MillraceError && error.code === 'MR_SCAN_NOT_FOUND';
  }

  /** What is left early goes back whole: the daemon cannot tell what lay in the socket from what was taken out of it. */
  async *#claimed(first: Frame, rest: AsyncGenerator<Frame, void, void>, left: { readonly early: boolean }): AsyncGenerator<Frame, void, void> {
    let whole = false;
    try {
      this.#taken.push(first.morsel);
      yield first;
      for await (const frame of rest) {
        this.#taken.push(frame.morsel);
        yield frame;
      }
      whole = !left.early && !this.#closed;
    } finally {
      await rest.return();
      if (!whole && !this.#closed && !this.#over) await this.#rest.bytes(`${this.#path}/return`, { method: 'POST', json: { except: this.#taken } }).catch(() => undefined); // the scan may be closed
    }
  }

  /** Frames of one body up to its End; a body that stops before End is a broken link. */
  async *#frames(response: ByteStream, assembler: FrameAssembler, left = { early: false }): AsyncGenerator<Frame, void, void> {
    this.#open.add(response);
    let ended = false;
    try {
      for await (const chunk of response) {
        this.#bytes += chunk.byteLength;
        for (const frame of assembler.push(chunk)) {
          if (frame.kind === FrameKind.End) ended = true;
          else yield frame;
        }
      }
      assembler.end();
    } catch (error) {
      if (this.#closed || left.early) return;
      throw error instanceof MillraceError ? error : new MillraceError('MR_LINK_BROKEN', 'The connection to the daemon broke in the middle of a scan: run the query again.', { cause: error });
    } finally {
      this.#open.delete(response);
      if (!ended) response.destroy();
    }
    if (!ended && !this.#closed && !left.early) throw new MillraceError('MR_LINK_BROKEN', 'The daemon ended a scan before its last frame: run the query again.');
  }
}
