import { SingleBar } from 'cli-progress';
import { bytesText } from '../bytes.js';

/** What a bar is told; `done` and `total` are in the unit the bar's percent and ETA go by. */
export interface Progress {
  readonly done: number;
  readonly total: number;
  readonly rows?: number;
  readonly bytes?: number;
  /** What happens now, in a word or two. */
  readonly doing?: string;
}

/** Work that ends sooner shows no bar. */
const quietMs = 300;
const redrawMs = 100;

/**
 * A bar with rows, bytes, percent and time left, on stderr and only when that is a terminal. `observe` is asked while the work
 * runs; the bar is gone when this settles.
 */
export async function withProgress<T>(observe: () => Progress, work: () => Promise<T>, shown = process.stderr.isTTY): Promise<T> {
  if (!shown) return work();
  let bar: SingleBar | undefined;
  const started = performance.now();
  const timer = setInterval(() => {
    const now = observe();
    if (!bar && performance.now() - started < quietMs) return;
    if (!bar) {
      // The cursor stays as it is: a command that is killed leaves the terminal usable.
      bar = new SingleBar({ format: '[{bar}] {percentage}% {figures}', stream: process.stderr, barsize: 24, barCompleteChar: '=', barIncompleteChar: ' ', clearOnComplete: true, hideCursor: null, gracefulExit: false, linewrap: null, emptyOnZero: true });
      bar.start(now.total, 0, { figures: '' });
    }
    bar.setTotal(Math.max(now.total, 1));
    bar.update(Math.min(now.done, now.total), { figures: figures(now, performance.now() - started) });
  }, redrawMs);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    bar?.stop();
  }
}

/** `12 rows, 3.0 MiB, 4 s left`. */
export function figures({ done, total, rows, bytes, doing }: Progress, elapsedMs: number): string {
  const left = done > 0 && done < total ? `${secondsText((elapsedMs / 1000) * (total / done - 1))} left` : '';
  return [rows === undefined ? '' : `${rows} rows`, bytes === undefined ? '' : bytesText(bytes), left, doing ?? ''].filter(Boolean).join(', ');
}

function secondsText(seconds: number): string {
  const whole = Math.ceil(seconds);
  return whole < 100 ? `${whole} s` : whole < 6000 ? `${Math.ceil(whole / 60)} min` : `${Math.ceil(whole / 3600)} h`;
}
