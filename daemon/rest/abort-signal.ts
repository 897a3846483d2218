import type { ServerResponse } from 'node:http';

/** Aborts when the client leaves before the answer is finished. */
export function abortSignalOf(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) controller.abort(new Error('the client left'));
  });
  return controller.signal;
}
