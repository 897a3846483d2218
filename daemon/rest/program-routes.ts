import { createHash } from 'node:crypto';
import { z } from 'zod';
import { MillraceError } from '../../pushdown/types/error.js';
import { principalOf } from './access/authenticate.js';
import type { Principal } from './access/principal.js';
import { moduleBody } from './module-body.js';
import { programLoadedSchema } from './schemas.js';
import type { RestParts, RestServer } from './server.js';

export function programRoutes(server: RestServer, { programs, tenants }: RestParts): void {
  const loadedBy = new Set<string>();

  server.post('/v1/programs', { schema: { summary: 'Load a kernel (the body; docs/kernel-abi-v1.md)', response: { 200: programLoadedSchema } } }, async (request) => {
    const { caps, kernels } = tenants.identify(principalOf(request));
    const wasm = await moduleBody(request.body, caps.moduleBytes);
    if (kernels && !kernels.has(createHash('sha256').update(wasm).digest('hex')))
      throw new MillraceError('MR_KERNEL_NOT_ALLOWED', "The tenant may not run this kernel: have its digest added to its list, or run it in a client of your own with pushdown 'never'.", { field: 'body', httpStatus: 403 });
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
