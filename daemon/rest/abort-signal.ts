import type { ServerResponse } from 'node:http';
import { MillraceError } from '../../pushdown/types/error.js';

/** Aborts when the client leaves before the answer is finished. */
export function abortSignalOf(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) controller.abort(new MillraceError('MR_CLIENT_LEFT', 'The client left before the answer was finished.', { httpStatus: 499 }));
  });
  return controller.signal;
}
