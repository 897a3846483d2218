import type { FastifyReply, FastifyRequest } from 'fastify';
import { MillraceError } from '../../pushdown/types/error.js';
import { principalOf } from './access/authenticate.js';
import { checkRead } from './access/principal.js';
import { FrameSink } from './frame-sink.js';
import { LinkPace } from './link-pace.js';
import { checkpointBody } from './checkpoint-body.js';
import { claimRequestSchema, doneSchema, idParams, restoreQuerySchema, returnSchema, scanOpenedSchema, scanRequestSchema } from './schemas.js';
import type { RestParts, RestServer } from './server.js';
import type { ScanSession } from '../queue/scan-session.js';

export function scanRoutes(server: RestServer, { datasets, scans, link, device, model, tenants }: RestParts): void {
  const owners = new WeakMap<ScanSession, string>();
  /** Somebody else's scan is not there. */
  const own = (request: FastifyRequest, id: number): ScanSession => {
    const session = scans.get(id);
    if (owners.get(session) !== principalOf(request).name) throw new MillraceError('MR_SCAN_NOT_FOUND', `Scan ${id} is not open (any more): a scan nobody reads is closed.`, { httpStatus: 404 });
    return session;
  };

  server.post('/v1/scans', { schema: { summary: 'Open a scan', body: scanRequestSchema, response: { 200: scanOpenedSchema } } }, async (request) => {
    const wish = request.body;
    const who = principalOf(request);
    checkRead(who, wish.dataset);
    const info = datasets.get(wish.dataset);
    if (wish.version !== undefined && wish.version !== info.version)
      throw new MillraceError('MR_DATASET_CHANGED', `Dataset ${wish.dataset} has version ${info.version} now, not ${wish.version}: look it up again.`, { field: 'version', httpStatus: 409 });
    const { tenant, actor } = tenants.identify(who);
    const session = await scans.open(info, datasets.layout(wish.dataset), { ...wish, tenant, actor });
    owners.set(session, who.name);
    return { scan: session.id };
  });

  server.get('/v1/scans/:id/results', { schema: { summary: 'Frames of morsels the device ran; one reader', params: idParams } }, async (request, reply) => {
    const session = own(request, request.params.id);
    session.reserveResults();
    await stream(request, reply, (sink) => session.results(sink));
  });

  server.post('/v1/scans/:id/claims', { schema: { summary: 'Claim morsels; their chunks as frames', params: idParams, body: claimRequestSchema } }, async (request, reply) => {
    const session = own(request, request.params.id);
    await stream(request, reply, (sink) => session.claim(request.body.morsels, sink));
  });

  server.post('/v1/scans/:id/done', { schema: { summary: 'Morsels the host finished', params: idParams, body: doneSchema } }, async (request, reply) => {
    await own(request, request.params.id).done(request.body.morsels, request.body.rows);
    return reply.code(204).send();
  });

  server.post('/v1/scans/:id/return', { schema: { summary: 'Claimed morsels the host will not do', params: idParams, body: returnSchema } }, async (request, reply) => {
    const session = own(request, request.params.id);
    await ('morsels' in request.body ? session.giveBack(request.body.morsels) : session.giveBackExcept(request.body.except));
    return reply.code(204).send();
  });

  server.post('/v1/scans/:id/checkpoint', { schema: { summary: 'Hold a stream at its next row group; its state', params: idParams } }, async (request, reply) => {
    const bytes = await own(request, request.params.id).checkpoint();
    return reply.type('application/octet-stream').send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  });

  server.post('/v1/scans/:id/restore', { schema: { summary: 'A held stream goes on with this state (the body)', params: idParams, querystring: restoreQuerySchema } }, async (request, reply) => {
    const session = own(request, request.params.id);
    await session.restore(await checkpointBody(request.body), request.query.morsel);
    return reply.code(204).send();
  });

  server.delete('/v1/scans/:id', { schema: { summary: 'Close a scan', params: idParams } }, async (request, reply) => {
    await own(request, request.params.id).close();
    return reply.code(204).send();
  });

  /** The body leaves Fastify's hands: frames go straight from shared memory to the socket. An error breaks the connection. */
  async function stream(request: FastifyRequest, reply: FastifyReply, write: (sink: FrameSink) => Promise<void>): Promise<void> {
    reply.hijack();
    const sink = new FrameSink(reply.raw, link, model.link && new LinkPace(device));
    try {
      await write(sink);
    } catch (error) {
      if (!sink.broken) request.log.warn({ err: error }, 'frame stream broke off');
      sink.abort();
    }
  }
}
