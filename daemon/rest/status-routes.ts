import { z } from 'zod';
import type { RestParts, RestServer } from './server.js';

/** Version of the REST contract; clients refuse another major one. */
export const apiVersion = 1;

const statusSchema = z.object({
  version: z.string(),
  api: z.number().int(),
  node: z.string(),
  pid: z.number().int(),
  uptimeSeconds: z.number(),
  /** Where clients of this machine attach. */
  socketPath: z.string(),
  device: z.record(z.string(), z.unknown()),
  link: z.object({ frameBytes: z.number(), socketInBytes: z.number(), socketOutBytes: z.number(), connections: z.number().int() }),
  restScansOpen: z.number().int(),
  queryWorkers: z.array(z.object({ pid: z.number().int().optional(), state: z.string(), queries: z.number().int() })),
});

export function statusRoutes(server: RestServer, { device, link, scans, socketPath, version, workers }: RestParts): void {
  server.get('/v1/status', { schema: { summary: 'Counters, versions, uptime', response: { 200: statusSchema } } }, () => ({
    version,
    api: apiVersion,
    node: process.version,
    pid: process.pid,
    uptimeSeconds: process.uptime(),
    socketPath,
    device: { ...device.stats() },
    link: link.totals,
    restScansOpen: scans.size,
    queryWorkers: workers.status(),
  }));
}
