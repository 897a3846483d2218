import type { Readable } from 'node:stream';
import { z } from 'zod';
import { kvDelete, kvFlush, kvKey, kvKeyBytesMax, kvList, kvRetrieve, kvStore, kvValue, kvValueBytes, kvValueBytesMax } from '../../native/kv-commands.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { principalOf } from './access/authenticate.js';
import { checkWriter, type Principal } from './access/principal.js';
import { bodyOf } from './upload.js';
import type { RestParts, RestServer } from './server.js';

/** Keys one list answers at most. */
const listKeysMax = 10_000;

const encoding = z.enum(['utf8', 'base64url']).default('utf8').describe('How keys are written: as text, or base64url of their bytes');
const durable = z.stringbool().default(true).describe('false: do not wait until it is on the media; POST /v1/kv/flush does');
const keyParams = z.object({ key: z.string().min(1).max(4 * kvKeyBytesMax) });

/** The device's key/value namespace: one for all hosts. A token held to some datasets has no part in it. */
export function kvRoutes(server: RestServer, { kv }: RestParts): void {
  server.get(
    '/v1/kv',
    {
      schema: {
        summary: 'Keys in order of their bytes',
        querystring: z.object({ from: z.string().max(4 * kvKeyBytesMax).optional(), limit: z.coerce.number().int().min(1).max(listKeysMax).default(1000), encoding }),
        response: { 200: z.object({ keys: z.array(z.string()), more: z.boolean() }) },
      },
    },
    async (request) => {
      checkAll(principalOf(request));
      const { from, limit, encoding: how } = request.query;
      const keys = await kvList(kv, from ? keyOf(from, how) : new Uint8Array(0), 4 + 20 * (limit + 1));
      return { keys: keys.slice(0, limit).map((key) => Buffer.from(key).toString(how)), more: keys.length > limit };
    },
  );

  server.get('/v1/kv/:key', { exposeHeadRoute: false, schema: { summary: 'The value of a key', params: keyParams, querystring: z.object({ encoding }) } }, async (request, reply) => {
    checkAll(principalOf(request));
    const value = await kvRetrieve(kv, keyOf(request.params.key, request.query.encoding));
    if (!value) throw notFound();
    return reply.type('application/octet-stream').send(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
  });

  server.head('/v1/kv/:key', { schema: { summary: 'Whether a key exists, and the length of its value', params: keyParams, querystring: z.object({ encoding }) } }, async (request, reply) => {
    checkAll(principalOf(request));
    const bytes = await kvValueBytes(kv, keyOf(request.params.key, request.query.encoding));
    return bytes === undefined ? reply.code(404).send() : reply.type('application/octet-stream').header('content-length', bytes).send();
  });

  server.put(
    '/v1/kv/:key',
    { schema: { summary: 'Store a value (the body)', params: keyParams, querystring: z.object({ encoding, durable, when: z.enum(['exists', 'absent']).optional() }) } },
    async (request, reply) => {
      checkChange(principalOf(request));
      const { encoding: how, durable: wait, when } = request.query;
      const key = keyOf(request.params.key, how);
      const value = request.body === undefined || request.body === null ? new Uint8Array(0) : await readValue(bodyOf(request.body));
      const stored = await kvStore(kv, key, value, when && (when === 'exists' ? 'ifExists' : 'ifAbsent'));
      if (!stored) throw new MillraceError('MR_KV_CONDITION', when === 'exists' ? 'There is no such key to replace.' : 'The key exists already.', { field: 'when', httpStatus: 412 });
      if (wait) await kvFlush(kv);
      return reply.code(204).send();
    },
  );

  server.delete('/v1/kv/:key', { schema: { summary: 'Delete a key', params: keyParams, querystring: z.object({ encoding, durable }) } }, async (request, reply) => {
    checkChange(principalOf(request));
    if (!(await kvDelete(kv, keyOf(request.params.key, request.query.encoding)))) throw notFound();
    if (request.query.durable) await kvFlush(kv);
    return reply.code(204).send();
  });

  server.post('/v1/kv/flush', { schema: { summary: 'Make everything stored or deleted before durable' } }, async (request, reply) => {
    checkChange(principalOf(request));
    await kvFlush(kv);
    return reply.code(204).send();
  });
}

const notFound = () => new MillraceError('MR_KV_KEY_NOT_FOUND', 'There is no such key.', { field: 'key', httpStatus: 404 });

function checkAll(who: Principal): void {
  if (who.datasets) throw new MillraceError('MR_FORBIDDEN', `Token '${who.name}' is held to some datasets: keys and values need one without --datasets.`, { httpStatus: 403 });
}
function checkChange(who: Principal): void {
  checkWriter(who);
  checkAll(who);
}

function keyOf(text: string, how: 'utf8' | 'base64url'): Uint8Array {
  if (how === 'base64url' && !/^[\w-]*$/.test(text)) throw new MillraceError('MR_REQUEST_INVALID', 'The key is not base64url.', { field: 'key', httpStatus: 400 });
  return kvKey(new Uint8Array(Buffer.from(text, how)));
}

async function readValue(body: Readable): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of body) {
    bytes += (part as Buffer).byteLength;
    if (bytes > kvValueBytesMax) throw new MillraceError('MR_KV_VALUE_SIZE', `A value has at most ${kvValueBytesMax} bytes: store it in parts.`, { field: 'value', httpStatus: 413 });
    parts.push(part as Buffer);
  }
  return kvValue(Buffer.concat(parts));
}
