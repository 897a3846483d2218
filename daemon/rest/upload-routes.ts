import { z } from 'zod';
import { principalOf } from './access/authenticate.js';
import { checkWrite, checkWriter } from './access/principal.js';
import { abortSignalOf } from './abort-signal.js';
import { plainInfo } from './dataset-routes.js';
import { putQuery, sourceOptions } from './put-query.js';
import { datasetInfoSchema, nameParams } from './schemas.js';
import type { RestParts, RestServer } from './server.js';
import { bodyOf } from './upload.js';
import { UploadSessions } from './upload-sessions.js';

const uploadParams = z.object({ upload: z.uuid() });
const partParams = uploadParams.extend({ file: z.coerce.number().int().min(0).max(1_000_000) });
const partQuery = z.object({ offset: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(0) });
const uploadState = z.object({ upload: z.string(), files: z.array(z.number().int()) });

/** Several files into one dataset, each in as many parts as the connection needs: open, send parts, commit. */
export function uploadRoutes(server: RestServer, { config, datasets, jobs }: RestParts): void {
  const uploads = new UploadSessions({ dir: config.dir, bytesMax: config.uploadBytesMax });
  server.addHook('onClose', async () => uploads.close());

  server.post('/v1/multipart', { schema: { summary: 'Begin an upload of one or more files', response: { 201: uploadState } } }, async (request, reply) => {
    const who = principalOf(request);
    checkWriter(who);
    return reply.code(201).send(plainState(uploads.open(who)));
  });

  server.get('/v1/multipart/:upload', { schema: { summary: 'How much of each file is here', params: uploadParams, response: { 200: uploadState } } }, async (request) => plainState(uploads.state(request.params.upload, principalOf(request))));

  server.put(
    '/v1/multipart/:upload/files/:file',
    { schema: { summary: 'The next part of a file (the body), from the offset where the file ends now', params: partParams, querystring: partQuery, response: { 200: uploadState } }, bodyLimit: config.uploadBytesMax },
    async (request, reply) => {
      const { upload, file } = request.params;
      const length = request.headers['content-length'];
      return plainState(await uploads.part(upload, principalOf(request), file, { offset: request.query.offset, bytes: length === undefined ? undefined : Number(length) }, bodyOf(request.body), abortSignalOf(reply.raw)));
    },
  );

  server.post(
    '/v1/multipart/:upload/commit',
    { schema: { summary: 'Load the files as one dataset: all or nothing', params: uploadParams, querystring: putQuery.extend(nameParams.shape), response: { 201: datasetInfoSchema } } },
    async (request, reply) => {
      const { name, ...query } = request.query;
      const who = principalOf(request);
      checkWrite(who, name);
      const job = jobs.begin({ kind: 'upload', id: query.upload, owner: who, text: name });
      try {
        const signal = AbortSignal.any([abortSignalOf(reply.raw), job.signal]);
        const { format, replace, append } = query;
        const info = await uploads.commit(request.params.upload, who, (paths) =>
          datasets.put(name, paths, { format, replace, append, options: sourceOptions(query), signal, onProgress: (rows) => job.news({ rows }) }),
        );
        job.news({ rows: info.rows });
        job.end();
        return reply.code(201).send(plainInfo(info));
      } catch (error) {
        job.end(error);
        throw error;
      }
    },
  );

  server.delete('/v1/multipart/:upload', { schema: { summary: 'Drop an upload', params: uploadParams } }, async (request, reply) => {
    await uploads.remove(request.params.upload, principalOf(request));
    return reply.code(204).send();
  });
}

const plainState = ({ upload, files }: { readonly upload: string; readonly files: readonly number[] }) => ({ upload, files: [...files] });
