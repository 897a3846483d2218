import type { Readable } from 'node:stream';
import { z } from 'zod';
import { MillraceError } from '../../pushdown/types/error.js';
import { principalOf } from './access/authenticate.js';
import type { Principal } from './access/principal.js';
import { programBytesMax, programLoadedSchema } from './schemas.js';
import type { RestParts, RestServer } from './server.js';

export function programRoutes(server: RestServer, { programs }: RestParts): void {
  const loadedBy = new Set<string>();

  server.post('/v1/programs', { schema: { summary: 'Load a kernel (the body; docs/kernel-abi-v1.md)', response: { 200: programLoadedSchema } } }, async (request) => {
    const wasm = await readBody(request.body);
    const loaded = await programs.load(wasm);
    remember(loadedBy, keyOf(principalOf(request), loaded.program));
    return loaded;
  });

  server.delete('/v1/programs/:program', { schema: { summary: 'Unload a kernel', params: z.object({ program: z.coerce.number().int().min(0) }) } }, async (request, reply) => {
    const who = principalOf(request);
    const { program } = request.params;
    // Equal modules share a number: who did not load it does not know it.
    if (!who.operator && !loadedBy.delete(keyOf(who, program))) throw new MillraceError('MR_PROGRAM_NOT_FOUND', `Program ${program} is not loaded (any more): load it again.`, { field: 'program', httpStatus: 404 });
    await programs.unload(program);
    return reply.code(204).send();
  });
}

/** Who loaded what is known for this many loads back. */
const loadersMax = 10_000;

function remember(loadedBy: Set<string>, key: string): void {
  loadedBy.delete(key);
  loadedBy.add(key);
  const [oldest] = loadedBy;
  if (loadedBy.size > loadersMax && oldest !== undefined) loadedBy.delete(oldest);
}

const keyOf = (who: Principal, program: number): string => `${who.name}\n${program}`;

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
