import type { Socket } from 'node:net';
import { MillraceError } from '../../pushdown/types/error.js';
import { isWorker } from './access/authenticate.js';
import { problemOf } from './problem.js';
import type { RestServer } from './server.js';

/** Bounds of what one connection may send before anything is known of it. */
export const requestLimits = {
  /** Request line and headers together. */
  headerBytesMax: 16 << 10,
  urlBytesMax: 8 << 10,
  /** JSON bodies; files and modules are streams with bounds of their own. */
  jsonBytesMax: 32 << 20,
  /** Until the headers are there. */
  headersMsMax: 15_000,
  /** Long enough for every path parameter the schemas take, three bytes of percent encoding per byte. */
  pathParameterLengthMax: 4 << 10,
} as const;

/** Looked at while the daemon is full: how else would one see it. */
const exempt = /^\/(healthz|metrics)$/;

/** Turns away what is too long, and what comes while `requestsMax` requests are under way. */
export function limitRequests(server: RestServer, requestsMax: number): void {
  let open = 0;
  server.addHook('onRequest', (request, reply, done) => {
    if (Buffer.byteLength(request.url) > requestLimits.urlBytesMax)
      return done(new MillraceError('MR_URL_TOO_LONG', `The URL has more than ${requestLimits.urlBytesMax} bytes: send what is long in the body.`, { httpStatus: 414 }));
    // A query worker's own questions are part of a query that is let in already.
    if (open >= requestsMax && !isWorker(request) && !exempt.test(request.url.split('?', 1)[0] ?? '')) {
      reply.header('retry-after', '1');
      return done(new MillraceError('MR_TOO_MANY_REQUESTS', `${requestsMax} requests are under way: try again later.`, { httpStatus: 503 }));
    }
    open++;
    reply.raw.once('close', () => { open--; });
    done();
  });
}

/** What the HTTP parser refuses gets the same kind of answer, then the connection ends: nothing after it can be trusted. */
export function onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
  const body = problemOf(parserError(error));
  const text = JSON.stringify(body);
  socket.end(`HTTP/1.1 ${body.status} ${body.title}\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`);
}

function parserError(error: NodeJS.ErrnoException): MillraceError {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new MillraceError('MR_HEADERS_TOO_LARGE', `Request line and headers have more than ${requestLimits.headerBytesMax} bytes.`, { httpStatus: 431 });
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new MillraceError('MR_REQUEST_TIMEOUT', 'The request did not come in time: send it again, faster.', { httpStatus: 408 });
    default:
      return new MillraceError('MR_HTTP_INVALID', 'This is not a valid HTTP/1.1 request.', { httpStatus: 400 });
  }
}
