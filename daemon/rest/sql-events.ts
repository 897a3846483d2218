import type { Readable } from 'node:stream';
import type { Job } from './job-registry.js';
import { problemOf } from './problem.js';

const heartbeatMs = 15_000;

/** Resolves when there is something to tell of a query, so that what is refused before gets a status; rejects with why it was refused. */
export function begun(answer: Promise<unknown>, job: Job): Promise<void> {
  return new Promise((resolve, reject) => {
    answer.then(() => resolve(), reject);
    job.once('change', resolve);
  });
}

/**
 * A query's NDJSON answer as server-sent events: `progress` with the Job on news, `rows` with an array of them as they come, at last
 * `summary`; `error` with a problem instead of it where the query fails under way. Written as fast as it is read: progress that was
 * not taken is not queued.
 */
export async function* sqlEvents(answer: Promise<Readable>, job: Job): AsyncGenerator<string, void, void> {
  const news = new News(job);
  const lines = linesOf(answer);
  let next = lines.next();
  let told = news.come();
  // The last line is the summary, or the error that the end of the body says too.
  let last: string | undefined;
  try {
    for (;;) {
      const quiet = pause(heartbeatMs);
      const came = await Promise.race([next, told, quiet.over]).finally(quiet.stop);
      if (came === 'news') {
        told = news.come();
        yield event('progress', JSON.stringify(job.view()));
      } else if (came === 'quiet') yield ': still here\n\n';
      else if (came.done) break;
      else {
        const rows = last === undefined ? came.value : [last, ...came.value];
        last = rows.pop();
        next = lines.next();
        if (rows.length > 0) yield event('rows', `[${rows.join(',')}]`);
      }
    }
    const head = '{"summary":';
    if (last?.startsWith(head)) yield event('summary', last.slice(head.length, -1));
  } catch (cause) {
    const error: unknown = job.signal.aborted ? job.signal.reason : cause;
    yield event('error', JSON.stringify(problemOf(error)));
    throw error;
  } finally {
    news.stop();
    // Who leaves does not wait for the query to notice: the connection's end cancels it.
    next.catch(() => undefined);
    lines.return().catch(() => undefined);
  }
}

const event = (name: string, data: string): string => `event: ${name}\ndata: ${data}\n\n`;

/** Whether the job changed since last asked. */
class News {
  readonly #job: Job;
  readonly #onChange = (): void => {
    this.#there = true;
    this.#wake?.('news');
  };
  #there: boolean;
  #wake: ((news: 'news') => void) | undefined;

  constructor(job: Job) {
    this.#job = job;
    this.#there = job.state === 'running';
    job.on('change', this.#onChange);
  }

  /** One waits at a time. */
  async come(): Promise<'news'> {
    if (!this.#there) await new Promise<'news'>((resolve) => { this.#wake = resolve; });
    this.#there = false;
    return 'news';
  }

  stop(): void {
    this.#job.off('change', this.#onChange);
  }
}

function pause(ms: number): { readonly over: Promise<'quiet'>; readonly stop: () => void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return { over: new Promise((resolve) => { timer = setTimeout(() => resolve('quiet'), ms); }), stop: () => clearTimeout(timer) };
}

/** The whole lines of each piece that comes; digits stay as they were written. */
async function* linesOf(answer: Promise<Readable>): AsyncGenerator<string[], void, void> {
  const decoder = new TextDecoder();
  let open = '';
  for await (const piece of (await answer) as AsyncIterable<Uint8Array>) {
    const lines = (open + decoder.decode(piece, { stream: true })).split('\n');
    open = lines.pop() ?? '';
    if (lines.length > 0) yield lines;
  }
}
