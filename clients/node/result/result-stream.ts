import type { Batch } from '../../../pushdown/types/batch.js';
import type { Column } from '../../../pushdown/types/schema.js';
import type { QueryStats } from '../scan/options.js';

/** What a running query yields, and its figures once it ended. */
export interface QueryRun {
  readonly columns: readonly Column[];
  readonly batches: AsyncGenerator<Batch, void, void>;
  stats(): QueryStats;
}

/** Batches of a query as they come. Iterate once; leaving the loop early ends the scan at both ends. */
export class ResultStream implements AsyncIterable<Batch> {
  readonly #run: () => Promise<QueryRun>;
  #started: Promise<QueryRun> | undefined;

  constructor(run: () => Promise<QueryRun>) {
    this.#run = run;
  }

  /** The columns of every batch. Starts the query. */
  async columns(): Promise<readonly Column[]> {
    return (await this.#start()).columns;
  }

  /** Figures so far; final after the last batch. */
  async stats(): Promise<QueryStats> {
    return (await this.#start()).stats();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Batch, void, void> {
    const { batches } = await this.#start();
    yield* batches;
  }

  #start(): Promise<QueryRun> {
    this.#started ??= this.#run();
    return this.#started;
  }
}
