import Fastify, { type FastifyInstance, LogController } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Logger } from 'pino';
import type { NativeDevice } from '../../native/index.js';
import type { CommandQueue } from '../../native/queue.js';
import { MillraceError } from '../../pushdown/types/error.js';
import type { DaemonConfig } from '../config.js';
import type { DeviceModel } from '../device-model.js';
import type { DatasetStore } from '../datasets/store.js';
import type { ScanRegistry } from '../queue/scan-registry.js';
import type { KernelStore } from '../kernels/kernel-store.js';
import type { ProgramTable } from '../queue/program-table.js';
import { authenticate } from './access/authenticate.js';
import type { AuditLog } from '../tenants/audit-log.js';
import type { TenantBook } from '../tenants/tenant-book.js';
import { tenantRoutes } from './tenant-routes.js';
import type { TokenBook } from './access/token-book.js';
import { datasetRoutes } from './dataset-routes.js';
import { healthRoutes } from './health-routes.js';
import type { JobRegistry } from './job-registry.js';
import { jobRoutes } from './job-routes.js';
import { takeJson } from './json-body.js';
import { kvRoutes } from './kv-routes.js';
import { limitRequests, onClientError, requestLimits } from './limits.js';
import { kernelRoutes } from './kernel-routes.js';
import type { LinkCounter } from './link-counter.js';
import { paceAnswers } from './link-pace.js';
import type { Metrics } from './metrics.js';
import { observeRequests } from './observe.js';
import { describeApi } from './openapi.js';
import { pageRoutes } from './page-routes.js';
import { sendProblem } from './problem.js';
import { programRoutes } from './program-routes.js';
import type { QueryWorkerPool } from './query-worker-pool.js';
import { limitRates } from './rate-limit.js';
import type { RecentEvent, RecentLog } from './recent-queries.js';
import { scanRoutes } from './scan-routes.js';
import { sqlRoutes } from './sql-routes.js';
import { uploadRoutes } from './upload-routes.js';
import { statusRoutes } from './status-routes.js';

/** What the routes stand on; made by main.ts. */
export interface RestParts {
  readonly config: DaemonConfig;
  readonly log: Logger;
  readonly device: NativeDevice;
  readonly datasets: DatasetStore;
  /** The association of key/value requests. */
  readonly kv: CommandQueue;
  readonly programs: ProgramTable;
  readonly kernels: KernelStore;
  readonly scans: ScanRegistry;
  readonly workers: QueryWorkerPool;
  /** Socket local clients attach to. */
  readonly socketPath: string;
  readonly version: string;
  readonly link: LinkCounter;
  /** What the device's profile models. */
  readonly model: DeviceModel;
  /** What the device told of itself. */
  readonly events: RecentLog<RecentEvent>;
  readonly tokens: TokenBook;
  readonly tenants: TenantBook;
  readonly audit: AuditLog;
  readonly jobs: JobRegistry;
  readonly metrics: Metrics;
}

export type RestServer = FastifyInstance<import('node:http').Server, import('node:http').IncomingMessage, import('node:http').ServerResponse, Logger, ZodTypeProvider>;

/** The REST server of docs/rest.md, not yet listening. */
export async function buildServer(parts: RestParts): Promise<RestServer> {
  const server: RestServer = Fastify({
    loggerInstance: parts.log, logController: new LogController({ disableRequestLogging: true }), forceCloseConnections: 'idle',
    bodyLimit: requestLimits.jsonBytesMax, routerOptions: { maxParamLength: requestLimits.pathParameterLengthMax },
    // Who neither sends nor takes a byte for this long is gone.
    connectionTimeout: parts.config.connectionIdleMs,
    http: { maxHeaderSize: requestLimits.headerBytesMax, headersTimeout: requestLimits.headersMsMax },
    clientErrorHandler: onClientError,
    // What is refused before there is a route (a URL that does not decode).
    frameworkErrors: (error, request, reply) => void sendProblem(error, request, reply),
  }).withTypeProvider<ZodTypeProvider>();
  server.setValidatorCompiler(validatorCompiler);
  server.setSerializerCompiler(serializerCompiler);
  server.setErrorHandler((error, request, reply) => sendProblem(error, request, reply));
  server.setNotFoundHandler((request, reply) => sendProblem(new MillraceError('MR_ROUTE_NOT_FOUND', `There is no ${request.method} ${request.url.split('?')[0]}: see /openapi.json.`, { httpStatus: 404 }), request, reply));
  takeJson(server);
  // Everything but JSON arrives as a stream: the route bounds it.
  server.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
  server.server.on('connection', (socket) => parts.link.watch(socket));
  server.server.maxConnections = parts.config.connectionsMax;
  // In this order: counted, known, within bounds.
  observeRequests(server, parts.metrics);
  authenticate(server, parts.tokens, parts.config.host);
  limitRequests(server, parts.config.requestsMax);
  await limitRates(server);
  if (parts.model.link) paceAnswers(server, parts.device);
  await describeApi(server, parts.version);
  datasetRoutes(server, parts);
  uploadRoutes(server, parts);
  programRoutes(server, parts);
  kernelRoutes(server, parts);
  kvRoutes(server, parts);
  scanRoutes(server, parts);
  sqlRoutes(server, parts);
  jobRoutes(server, parts);
  tenantRoutes(server, parts);
  statusRoutes(server, parts);
  healthRoutes(server, parts);
  pageRoutes(server);
  server.get('/openapi.json', { schema: { hide: true } }, () => server.swagger());
  await server.ready();
  return server;
}
