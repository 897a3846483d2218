import type { Batch } from '../../../pushdown/types/batch.js';
import type { QueryStats } from '../scan/options.js';

/**
 * Batches of a query as they come; the query starts with the first one asked for. Iterate once. Leaving the loop early ends
 * the scan at both ends; a consumer that is slow holds the device back.
 */
export interface ResultStream extends AsyncIterable<Batch> {
  /** Figures so far; whole after the last batch. */
  stats(): QueryStats;
}
