import { z } from 'zod';
import { principalOf } from './access/authenticate.js';
import { checkOperator } from './access/principal.js';
import { capsSchema } from './schemas.js';
import { attachRights } from '../tenants/attach-rights.js';
import type { RestParts, RestServer } from './server.js';

/** Entries one answer may have. */
const entriesMax = 10_000;

const auditEntrySchema = z.object({
  at: z.string(),
  /** Records there was no room for: then nothing else is in the entry. */
  lost: z.number().optional(),
  tenant: z.string().optional(),
  token: z.string().optional(),
  kernel: z.string().nullable().optional(),
  /** The daemon generated the kernel: SHA-256 of the users' modules in it. */
  madeOf: z.array(z.string()).readonly().optional(),
  dataset: z.string().optional(),
  version: z.number().nullable().optional(),
  outcome: z.string().optional(),
  morsels: z.number().optional(),
  morselsDevice: z.number().optional(),
  ms: z.number().optional(),
});

export function tenantRoutes(server: RestServer, { audit, device, tenants, socketPath }: RestParts): void {
  server.get('/v1/audit', { schema: { summary: 'Who ran which kernel on which dataset, oldest first (operator)', querystring: z.strictObject({ limit: z.coerce.number().int().min(1).max(entriesMax).default(100) }), response: { 200: z.object({ entries: z.array(auditEntrySchema) }) } } }, (request) => {
    checkOperator(principalOf(request));
    return { entries: audit.tail(request.query.limit) };
  });

  server.get('/v1/tenant', { schema: { summary: "The asker's tenant: its caps, and the kernels its slots may run", response: { 200: z.object({ tenant: z.string(), caps: capsSchema, kernels: z.array(z.string()).optional() }) } } }, (request) => {
    const who = principalOf(request);
    const { caps, kernels } = tenants.identify(who);
    return { tenant: who.tenant, caps, ...(kernels ? { kernels: [...kernels] } : {}) };
  });

  server.post('/v1/attach', { schema: { summary: 'A one-time ticket to attach to the device on this machine', response: { 200: z.object({ socketPath: z.string(), ticket: z.string() }) } } }, (request) => {
    return { socketPath, ticket: device.grantAttach(attachRights(principalOf(request), tenants)) };
  });
}
