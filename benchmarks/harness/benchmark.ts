import type { BenchResult } from './report.js';

/** A benchmark answers one question. `run` gives its lines; quick sizes end within a minute. */
export interface Benchmark {
  readonly name: string;
  readonly question: string;
  /** What the bars of the SVG show, where it is not how much faster than a peer. */
  readonly ratioMeans?: string;
  run(options: { quick: boolean; log: (line: string) => void }): Promise<BenchResult[]>;
}
