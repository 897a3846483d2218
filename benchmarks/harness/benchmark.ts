import type { BenchResult } from './report.js';

/** Bars of one colour in the SVG. */
export interface BarGroup {
  readonly name: string;
  readonly colour: string;
  readonly has: (row: BenchResult) => boolean;
}

/** A benchmark answers one question. `run` gives its lines; quick sizes end within a minute. */
export interface Benchmark {
  readonly name: string;
  readonly question: string;
  /** What the bars of the SVG show, where it is not how much faster than a peer. */
  readonly ratioMeans?: string;
  /** Rows to be told apart in the SVG; the first that has a row colours it. */
  readonly groups?: readonly BarGroup[];
  run(options: { quick: boolean; log: (line: string) => void }): Promise<BenchResult[]>;
}
