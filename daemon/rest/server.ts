import { timingSafeEqual } from 'node:crypto';
import swagger from '@fastify/swagger';
import Fastify, { type FastifyInstance, LogController } from 'fastify';
import { jsonSchemaTransform, serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Logger } from 'pino';
import type { NativeDevice } from '../../native/index.js';
import { MillraceError } from '../../pushdown/types/error.js';
import type { DaemonConfig } from '../config.js';
import type { DatasetStore } from '../datasets/store.js';
import type { ScanRegistry } from '../queue/scan-registry.js';
import type { ProgramTable } from '../queue/program-table.js';
import { datasetRoutes } from './dataset-routes.js';
import { LinkCounter } from './link-counter.js';
import { sendProblem } from './problem.js';
import { programRoutes } from './program-routes.js';
import type { QueryWorkerPool } from './query-worker-pool.js';
import type { RecentEvent, RecentLog } from './recent-queries.js';
import { scanRoutes } from './scan-routes.js';
import { sqlRoutes } from './sql-routes.js';
import { statusRoutes } from './status-routes.js';

/** What the routes stand on; made by main.ts. */
export interface RestParts {
  readonly config: DaemonConfig;
  readonly log: Logger;
  readonly device: NativeDevice;
  readonly datasets: DatasetStore;
  readonly programs: ProgramTable;
  readonly scans: ScanRegistry;
  readonly workers: QueryWorkerPool;
  /** Socket local clients attach to. */
  readonly socketPath: string;
  readonly version: string;
  readonly link: LinkCounter;
  /** What the device told of itself. */
  readonly events: RecentLog<RecentEvent>;
}

export type RestServer = FastifyInstance<import('node:http').Server, import('node:http').IncomingMessage, import('node:http').ServerResponse, Logger, ZodTypeProvider>;

/** The REST server of docs/rest.md, not yet listening. */
export async function buildServer(parts: RestParts): Promise<RestServer> {
  const server: RestServer = Fastify({ loggerInstance: parts.log, logController: new LogController({ disableRequestLogging: true }), bodyLimit: 32 << 20, forceCloseConnections: 'idle' }).withTypeProvider<ZodTypeProvider>();
  server.setValidatorCompiler(validatorCompiler);
  server.setSerializerCompiler(serializerCompiler);
  server.setErrorHandler((error, request, reply) => sendProblem(error, request, reply));
  server.setNotFoundHandler((request, reply) => sendProblem(new MillraceError('MR_ROUTE_NOT_FOUND', `There is no ${request.method} ${request.url.split('?')[0]}: see /openapi.json.`, { httpStatus: 404 }), request, reply));
  // Everything but JSON arrives as a stream: the route bounds it.
  server.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
  server.server.on('connection', (socket) => parts.link.watch(socket));
  if (parts.config.token) requireToken(server, parts.config.token);
  await server.register(swagger, {
    openapi: { openapi: '3.1.0', info: { title: 'Millrace', description: 'Storage-side near-data processing. See docs/rest.md.', version: parts.version } },
    transform: jsonSchemaTransform,
  });
  datasetRoutes(server, parts);
  programRoutes(server, parts);
  scanRoutes(server, parts);
  sqlRoutes(server, parts);
  statusRoutes(server, parts);
  server.get('/openapi.json', { schema: { hide: true } }, () => server.swagger());
  await server.ready();
  return server;
}

function requireToken(server: RestServer, token: string): void {
  const expected = Buffer.from(`Bearer ${token}`);
  server.addHook('onRequest', (request, _reply, done) => {
    const given = Buffer.from(request.headers.authorization ?? '');
    if (given.length === expected.length && timingSafeEqual(given, expected)) done();
    else done(new MillraceError('MR_UNAUTHORIZED', 'A bearer token is required: send Authorization: Bearer TOKEN.', { httpStatus: 401 }) as Error & { statusCode?: number });
  });
}
