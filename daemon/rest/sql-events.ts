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
export async function* sqlEvents(answer: Promise<Readable>, job: Job): AsyncGenerator<string | Buffer, void, void> {
  const news = new News(job);
  const pieces = rowsOf(answer);
  let next = pieces.next();
  let told = news.come();
  try {
    for (;;) {
      const quiet = pause(heartbeatMs);
      const came = await Promise.race([next, told, quiet.over]).finally(quiet.stop);
      if (came === 'news') {
        told = news.come();
        yield event('progress', JSON.stringify(job.view()));
      } else if (came === 'quiet') yield ': still here\n\n';
      else if (came.done) {
        // The last line is the summary, or the error that the end of the body says too.
        const head = '{"summary":';
        if (came.value.startsWith(head)) yield event('summary', came.value.slice(head.length, -1));
        return;
      } else {
        next = pieces.next();
        yield Buffer.concat([rowsHead, ...came.value, rowsTail]);
      }
    }
  } catch (cause) {
    const error: unknown = job.signal.aborted ? job.signal.reason : cause;
    yield event('error', JSON.stringify(problemOf(error)));
    throw error;
  } finally {
    news.stop();
    // Who leaves does not wait for the query to notice: the connection's end cancels it.
    next.catch(() => undefined);
    pieces.return('').catch(() => undefined);
  }
}

const rowsHead = Buffer.from('event: rows\ndata: [');
const rowsTail = Buffer.from(']\n\n');
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

const newline = 10;
const comma = Buffer.from(',');

/**
 * The rows of each piece that comes, separated by commas: bytes stay as they were written. The last line is known to be the last
 * at the end only: it is what this returns.
 */
async function* rowsOf(answer: Promise<Readable>): AsyncGenerator<Buffer[], string, void> {
  /** Of a line whose end has not come: put together once, however long it is. */
  let open: Uint8Array[] = [];
  let last: Buffer | undefined;
  for await (const piece of (await answer) as AsyncIterable<Uint8Array>) {
    open.push(piece);
    if (!piece.includes(newline)) continue;
    const bytes = Buffer.concat(open);
    const end = bytes.lastIndexOf(newline);
    open = [bytes.subarray(end + 1)];
    const start = end === 0 ? 0 : bytes.lastIndexOf(newline, end - 1) + 1;
    const rows = bytes.subarray(0, Math.max(0, start - 1));
    for (let at = rows.indexOf(newline); at >= 0; at = rows.indexOf(newline, at + 1)) rows[at] = comma[0] ?? 0;
    const whole = [...(last ? [last] : []), ...(rows.byteLength > 0 ? [rows] : [])];
    last = bytes.subarray(start, end);
    if (whole.length > 0) yield whole.flatMap((part, i) => (i === 0 ? [part] : [comma, part]));
  }
  return (last ?? Buffer.alloc(0)).toString('utf8');
}
