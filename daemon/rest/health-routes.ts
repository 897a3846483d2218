import { z } from 'zod';
import type { NativeDevice } from '../../native/index.js';
import { checkOperator } from './access/principal.js';
import { principalOf } from './access/authenticate.js';
import type { RestParts, RestServer } from './server.js';

const healthSchema = z.object({ status: z.enum(['ok', 'degraded']), slots: z.number().int(), uptimeSeconds: z.number() });

/** For supervisors and scrapers. */
export function healthRoutes(server: RestServer, { device, metrics }: RestParts): void {
  server.get('/healthz', { schema: { summary: '200 while the daemon serves; 503 when no slot is left to run kernels', tags: ['operation'], response: { 200: healthSchema, 503: healthSchema } } }, async (_request, reply) => {
    const slots = slotsAlive(device);
    return reply.code(slots > 0 ? 200 : 503).send({ status: slots > 0 ? 'ok' : 'degraded', slots, uptimeSeconds: process.uptime() });
  });

  server.get('/metrics', { schema: { summary: 'Counters in Prometheus text format', tags: ['operation'], produces: ['text/plain'] } }, async (request, reply) => {
    checkOperator(principalOf(request));
    return reply.type(metrics.registry.contentType).send(await metrics.text());
  });
}

const slotsAlive = (device: NativeDevice): number => device.stats().slots.filter((slot) => slot.pid > 0).length;
