import type { FastifyReply, FastifyRequest } from 'fastify';
import { MillraceError } from '../../pushdown/types/error.js';
import { type PageFile, pageFile, pageModules } from './page-files.js';
import type { RestServer } from './server.js';

/** Scripts, styles and data come from this daemon only; WebAssembly may be compiled: that is what the pages are for. */
const securityHeaders = {
  'content-security-policy': "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-cache',
} as const;

const assets = { '/play': 'play.html', '/status': 'status.html', '/play/pages.css': 'pages.css', '/play/icon.svg': 'icon.svg' } as const;

/** The two pages for people: /play and /status (clients/pages). Files are read when first asked for and kept. */
export function pageRoutes(server: RestServer): void {
  const options = { schema: { hide: true } };
  for (const [path, name] of Object.entries(assets)) {
    let file: PageFile | undefined;
    server.get(path, options, async (request, reply) => send((file ??= pageFile(name)), request, reply));
  }
  server.get('/', options, async (_request, reply) => reply.redirect('/play'));

  let modules: ReadonlyMap<string, PageFile> | undefined;
  server.get<{ Params: { '*': string } }>('/play/modules/*', options, async (request, reply) => {
    modules ??= pageModules(['play.js', 'status.js']);
    const file = modules.get(request.params['*']);
    if (!file) throw new MillraceError('MR_ROUTE_NOT_FOUND', 'There is no such module: the pages import what they need from each other.', { httpStatus: 404 });
    return send(file, request, reply);
  });
}

function send({ type, bytes, etag }: PageFile, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.headers({ ...securityHeaders, etag });
  return request.headers['if-none-match'] === etag ? reply.code(304).send() : reply.type(type).send(bytes);
}
