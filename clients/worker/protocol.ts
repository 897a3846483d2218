import type { MillraceError } from '../../pushdown/types/error.js';

/**
 * The daemon and its query workers. Control: Node IPC ('advanced' serialization). Answers: file descriptor 3, a pipe the
 * daemon reads, as chunks of `u32 little endian length, bytes`; a length of 0 ends the answer. A worker runs one query at
 * a time and is kept warm; a worker that dies, or that the daemon kills, loses its one query and nothing else.
 *
 * Per query: `query` -> `started` (the daemon answers 200 and copies chunks) -> chunks -> length 0 -> `done`; or `failed`
 * before anything was written (the daemon answers problem+json). An error after `started` ends the answer too: NDJSON ends
 * with the line `{"error":{code,detail,position?}}` instead of a summary, an Arrow stream is left without its end marker,
 * and `failed` follows instead of `done`: the daemon then breaks the connection instead of ending it cleanly.
 */
export const answerFd = 3;

export interface WorkerStart {
  readonly kind: 'start';
  /** The daemon's own REST address (loopback): names, schemas, layouts. */
  readonly url: string;
  /** Device socket: scans, results and chunks. */
  readonly socketPath: string;
  /** Ceiling of the worker's DuckDB. */
  readonly memoryLimitBytes: number;
  readonly threads: number;
  readonly token?: string;
  /** Lets the worker attach, and say per query whom it is for. */
  readonly ticket: string;
}

export interface WorkerQuery {
  readonly kind: 'query';
  readonly id: number;
  readonly sql: string;
  readonly pushdown: 'auto' | 'always' | 'never';
  /** json: NDJSON rows, then one summary line. arrow: IPC stream. explain/analyze: one JSON object `{ plan, text }`. plan: `{ kind, plan?, columns?, host? }`. */
  readonly answer: 'json' | 'arrow' | 'explain' | 'analyze' | 'plan';
  /** Names in lower case: only these datasets are there for this query. Absent: all. */
  readonly datasets?: readonly string[];
  /** What the device calls whom it is for. */
  readonly tenant: number;
  readonly actor: number;
  /** SHA-256 of the only kernels of users it may run; absent: any. */
  readonly kernels?: readonly string[];
}

export type ToWorker = WorkerStart | WorkerQuery | { readonly kind: 'cancel'; readonly id: number } | { readonly kind: 'stop' };

export type FromWorker =
  /** Attached; queries may come. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'started'; readonly id: number; readonly contentType: string }
  /** Now and then while it runs, and once before `done`. */
  | ({ readonly kind: 'progress'; readonly id: number } & WorkerProgress)
  | ({ readonly kind: 'done'; readonly id: number; readonly rows: number; readonly answerBytes: number } & WorkerVerdict)
  | { readonly kind: 'failed'; readonly id: number; readonly error: WorkerFailure };

export interface WorkerProgress {
  /** Of the answer. */
  readonly rows: number;
  readonly rowsScanned: number;
  readonly linkBytes: number;
  readonly morselsDevice: number;
  readonly morselsHost: number;
  /** Row groups to run, of the plans prepared so far. */
  readonly morselsTotal: number;
}

/** What pushing down came to, for the daemon's counters. */
export interface WorkerVerdict {
  /** Column chunks that pulling would have moved, beyond what crossed the link. */
  readonly bytesAvoided: number;
  /** One per operator of the plans that ran: where the compiler put it and why. */
  readonly decisions: readonly { readonly op: string; readonly choice: 'push' | 'host'; readonly reason: string }[];
  /** Of each scan whose end was foretold from its first finished morsels: that time over the time it took. */
  readonly foretold: readonly number[];
}

export interface WorkerFailure {
  readonly code: MillraceError['code'];
  readonly detail: string;
  readonly position?: number;
  readonly field?: string;
  readonly httpStatus?: number;
}
