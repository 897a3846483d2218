import { cpus, loadavg } from 'node:os';
import { z } from 'zod';
import { principalOf } from './access/authenticate.js';
import type { DeviceStats } from '../../native/index.js';
import type { Principal } from './access/principal.js';
import type { RestParts, RestServer } from './server.js';
import { capsSchema } from './schemas.js';

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
  /** Of an operator's question all, else the asker's own. Slots and device memory are given while a tenant has work. */
  tenants: z.array(z.object({ name: z.string(), caps: capsSchema, kernels: z.number().int().optional(), slots: z.number().int(), slmBytes: z.number(), slmResidentBytes: z.number() })),
  queryWorkers: z.array(z.object({ pid: z.number().int().optional(), state: z.string(), queries: z.number().int() })),
});

export function statusRoutes(server: RestServer, { device, events, link, model, scans, socketPath, tenants, version, workers }: RestParts): void {
  server.get('/v1/status', { schema: { summary: 'Counters, versions, uptime', response: { 200: statusSchema } } }, (request) => {
    const who = principalOf(request);
    const stats = ownPart(device.stats(), who);
    return {
      version,
      api: apiVersion,
      node: process.version,
      pid: process.pid,
      uptimeSeconds: process.uptime(),
      socketPath,
      device: { ...stats },
      link: link.totals,
      model: { ...model },
      restScansOpen: scans.size,
      cores: cpus().map(({ times: { idle, ...busy } }) => ({ busyMs: Object.values(busy).reduce((sum, ms) => sum + ms, 0), idleMs: idle })),
      loadAverage: loadavg(),
      daemonCpuMs: cpuMs(),
      daemonRssBytes: process.memoryUsage.rss(),
      // What others ask is theirs.
      recentQueries: who.operator ? [...workers.recent.list()] : [],
      recentEvents: [...events.list()],
      tenants: tenants.list().filter(({ name }) => who.operator || name === who.tenant).map((tenant) => ({ ...tenant, ...useOf(tenant.name, stats) })),
      queryWorkers: workers.status(),
    };
  });
}

function useOf(tenant: string, { slots, slmByTenant }: DeviceStats): { slots: number; slmBytes: number; slmResidentBytes: number } {
  const bank = slmByTenant.find((each) => each.tenant === tenant);
  return { slots: slots.filter((slot) => slot.tenant === tenant).length, slmBytes: bank?.bytes ?? 0, slmResidentBytes: bank?.residentBytes ?? 0 };
}

/** Who else is a tenant here is not for tenants to know. */
function ownPart(stats: DeviceStats, who: Principal): DeviceStats {
  if (who.operator) return stats;
  return { ...stats, slmByTenant: stats.slmByTenant.filter(({ tenant }) => tenant === who.tenant), slots: stats.slots.map((slot) => (slot.tenant === who.tenant ? slot : { ...slot, tenant: '' })) };
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
