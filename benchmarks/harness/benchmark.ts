import type { BenchResult } from './report.js';

/** A benchmark answers one question. `run` gives its lines; quick sizes end within a minute. */
export interface Benchmark {
  readonly name: string;
  readonly question: string;
  run(options: { quick: boolean; log: (line: string) => void }): Promise<BenchResult[]>;
}
