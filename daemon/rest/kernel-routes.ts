import { z } from 'zod';
import { principalOf } from './access/authenticate.js';
import { checkWriter } from './access/principal.js';
import { moduleBody } from './module-body.js';
import { kernelInfoSchema } from './schemas.js';
import type { RestParts, RestServer } from './server.js';

const params = z.object({ kernel: z.string().min(1).max(64) });
const flag = z.enum(['1', '0', 'true', 'false']).default('0').transform((text) => text === '1' || text === 'true');

/** Kernels stored by name. Whoever may use the device may use them; those with the right to write push and remove their tenant's. */
export function kernelRoutes(server: RestServer, { kernels }: RestParts): void {
  server.get('/v1/kernels', { schema: { summary: 'All stored kernels', response: { 200: z.object({ kernels: z.array(kernelInfoSchema) }) } } }, () => ({ kernels: kernels.list() }));

  server.get('/v1/kernels/:kernel', { schema: { summary: 'One stored kernel', params, response: { 200: kernelInfoSchema } } }, (request) => kernels.get(request.params.kernel));

  server.get('/v1/kernels/:kernel/module', { schema: { summary: 'The module of a stored kernel', params } }, (request, reply) => reply.type('application/wasm').send(kernels.module(request.params.kernel)));

  server.put('/v1/kernels/:kernel', { schema: { summary: 'Store a kernel under a name (the body; docs/kernels.md)', params, querystring: z.strictObject({ replace: flag }), response: { 201: kernelInfoSchema } } }, async (request, reply) => {
    const who = principalOf(request);
    checkWriter(who);
    const wasm = await moduleBody(request.body);
    const stored = kernels.push({ name: request.params.kernel, wasm, tenant: who.tenant, pushedBy: who.name, mayReplaceOthers: who.operator, replace: request.query.replace, nowMs: Date.now() });
    return reply.code(201).send(stored);
  });

  server.delete('/v1/kernels/:kernel', { schema: { summary: 'Remove a stored kernel', params } }, async (request, reply) => {
    const who = principalOf(request);
    checkWriter(who);
    kernels.remove(request.params.kernel, { tenant: who.tenant, mayReplaceOthers: who.operator });
    return reply.code(204).send();
  });
}
