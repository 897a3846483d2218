import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { answerFormats } from './answer-format.js';
import { problemSchema } from './problem.js';
import type { RestServer } from './server.js';

interface Operation {
  tags?: string[];
  operationId?: string;
  requestBody?: unknown;
  responses?: Record<string, { description?: string; content?: unknown }>;
}

/** Bodies and answers that are streams: no schema checks them, the documentation names them all the same. */
const bodies: Readonly<Record<string, readonly string[]>> = {
  'put /v1/datasets/{name}': ['application/octet-stream'],
  'put /v1/multipart/{upload}/files/{file}': ['application/octet-stream'],
  'post /v1/programs': ['application/wasm'],
  'put /v1/kernels/{kernel}': ['application/wasm'],
  'put /v1/kv/{key}': ['application/octet-stream'],
  'post /v1/scans/{id}/restore': ['application/octet-stream'],
};
const answers: Readonly<Record<string, readonly [status: string, ...types: string[]]>> = {
  'get /v1/datasets/{name}/layout': ['200', 'application/octet-stream'],
  'get /v1/datasets/{name}/export': ['200', 'application/vnd.apache.arrow.stream'],
  'get /v1/scans/{id}/results': ['200', 'application/vnd.millrace.frames'],
  'post /v1/scans/{id}/claims': ['200', 'application/vnd.millrace.frames'],
  'post /v1/scans/{id}/checkpoint': ['200', 'application/octet-stream'],
  'post /v1/scans/{id}/restore': ['204'],
  'get /v1/kernels/{kernel}/module': ['200', 'application/wasm'],
  'post /v1/sql': ['200', ...Object.values(answerFormats)],
  'post /v1/plan': ['200', 'application/json'],
  'post /v1/explain': ['200', 'application/json'],
  'get /v1/queries/{id}/progress': ['200', 'text/event-stream'],
  'get /v1/uploads/{id}/progress': ['200', 'text/event-stream'],
  'get /metrics': ['200', 'text/plain'],
  'delete /v1/datasets/{name}': ['204'],
  'delete /v1/programs/{program}': ['204'],
  'delete /v1/kernels/{kernel}': ['204'],
  'get /v1/kv/{key}': ['200', 'application/octet-stream'],
  'head /v1/kv/{key}': ['200'],
  'put /v1/kv/{key}': ['204'],
  'delete /v1/kv/{key}': ['204'],
  'post /v1/kv/flush': ['204'],
  'delete /v1/scans/{id}': ['204'],
  'post /v1/scans/{id}/done': ['204'],
  'post /v1/scans/{id}/return': ['204'],
  'delete /v1/queries/{id}': ['202'],
  'delete /v1/uploads/{id}': ['202'],
};

/** /openapi.json and /docs. Registered before the routes, which it collects. */
export async function describeApi(server: RestServer, version: string): Promise<void> {
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Millrace', description: 'Storage-side near-data processing. Prose: docs/rest.md; every error code: docs/errors.md.', version, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer', description: 'Needed where the daemon has tokens: millrace token add.' } } },
      security: [{ bearer: [] }, {}],
    },
    transform: jsonSchemaTransform,
    transformObject: (document) => ('openapiObject' in document ? completed(document.openapiObject as Record<string, unknown>) : document.swaggerObject) as never,
  });
  await server.register(swaggerUi, { routePrefix: '/docs', staticCSP: true, uiConfig: { docExpansion: 'list', deepLinking: true } });
}

function completed(document: Record<string, unknown>): Record<string, unknown> {
  const components = (document.components ?? {}) as Record<string, Record<string, unknown>>;
  const { $schema: _, ...problem } = z.toJSONSchema(problemSchema) as Record<string, unknown>;
  document.components = { ...components, schemas: { ...components.schemas, Problem: problem } };
  for (const [path, methods] of Object.entries((document.paths ?? {}) as Record<string, Record<string, Operation>>))
    for (const [method, operation] of Object.entries(methods)) complete(`${method} ${path}`, path, method, operation);
  return document;
}

function complete(key: string, path: string, method: string, operation: Operation): void {
  operation.tags ??= [path.split('/')[2] ?? 'operation'];
  operation.operationId = [method, ...path.replace(/^\/v1/, '').split(/[/{}.]+/).filter(Boolean)].map((word, i) => (i === 0 ? word : word[0]?.toUpperCase() + word.slice(1))).join('');
  const body = bodies[key];
  if (body) operation.requestBody = { required: true, content: Object.fromEntries(body.map((type) => [type, { schema: { type: 'string', format: 'binary' } }])) };
  const responses: NonNullable<Operation['responses']> = (operation.responses ??= {});
  const answer = answers[key];
  if (answer) {
    const [status, ...types] = answer;
    for (const other of Object.keys(responses)) delete responses[other];
    responses[status] = { description: types.length > 0 ? 'The answer, streamed.' : 'Done.', ...(types.length > 0 ? { content: Object.fromEntries(types.map((type) => [type, { schema: type === 'application/json' ? {} : { type: 'string' } }])) } : {}) };
  }
  const content = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };
  responses['4XX'] ??= { description: 'Refused: `code` says why (docs/errors.md).', content };
  responses['5XX'] ??= { description: 'The daemon could not.', content };
}
