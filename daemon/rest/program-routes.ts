import type { Readable } from 'node:stream';
import { z } from 'zod';
import { MillraceError } from '../../pushdown/types/error.js';
import { programBytesMax, programLoadedSchema } from './schemas.js';
import type { RestParts, RestServer } from './server.js';

export function programRoutes(server: RestServer, { programs }: RestParts): void {
  server.post('/v1/programs', { schema: { summary: 'Load a kernel (the body; docs/kernel-abi-v1.md)', response: { 200: programLoadedSchema } } }, async (request) => {
    const wasm = await readBody(request.body);
    return programs.load(wasm);
  });

  server.delete('/v1/programs/:program', { schema: { summary: 'Unload a kernel', params: z.object({ program: z.coerce.number().int().min(0) }) } }, async (request, reply) => {
    await programs.unload(request.params.program);
    return reply.code(204).send();
  });
}

async function readBody(body: unknown): Promise<Uint8Array> {
  if (typeof (body as Readable | undefined)?.pipe !== 'function') throw new MillraceError('MR_REQUEST_INVALID', 'The body must be the module: send content-type application/wasm.', { field: 'body', httpStatus: 415 });
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body as AsyncIterable<Uint8Array>) {
    bytes += part.byteLength;
    if (bytes > programBytesMax) throw new MillraceError('MR_PROGRAM_TOO_LARGE', `A program may have ${programBytesMax} bytes.`, { field: 'body', httpStatus: 413 });
    parts.push(part);
  }
  if (bytes === 0) throw new MillraceError('MR_REQUEST_INVALID', 'The body is empty: send the module.', { field: 'body' });
  return Buffer.concat(parts, bytes);
}
