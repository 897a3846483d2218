import { z } from 'zod';
import { principalOf } from './access/authenticate.js';
import { streamProgress } from './event-stream.js';
import { jobIdSchema } from './schemas.js';
import type { RestParts, RestServer } from './server.js';

const count = z.number().min(0).optional();
const jobSchema = z.object({
  id: z.string(),
  kind: z.enum(['query', 'upload']),
  state: z.enum(['waiting', 'running', 'done', 'failed', 'cancelled']),
  owner: z.string(),
  tenant: z.string(),
  text: z.string(),
  started: z.string(),
  ms: z.number(),
  progress: z.object({ rows: count, bytes: count, bytesTotal: count, rowsScanned: count, linkBytes: count, morselsDevice: count, morselsHost: count, morselsTotal: count }),
  code: z.string().optional(),
});
const params = z.object({ id: jobIdSchema });

/** Queries and uploads under way and lately ended: look, follow, cancel. */
export function jobRoutes(server: RestServer, { jobs }: RestParts): void {
  for (const [kind, plural] of [['query', 'queries'], ['upload', 'uploads']] as const) {
    server.get(`/v1/${plural}`, { schema: { summary: `${plural} under way and the last that ended, newest first`, tags: ['jobs'], response: { 200: z.object({ [plural]: z.array(jobSchema) }) } } }, (request) => ({ [plural]: jobs.list(kind, principalOf(request)) }));

    server.get(`/v1/${plural}/:id`, { schema: { summary: `One ${kind}`, tags: ['jobs'], params, response: { 200: jobSchema } } }, (request) => jobs.get(kind, request.params.id, principalOf(request)).view());

    server.delete(`/v1/${plural}/:id`, { schema: { summary: `Cancel a ${kind}: its own request ends with MR_CANCELLED`, tags: ['jobs'], params } }, (request, reply) => {
      jobs.get(kind, request.params.id, principalOf(request)).cancel();
      return reply.code(202).send();
    });

    server.get(`/v1/${plural}/:id/progress`, { schema: { summary: 'Server-sent events: progress, then end', tags: ['jobs'], params, produces: ['text/event-stream'] } }, (request, reply) => {
      const job = jobs.get(kind, request.params.id, principalOf(request));
      reply.hijack();
      streamProgress(job, reply.raw);
    });
  }
}
