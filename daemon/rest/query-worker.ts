import { type ChildProcess, spawn } from 'node:child_process';
import { PassThrough, Readable } from 'node:stream';
import { MillraceError } from '../../pushdown/types/error.js';
import { AnswerReader } from './answer-reader.js';
import { answerFd, type AnswerKind, type FromWorker, fromWorkerSchema, type ToWorker } from './worker-protocol.js';

export interface WorkerSettings {
  /** The pinned Node and the worker's script. */
  readonly node: string;
  readonly script: string;
  readonly start: Extract<ToWorker, { kind: 'start' }>;
  readonly heapMbMax: number;
  readonly readyMsMax: number;
  /** A cancelled query that does not end in this time costs the worker its life. */
  readonly cancelMsMax: number;
  readonly onLog: (line: string) => void;
}

export interface QueryWish {
  readonly sql: string;
  readonly pushdown: 'auto' | 'always' | 'never';
  readonly answer: AnswerKind;
  /** Names in lower case: only these are there for this query. Absent: all. */
  readonly datasets?: readonly string[];
  /** What the device calls whom it is for. */
  readonly tenant: number;
  readonly actor: number;
  /** SHA-256 of the only kernels of users it may run; absent: any. */
  readonly kernels?: readonly string[];
}

export type OnProgress = (progress: Omit<Extract<FromWorker, { kind: 'progress' }>, 'kind' | 'id'>) => void;

export interface Answer {
  readonly contentType: string;
  /** Ends cleanly only when the whole answer is in it. */
  readonly body: Readable;
}

export type Verdict = Pick<Extract<FromWorker, { kind: 'done' }>, 'bytesAvoided' | 'decisions' | 'foretold'>;

/** How a query ended, as the worker says. */
export interface QueryEnd {
  /** ok, or the MR_* code. */
  readonly outcome: string;
  readonly rows: number;
  readonly answerBytes: number;
  /** Of queries that ended well. */
  readonly verdict?: Verdict;
}

interface Running {
  readonly id: number;
  readonly body: PassThrough;
  readonly started: (answer: Answer) => void;
  readonly failed: (error: unknown) => void;
  readonly progress: OnProgress;
  answering: boolean;
  /** A started answer ends by the pipe's end mark and `done` or `failed`, in either order. */
  bodyEnded: boolean;
  verdict: { readonly rows: number; readonly answerBytes: number; readonly verdict: Verdict } | MillraceError | undefined;
  finish: (end: QueryEnd) => void;
}

/** One query-worker process: warm, one query at a time; whatever it does wrong costs its own query only. */
export class QueryWorker {
  readonly #child: ChildProcess;
  readonly #settings: WorkerSettings;
  readonly #ready: Promise<void>;
  readonly exited: Promise<void>;
  #running: Running | undefined;
  #nextId = 1;
  #alive = true;
  #stopping = false;
  queries = 0;

  constructor(settings: WorkerSettings) {
    this.#settings = settings;
    this.#child = spawn(settings.node, [`--max-old-space-size=${settings.heapMbMax}`, settings.script], { stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'ipc'], serialization: 'advanced', env: { PATH: process.env.PATH } });
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream?.setEncoding('utf8').on('data', (text: string) => settings.onLog(text.trimEnd()));
    this.exited = new Promise((resolve) => {
      const gone = () => {
        this.#alive = false;
        this.#lose(this.#stopping ? stopped() : new MillraceError('MR_WORKER_LOST', 'The query worker ended in the middle of the query (memory cap, deadline or crash): try again.', { httpStatus: 503 }));
        resolve();
      };
      this.#child.once('exit', gone);
      this.#child.once('error', gone);
    });
    this.#ready = this.#waitReady();
    this.#ready.catch(() => undefined); // seen by the first query
    const reader = new AnswerReader({ data: (piece) => this.#data(piece), end: () => this.#bodyEnd() });
    const pipe = this.#child.stdio[answerFd] as Readable | null;
    pipe?.on('data', (bytes: Uint8Array) => this.#checked(() => reader.push(bytes)));
    pipe?.on('error', () => this.kill());
    this.#child.on('message', (message) => this.#checked(() => this.#message(fromWorkerSchema.parse(message))));
    this.#send(settings.start);
  }

  get pid(): number | undefined { return this.#child.pid; }
  get alive(): boolean { return this.#alive; }
  get busy(): boolean { return this.#running !== undefined; }

  /** Runs one query; resolves when its answer starts, rejects when it fails before. `onIdle`: the worker can take the next. */
  async query(wish: QueryWish, signal: AbortSignal, onIdle: (end: QueryEnd) => void, progress: OnProgress): Promise<Answer> {
    await this.#ready;
    signal.throwIfAborted();
    const id = this.#nextId++;
    this.queries++;
    return new Promise<Answer>((resolve, reject) => {
      const body = new PassThrough({ highWaterMark: 1 << 20 });
      const onAbort = () => this.#cancel(id);
      signal.addEventListener('abort', onAbort, { once: true });
      this.#running = {
        id, body, started: resolve, failed: reject, progress, answering: false, bodyEnded: false, verdict: undefined,
        finish: (end) => {
          signal.removeEventListener('abort', onAbort);
          this.#running = undefined;
          onIdle(end);
        },
      };
      // Back-pressure from the socket to the worker: its pipe is paused while the body is full.
      body.on('drain', () => this.#pipe()?.resume());
      body.on('close', () => {
        this.#pipe()?.resume();
        if (!body.writableFinished) this.#cancel(id);
      });
      body.on('error', () => undefined); // the reader's matter; nothing here is lost by it
      this.#send({ kind: 'query', id, ...wish });
    });
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Asks it to end, then makes it. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#send({ kind: 'stop' });
    const timer = setTimeout(() => this.kill(), this.#settings.cancelMsMax);
    await this.exited;
    clearTimeout(timer);
  }

  #pipe(): Readable | null {
    return this.#child.stdio[answerFd] as Readable | null;
  }

  #waitReady(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.kill();
        reject(new MillraceError('MR_WORKER_START', 'The query worker did not start in time.', { httpStatus: 503 }));
      }, this.#settings.readyMsMax);
      this.#onReady = () => {
        clearTimeout(timer);
        resolve();
      };
      void this.exited.then(() => {
        clearTimeout(timer);
        reject(new MillraceError('MR_WORKER_START', 'The query worker could not start; the daemon log has its words.', { httpStatus: 503 }));
      });
    });
  }
  #onReady: () => void = () => undefined;

  #cancel(id: number): void {
    if (this.#running?.id !== id) return;
    this.#send({ kind: 'cancel', id });
    setTimeout(() => {
      if (this.#running?.id === id) this.kill();
    }, this.#settings.cancelMsMax).unref();
  }

  #message(message: FromWorker): void {
    if (message.kind === 'ready') {
      this.#onReady();
      return;
    }
    const running = this.#running;
    if (!running || running.id !== message.id) return;
    switch (message.kind) {
      case 'progress': {
        const { kind: _, id: __, ...news } = message;
        running.progress(news);
        return;
      }
      case 'started':
        running.answering = true;
        running.started({ contentType: message.contentType, body: Readable.from(untilVerdict(running), { objectMode: false }) });
        break;
      case 'done':
        running.verdict = { rows: message.rows, answerBytes: message.answerBytes, verdict: { bytesAvoided: message.bytesAvoided, decisions: message.decisions, foretold: message.foretold } };
        break;
      case 'failed': {
        const { code, detail, ...at } = message.error;
        running.verdict = this.#stopping ? stopped() : new MillraceError(code, detail, Object.fromEntries(Object.entries(at).filter(([, value]) => value !== undefined)));
        break;
      }
      default:
        message satisfies never;
    }
    this.#settle(running);
  }

  #data(piece: Uint8Array): void {
    const running = this.#running;
    if (running && !running.body.destroyed && !running.body.write(piece)) this.#pipe()?.pause();
  }

  #bodyEnd(): void {
    if (!this.#running) return;
    this.#running.bodyEnded = true;
    this.#settle(this.#running);
  }

  #settle(running: Running): void {
    if (!running.verdict) return;
    // Before `started` nothing was written and no end mark follows.
    const { verdict } = running;
    const failed = verdict instanceof MillraceError;
    if (!running.answering && failed) running.failed(verdict);
    else if (!running.bodyEnded) return;
    running.body.end();
    running.finish(failed ? { outcome: verdict.code, rows: 0, answerBytes: 0 } : { outcome: 'ok', ...verdict });
  }

  #lose(error: MillraceError): void {
    const running = this.#running;
    if (!running) return;
    running.failed(error);
    running.body.destroy(error);
    running.finish({ outcome: error.code, rows: 0, answerBytes: 0 });
  }

  #checked(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#settings.onLog(`query worker ${this.pid} broke its protocol: ${String(error)}`);
      this.kill();
    }
  }

  #send(message: ToWorker): void {
    if (this.#child.connected) this.#child.send(message, () => undefined); // a dead worker shows as exit
  }
}

const stopped = () => new MillraceError('MR_STOPPING', 'The daemon is stopping, and the query ended with it.', { httpStatus: 503 });

/** Everything the worker wrote, then the error if there was one: the connection is broken behind the last byte. */
async function* untilVerdict(running: Running): AsyncGenerator<Uint8Array, void, void> {
  yield* running.body as AsyncIterable<Uint8Array>;
  if (running.verdict instanceof MillraceError) throw running.verdict;
}
