import type { Metrics } from './metrics.js';
import type { RestServer } from './server.js';

/** Counts every request when its connection is done with it, streamed answers and broken ones too. */
export function observeRequests(server: RestServer, metrics: Metrics): void {
  server.addHook('onRequest', (request, reply, done) => {
    const started = performance.now();
    reply.raw.once('close', () => {
      const code = reply.raw.writableFinished ? String(reply.raw.statusCode) : 'aborted';
      metrics.requestEnded(request.routeOptions.url ?? 'none', request.method, code, (performance.now() - started) / 1000);
    });
    done();
  });
}
