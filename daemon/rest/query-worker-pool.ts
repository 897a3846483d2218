import { EventEmitter } from 'node:events';
import { MillraceError } from '../../pushdown/types/error.js';
import { type Answer, type OnProgress, type QueryEnd, QueryWorker, type QueryWish, type Verdict, type WorkerSettings } from './query-worker.js';
import { RecentLog, type RecentQuery, recentQueriesMax, shortText } from './recent-queries.js';

/** Queries that may wait for a worker before callers are sent away. */
export const queriesWaitingMax = 64;

/** Warm query workers, started on the first query and replaced when one is lost. */
export class QueryWorkerPool {
  readonly #settings: () => WorkerSettings;
  readonly #size: number;
  readonly #deadlineMs: number;
  readonly #workers: QueryWorker[] = [];
  readonly #waiting: (() => void)[] = [];
  /** What pushing down came to, per query that ended well. */
  readonly verdicts = new EventEmitter<{ verdict: [Verdict] }>();
  readonly recent = new RecentLog<RecentQuery>(recentQueriesMax);
  #stopped = false;

  /** `settings` is asked at each start: the REST address is known only once the daemon listens. */
  constructor(options: { readonly size: number; readonly deadlineMs: number; readonly settings: () => WorkerSettings }) {
    this.#settings = options.settings;
    this.#size = options.size;
    this.#deadlineMs = options.deadlineMs;
  }

  /** Runs one query on a free worker. Throws MR_TOO_MANY_QUERIES, MR_QUERY_DEADLINE, MR_WORKER_* and what the query itself ends with. */
  async query(wish: QueryWish, signal: AbortSignal, onProgress: OnProgress = () => undefined): Promise<Answer> {
    const startedMs = Date.now();
    const started = performance.now();
    const remember = ({ verdict, ...end }: QueryEnd): void => {
      if (verdict) this.verdicts.emit('verdict', verdict);
      this.recent.add({ sql: shortText(wish.sql), answer: wish.answer, pushdown: wish.pushdown, startedMs, ms: Math.round(performance.now() - started), ...end });
    };
    const worker = await this.#free(signal);
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), this.#deadlineMs);
    // Once: a query that failed is told of by both ways, and by the second the worker may be reserved for the next one.
    let released = false;
    const release = () => {
      if (released) return;
      released = true;
      clearTimeout(timer);
      this.#reserved.delete(worker);
      this.#next();
    };
    try {
      return await worker.query(wish, AbortSignal.any([signal, deadline.signal]), (end) => {
        remember(deadline.signal.aborted && end.outcome === 'MR_CANCELLED' ? { ...end, outcome: 'MR_QUERY_DEADLINE' } : end);
        release();
      }, onProgress);
    } catch (error) {
      release();
      if (deadline.signal.aborted) throw new MillraceError('MR_QUERY_DEADLINE', `The query ran longer than ${this.#deadlineMs} ms: narrow it or raise --query-deadline-ms.`, { httpStatus: 504, cause: error });
      throw error;
    }
  }

  status(): { readonly pid?: number; readonly state: string; readonly queries: number }[] {
    return this.#workers.map((worker) => ({ ...(worker.pid === undefined ? {} : { pid: worker.pid }), state: worker.alive ? (worker.busy ? 'busy' : 'idle') : 'lost', queries: worker.queries }));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const wake of this.#waiting.splice(0)) wake();
    await Promise.all(this.#workers.map((worker) => worker.stop()));
  }

  readonly #reserved = new Set<QueryWorker>();

  async #free(signal: AbortSignal): Promise<QueryWorker> {
    if (this.#waiting.length >= queriesWaitingMax) throw new MillraceError('MR_TOO_MANY_QUERIES', `${queriesWaitingMax} queries are waiting already: try again later.`, { httpStatus: 429 });
    for (;;) {
      if (this.#stopped) throw new MillraceError('MR_STOPPING', 'The daemon is stopping.', { httpStatus: 503 });
      if (signal.aborted) {
        // It may have been woken for a worker that is free now: the next one takes it.
        this.#next();
        throw signal.reason;
      }
      const worker = this.#take();
      if (worker) {
        this.#reserved.add(worker);
        return worker;
      }
      await new Promise<void>((resolve) => {
        const left = () => {
          const at = this.#waiting.indexOf(wake);
          if (at >= 0) this.#waiting.splice(at, 1);
          resolve();
        };
        const wake = () => {
          signal.removeEventListener('abort', left);
          resolve();
        };
        this.#waiting.push(wake);
        signal.addEventListener('abort', left, { once: true });
      });
    }
  }

  #take(): QueryWorker | undefined {
    for (let i = this.#workers.length - 1; i >= 0; i--) if (!this.#workers[i]!.alive) this.#workers.splice(i, 1); // in bounds
    const idle = this.#workers.find((worker) => !this.#reserved.has(worker) && !worker.busy);
    if (idle || this.#workers.length >= this.#size) return idle;
    const worker = new QueryWorker(this.#settings());
    this.#workers.push(worker);
    void worker.exited.then(() => {
      this.#reserved.delete(worker);
      this.#next();
    });
    return worker;
  }

  #next(): void {
    this.#waiting.shift()?.();
  }
}
