import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { MillraceError } from '../../pushdown/types/error.js';
import { abortSignalOf } from './abort-signal.js';
import { principalOf } from './access/authenticate.js';
import { acceptedFormat, answerFormats } from './answer-format.js';
import type { Job } from './job-registry.js';
import type { QueryWish } from './query-worker.js';
import { explainRequestSchema, planRequestSchema, sqlRequestSchema } from './schemas.js';
import type { RestParts, RestServer } from './server.js';
import { begun, sqlEvents } from './sql-events.js';

const sqlDescription = `Without \`format\`, Accept chooses: ${Object.entries(answerFormats).map(([format, type]) => `\`${type}\` (${format})`).join(', ')}; NDJSON where it names none of them.
Events are \`progress\` (a job, as GET /v1/queries/{id} gives it), \`rows\` (a JSON array of rows), and at last \`summary\`, or \`error\` (a problem) where the query failed under way.`;

export function sqlRoutes(server: RestServer, { jobs, tenants, workers }: RestParts): void {
  server.post('/v1/sql', { schema: { summary: 'Run SQL in a query worker: NDJSON rows and a summary line, an Arrow IPC stream, or events', description: sqlDescription, body: sqlRequestSchema } }, (request, reply) => {
    const { id, sql, pushdown, format = acceptedFormat(request.headers.accept) } = request.body;
    return query(request, reply, id, { sql, pushdown, answer: format === 'arrow' ? 'arrow' : 'json' }, format === 'events');
  });

  server.post('/v1/explain', { schema: { summary: 'Where each operator of a query runs and why', body: explainRequestSchema } }, (request, reply) => {
    const { id, sql, pushdown, analyze } = request.body;
    return query(request, reply, id, { sql, pushdown, answer: analyze ? 'analyze' : 'explain' });
  });

  server.post('/v1/plan', { schema: { summary: 'The operator tree a statement is, for hosts that bring no SQL engine', body: planRequestSchema } }, (request, reply) => query(request, reply, request.body.id, { sql: request.body.sql, pushdown: 'auto', answer: 'plan' }));

  /** One statement from arrival to the last byte of its answer, as a job that can be followed and cancelled. */
  async function query(request: FastifyRequest, reply: FastifyReply, id: string | undefined, wish: Omit<QueryWish, 'tenant' | 'actor' | 'kernels'>, asEvents = false): Promise<FastifyReply> {
    const who = principalOf(request);
    const { tenant, actor, kernels } = tenants.identify(who);
    const job = jobs.begin({ kind: 'query', id, owner: who, text: wish.sql });
    try {
      const answer = workers.query(
        { ...wish, tenant, actor, ...(kernels ? { kernels: [...kernels] } : {}), ...(who.datasets ? { datasets: [...who.datasets] } : {}) },
        AbortSignal.any([abortSignalOf(reply.raw), job.signal]),
        (progress) => job.news(progress),
      );
      if (asEvents) {
        await begun(answer, job);
        const events = Readable.from(sqlEvents(answer.then(({ body }) => body), job), { objectMode: false });
        return reply.type(answerFormats.events).header('x-millrace-query', job.id).header('cache-control', 'no-store').header('x-accel-buffering', 'no').send(follow(events, job, reply.raw));
      }
      const { contentType, body } = await answer;
      return reply.type(contentType).header('x-millrace-query', job.id).send(follow(body, job, reply.raw));
    } catch (cause) {
      // Cancelled: the worker's words for it are its own.
      const error: unknown = job.signal.aborted ? job.signal.reason : cause;
      job.end(error);
      throw error;
    }
  }
}

/** Counts the answer; the job ends when the connection is done with it, whether or not anyone began to read. */
function follow(body: Readable, job: Job, response: ServerResponse): Readable {
  let bytes = 0;
  let failure: unknown;
  body.on('data', (piece: Uint8Array) => { bytes += piece.byteLength; });
  // Fastify reads: it pipes as soon as the reply is sent.
  body.pause();
  body.once('error', (error) => { failure = error; });
  const ended = () => {
    body.destroy();
    job.news({ bytes });
    if (response.writableFinished) job.end();
    else job.end(failure ?? (job.signal.aborted ? job.signal.reason : new MillraceError('MR_CLIENT_LEFT', 'The client left before the answer was finished.', { httpStatus: 499 })));
  };
  if (response.closed) ended();
  else response.once('close', ended);
  return body;
}
