import { cpus, loadavg } from 'node:os';
import { z } from 'zod';
import { principalOf } from './access/authenticate.js';
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
  /** What the device's profile models; figures of it stand in device.model, apart from what was measured. */
  model: z.object({ profile: z.string(), coreFactor: z.number(), link: z.object({ bytesPerSecond: z.number(), latencyNs: z.number() }).optional() }),
  restScansOpen: z.number().int(),
  /** Of each core since the machine started, milliseconds. */
  cores: z.array(z.object({ busyMs: z.number(), idleMs: z.number() })),
  loadAverage: z.array(z.number()),
  daemonCpuMs: z.number(),
  daemonRssBytes: z.number().int(),
  /** Newest first. */
  recentQueries: z.array(z.object({ sql: z.string(), answer: z.string(), pushdown: z.string(), startedMs: z.number(), ms: z.number(), outcome: z.string(), rows: z.number(), answerBytes: z.number() })),
  /** Slot faults and replacements, lost associations; newest first. */
  recentEvents: z.array(z.object({ atMs: z.number(), kind: z.string(), detail: z.string() })),
  queryWorkers: z.array(z.object({ pid: z.number().int().optional(), state: z.string(), queries: z.number().int() })),
});

export function statusRoutes(server: RestServer, { device, events, link, model, scans, socketPath, version, workers }: RestParts): void {
  server.get('/v1/status', { schema: { summary: 'Counters, versions, uptime', response: { 200: statusSchema } } }, (request) => ({
    version,
    api: apiVersion,
    node: process.version,
    pid: process.pid,
    uptimeSeconds: process.uptime(),
    socketPath,
    device: { ...device.stats() },
    link: link.totals,
    model: { ...model },
    restScansOpen: scans.size,
    cores: cpus().map(({ times: { idle, ...busy } }) => ({ busyMs: Object.values(busy).reduce((sum, ms) => sum + ms, 0), idleMs: idle })),
    loadAverage: loadavg(),
    daemonCpuMs: cpuMs(),
    daemonRssBytes: process.memoryUsage.rss(),
    // What others ask is theirs.
    recentQueries: principalOf(request).operator ? [...workers.recent.list()] : [],
    recentEvents: [...events.list()],
    queryWorkers: workers.status(),
  }));
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
