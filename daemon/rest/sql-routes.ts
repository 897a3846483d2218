import { abortSignalOf } from './abort-signal.js';
import { explainRequestSchema, planRequestSchema, sqlRequestSchema } from './schemas.js';
import type { RestParts, RestServer } from './server.js';

export function sqlRoutes(server: RestServer, { workers }: RestParts): void {
  server.post('/v1/sql', { schema: { summary: 'Run SQL in a query worker: NDJSON rows and a summary line, or an Arrow IPC stream', body: sqlRequestSchema } }, async (request, reply) => {
    const { sql, pushdown, format } = request.body;
    const { contentType, body } = await workers.query({ sql, pushdown, answer: format }, abortSignalOf(reply.raw));
    return reply.type(contentType).send(body);
  });

  server.post('/v1/explain', { schema: { summary: 'Where each operator of a query runs and why', body: explainRequestSchema } }, async (request, reply) => {
    const { sql, pushdown, analyze } = request.body;
    const { contentType, body } = await workers.query({ sql, pushdown, answer: analyze ? 'analyze' : 'explain' }, abortSignalOf(reply.raw));
    return reply.type(contentType).send(body);
  });

  server.post('/v1/plan', { schema: { summary: 'The operator tree a statement is, for hosts that bring no SQL engine', body: planRequestSchema } }, async (request, reply) => {
    const { contentType, body } = await workers.query({ sql: request.body.sql, pushdown: 'auto', answer: 'plan' }, abortSignalOf(reply.raw));
    return reply.type(contentType).send(body);
  });
}
