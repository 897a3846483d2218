import rateLimit from '@fastify/rate-limit';
import { MillraceError } from '../../pushdown/types/error.js';
import { knownPrincipal } from './access/authenticate.js';
import type { RestServer } from './server.js';

/** Tokens counted at a time; the least lately seen makes room. */
const countedMax = 10_000;

/** Requests per minute of each token that has a bound. Registered behind authentication: the key is who asks. */
export async function limitRates(server: RestServer): Promise<void> {
  await server.register(rateLimit, {
    global: true,
    cache: countedMax,
    timeWindow: 60_000,
    allowList: (request) => knownPrincipal(request)?.requestsPerMinute === undefined,
    keyGenerator: (request) => knownPrincipal(request)?.name ?? '',
    max: (request) => knownPrincipal(request)?.requestsPerMinute ?? Number.MAX_SAFE_INTEGER,
    errorResponseBuilder: (_request, { max, after }) => new MillraceError('MR_RATE_LIMITED', `This token may send ${max} requests a minute: try again in ${after}.`, { httpStatus: 429 }),
  });
}
