import type { FastifyRequest } from 'fastify';
import { MillraceError } from '../../../pushdown/types/error.js';
import { isLoopback } from '../../config.js';
import type { RestServer } from '../server.js';
import { localPrincipal, type Principal, workerPrincipal } from './principal.js';
import type { TokenBook } from './token-book.js';

const principals = new WeakMap<FastifyRequest, Principal>();

/** Who sent it; known from the first hook on. */
export function principalOf(request: FastifyRequest): Principal {
  const principal = principals.get(request);
  if (!principal) throw new MillraceError('MR_UNAUTHORIZED', 'A bearer token is required: send Authorization: Bearer TOKEN.', { httpStatus: 401 });
  return principal;
}

/** Undefined on the open pages only. */
export const knownPrincipal = (request: FastifyRequest): Principal | undefined => principals.get(request);

export const isWorker = (request: FastifyRequest): boolean => principals.get(request) === workerPrincipal;

/** Pages anyone may read: they show nothing of the data. */
const open = /^\/(|healthz|openapi\.json|docs(\/.*)?|play(\/.*)?|status(\/.*)?)?$/;

/** Turns every request into a principal's, or away. `host`: the address the daemon is bound to. */
export function authenticate(server: RestServer, book: TokenBook, host: string): void {
  server.addHook('onRequest', (request, reply, done) => {
    try {
      principals.set(request, identify(request, book, host));
      done();
    } catch (error) {
      const path = request.url.split('?', 1)[0] ?? '';
      if (error instanceof MillraceError && error.code === 'MR_UNAUTHORIZED') {
        if (open.test(path) && request.headers.authorization === undefined) return done();
        reply.header('www-authenticate', 'Bearer realm="millrace"');
      }
      done(error as Error);
    }
  });
}

function identify(request: FastifyRequest, book: TokenBook, host: string): Principal {
  const given = request.headers.authorization;
  if (given !== undefined) {
    const principal = book.find(/^Bearer +(\S+)$/i.exec(given)?.[1] ?? '');
    if (!principal) throw new MillraceError('MR_UNAUTHORIZED', 'The bearer token is not known here: ask for one (millrace token add).', { httpStatus: 401 });
    return principal;
  }
  if (book.hasTokens || !isLoopback(host)) throw new MillraceError('MR_UNAUTHORIZED', 'A bearer token is required: send Authorization: Bearer TOKEN.', { httpStatus: 401 });
  refuseOtherSites(request);
  return localPrincipal;
}

/** Without tokens a web page elsewhere must not speak for the user at this machine: neither by DNS rebinding nor across origins. */
function refuseOtherSites(request: FastifyRequest): void {
  const asked = hostOf(`http://${request.headers.host ?? ''}`);
  const origin = request.headers.origin;
  if ((request.headers.host !== undefined && (!asked || !isLoopback(asked))) || (origin !== undefined && !isLoopback(hostOf(origin) ?? '')))
    throw new MillraceError('MR_ORIGIN_REFUSED', 'A daemon without tokens answers this machine only: use a loopback address, or give out tokens (millrace token add).', { httpStatus: 403 });
}

function hostOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).hostname.replace(/^\[|\]$/g, '') : undefined;
}
