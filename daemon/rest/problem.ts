import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { MillraceError } from '../../pushdown/types/error.js';
import { catalogued } from '../../pushdown/types/error-catalogue.js';

/** RFC 9457. `code` is stable; `detail` says what to do. */
export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  code: z.string(),
  detail: z.string(),
  field: z.string().optional(),
  position: z.number().int().optional(),
});
export type Problem = z.output<typeof problemSchema>;

const titles: Readonly<Record<number, string>> = {
  400: 'Bad request', 401: 'Not authorised', 403: 'Forbidden', 404: 'Not found', 405: 'Method not allowed', 408: 'Out of time', 409: 'Conflict', 413: 'Too large', 414: 'Too long', 415: 'Unsupported media type',
  422: 'Cannot be processed', 429: 'Too many requests', 431: 'Too large', 499: 'Client left', 500: 'Internal error', 502: 'Bad answer from behind', 503: 'Not available', 504: 'Out of time', 507: 'Out of space',
};

export function problemOf(error: unknown): Problem {
  if (error instanceof MillraceError) {
    const status = error.at.httpStatus ?? catalogued(error.code)?.httpStatus ?? 400;
    return problem(status, error.code, error.message, error.at);
  }
  if (hasZodFastifySchemaValidationErrors(error)) {
    const first = error.validation[0]!; // the guard saw at least one
    const field = first.instancePath.replace(/^\//, '').replaceAll('/', '.');
    return problem(400, 'MR_REQUEST_INVALID', `${field || 'request'}: ${first.message ?? 'invalid'}.`, field ? { field } : {});
  }
  const status = (error as FastifyError | undefined)?.statusCode;
  if (status !== undefined && status >= 400 && status < 500) return problem(status, 'MR_REQUEST_INVALID', (error as FastifyError).message, {});
  // Our own bug: what happened goes to the log, not to the caller.
  return problem(500, 'MR_INTERNAL', 'Something broke in the daemon; its log has the details.', {});
}

function problem(status: number, code: string, detail: string, at: { readonly field?: string; readonly position?: number }): Problem {
  return {
    type: `urn:millrace:error:${code}`, title: titles[status] ?? 'Error', status, code, detail,
    ...(at.field === undefined ? {} : { field: at.field }), ...(at.position === undefined ? {} : { position: at.position }),
  };
}

export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const body = problemOf(error);
  if (body.code !== 'MR_INTERNAL' && body.status >= 500) request.log.warn({ code: body.code, detail: body.detail }, 'request refused');
  else if (body.status >= 500) request.log.error({ err: error, code: body.code }, 'request failed');
  else request.log.debug({ code: body.code, detail: body.detail }, 'request refused');
  return reply.code(body.status).type('application/problem+json').serializer((payload: unknown) => JSON.stringify(payload)).send(body);
}
