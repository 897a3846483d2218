import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { MillraceError } from '../../pushdown/types/error.js';
import type { Principal } from './access/principal.js';

/** Ended jobs that are still told of. */
export const jobsEndedMax = 200;
const textLengthMax = 2_000;

export type JobKind = 'query' | 'upload';
export type JobState = 'waiting' | 'running' | 'done' | 'failed' | 'cancelled';

/** What is known of a job under way; counts only grow. */
export interface JobProgress {
  /** Queries: rows of the answer so far. Uploads: rows written to the media. */
  readonly rows?: number;
  /** Queries: bytes of the answer that left. Uploads: bytes received. */
  readonly bytes?: number;
  /** Bytes to come in all, where the sender said so. */
  readonly bytesTotal?: number;
  readonly rowsScanned?: number;
  readonly linkBytes?: number;
  readonly morselsDevice?: number;
  readonly morselsHost?: number;
  /** Row groups this query has to run, once it is planned. */
  readonly morselsTotal?: number;
}

export interface JobView {
  readonly id: string;
  readonly kind: JobKind;
  readonly state: JobState;
  readonly owner: string;
  readonly tenant: string;
  /** The statement, or the dataset's name. */
  readonly text: string;
  readonly started: string;
  readonly ms: number;
  readonly progress: JobProgress;
  /** Why it failed. */
  readonly code?: string;
}

export interface JobStart {
  readonly kind: JobKind;
  /** Chosen by the client, so that it can ask for progress and cancel; random otherwise. */
  readonly id: string | undefined;
  readonly owner: Principal;
  readonly text: string;
}

/** One query or upload. Emits 'change' on every piece of news, the last one when it ended. */
export class Job extends EventEmitter<{ change: [] }> {
  readonly id: string;
  readonly #abort = new AbortController();
  readonly #start: JobStart;
  readonly #startedAt = new Date();
  readonly #startedMs = performance.now();
  #endedMs: number | undefined;
  #state: JobState = 'waiting';
  #progress: JobProgress = {};
  #code: string | undefined;

  constructor(start: JobStart) {
    super();
    this.setMaxListeners(0);
    this.#start = start;
    this.id = start.id ?? randomUUID();
  }

  get kind(): JobKind { return this.#start.kind; }
  get signal(): AbortSignal { return this.#abort.signal; }
  get ended(): boolean { return this.#endedMs !== undefined; }

  visibleTo(who: Principal): boolean {
    return who.operator || who.name === this.#start.owner.name;
  }

  view(): JobView {
    const { kind, owner, text } = this.#start;
    return {
      id: this.id, kind, state: this.#state, owner: owner.name, tenant: owner.tenant, text: text.slice(0, textLengthMax), started: this.#startedAt.toISOString(),
      ms: Math.round((this.#endedMs ?? performance.now()) - this.#startedMs), progress: this.#progress, ...(this.#code === undefined ? {} : { code: this.#code }),
    };
  }

  news(progress: JobProgress): void {
    if (this.ended) return;
    this.#state = 'running';
    this.#progress = { ...this.#progress, ...progress };
    this.emit('change');
  }

  cancel(): void {
    if (!this.ended) this.#abort.abort(new MillraceError('MR_CANCELLED', `The ${this.kind} was cancelled.`, { httpStatus: 409 }));
  }

  end(error?: unknown): void {
    if (this.ended) return;
    this.#endedMs = performance.now();
    if (error !== undefined) this.#code = error instanceof MillraceError ? error.code : 'MR_INTERNAL';
    this.#state = error === undefined ? 'done' : this.signal.aborted || this.#code === 'MR_CANCELLED' || this.#code === 'MR_CLIENT_LEFT' ? 'cancelled' : 'failed';
    this.emit('change');
  }

  get state(): JobState { return this.#state; }
  get durationMs(): number { return (this.#endedMs ?? performance.now()) - this.#startedMs; }
  get progress(): JobProgress { return this.#progress; }
}

/** Queries and uploads under way and the last ones that ended, by id. Ids of different owners do not meet. */
export class JobRegistry {
  /** Oldest first. */
  readonly #jobs = new Map<string, Job>();
  readonly #onEnd: (job: Job) => void;

  constructor(onEnd: (job: Job) => void) {
    this.#onEnd = onEnd;
  }

  /** @throws MillraceError MR_JOB_EXISTS: a job of this id is under way */
  begin(start: JobStart): Job {
    const job = new Job(start);
    const key = keyOf(start.owner, start.kind, job.id);
    if (this.#jobs.get(key)?.ended === false) throw new MillraceError('MR_JOB_EXISTS', `A ${start.kind} with id '${job.id}' is under way: choose another id.`, { field: 'id', httpStatus: 409 });
    this.#jobs.delete(key);
    this.#jobs.set(key, job);
    job.on('change', () => {
      if (!job.ended) return;
      this.#onEnd(job);
      this.#trim();
    });
    return job;
  }

  /** @throws MillraceError MR_QUERY_NOT_FOUND, MR_UPLOAD_NOT_FOUND */
  get(kind: JobKind, id: string, who: Principal): Job {
    const own = this.#jobs.get(keyOf(who, kind, id));
    const job = own ?? (who.operator ? [...this.#jobs.values()].findLast((other) => other.kind === kind && other.id === id) : undefined);
    if (!job) throw new MillraceError(kind === 'query' ? 'MR_QUERY_NOT_FOUND' : 'MR_UPLOAD_NOT_FOUND', `There is no ${kind} '${id}' (any more): the last ${jobsEndedMax} are kept.`, { field: 'id', httpStatus: 404 });
    return job;
  }

  /** Newest first. */
  list(kind: JobKind, who: Principal): JobView[] {
    return [...this.#jobs.values()].filter((job) => job.kind === kind && job.visibleTo(who)).reverse().map((job) => job.view());
  }

  running(kind: JobKind): number {
    let count = 0;
    for (const job of this.#jobs.values()) if (job.kind === kind && !job.ended) count++;
    return count;
  }

  #trim(): void {
    let surplus = [...this.#jobs.values()].filter((job) => job.ended).length - jobsEndedMax;
    for (const [key, job] of this.#jobs) {
      if (surplus <= 0) return;
      if (!job.ended) continue;
      this.#jobs.delete(key);
      surplus--;
    }
  }
}

const keyOf = (owner: Principal, kind: JobKind, id: string): string => `${owner.name}\n${kind}\n${id}`;
