import { MillraceError } from '../../pushdown/types/error.js';

/** What a query ends with after its signal aborted. */
export function cancelled(signal: AbortSignal): MillraceError {
  return new MillraceError('MR_CANCELLED', 'The query was cancelled.', { cause: signal.reason });
}
