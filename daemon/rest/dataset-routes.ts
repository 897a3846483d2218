import { z } from 'zod';
import type { DatasetInfo } from '../../pushdown/types/dataset-info.js';
import { principalOf } from './access/authenticate.js';
import { checkRead, checkWrite, mayRead } from './access/principal.js';
import { abortSignalOf } from './abort-signal.js';
import { putQuery, sourceOptions } from './put-query.js';
import { columnParams, datasetInfoSchema, nameParams, verifyReportSchema } from './schemas.js';
import type { RestParts, RestServer } from './server.js';
import { bodyOf, withUpload } from './upload.js';

export function datasetRoutes(server: RestServer, { config, datasets, jobs }: RestParts): void {
  server.get('/v1/datasets', { schema: { summary: 'All datasets', response: { 200: z.object({ datasets: z.array(datasetInfoSchema) }) } } }, (request) => ({ datasets: datasets.list().filter((info) => mayRead(principalOf(request), info.name)).map(plainInfo) }));

  server.get('/v1/datasets/:name', { schema: { summary: 'One dataset', params: nameParams, response: { 200: datasetInfoSchema } } }, (request) => {
    checkRead(principalOf(request), request.params.name);
    return plainInfo(datasets.get(request.params.name));
  });

  server.get('/v1/datasets/:name/layout', { schema: { summary: 'DatasetHeader and ChunkRecords', params: nameParams } }, async (request, reply) => {
    checkRead(principalOf(request), request.params.name);
    const layout = datasets.layout(request.params.name);
    return reply.type('application/octet-stream').send(Buffer.from(layout.buffer, layout.byteOffset, layout.byteLength));
  });

  server.get(
    '/v1/datasets/:name/dictionaries/:column',
    { schema: { summary: 'Values of a dictionary column, sorted by UTF-8 bytes', params: columnParams, response: { 200: z.object({ values: z.array(z.string()) }) } } },
    async (request) => {
      checkRead(principalOf(request), request.params.name);
      return { values: [...(await datasets.dictionary(request.params.name, request.params.column))] };
    },
  );

  server.put(
    '/v1/datasets/:name',
    { schema: { summary: 'Load a file (the body)', params: nameParams, querystring: putQuery, response: { 201: datasetInfoSchema } }, bodyLimit: config.uploadBytesMax },
    async (request, reply) => {
      const who = principalOf(request);
      checkWrite(who, request.params.name);
      const body = bodyOf(request.body);
      const job = jobs.begin({ kind: 'upload', id: request.query.upload, owner: who, text: request.params.name });
      try {
        const bytesTotal = Number(request.headers['content-length']);
        if (bytesTotal > 0) job.news({ bytesTotal });
        const signal = AbortSignal.any([abortSignalOf(reply.raw), job.signal]);
        const { format, replace, append } = request.query;
        const info = await withUpload(body, { dir: config.dir, bytesMax: config.uploadBytesMax, signal, onBytes: (bytes) => job.news({ bytes }) }, (path) =>
          datasets.put(request.params.name, path, { format, replace, append, options: sourceOptions(request.query), signal, onProgress: (rows) => job.news({ rows }) }),
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

  server.delete('/v1/datasets/:name', { schema: { summary: 'Remove a dataset', params: nameParams } }, async (request, reply) => {
    checkWrite(principalOf(request), request.params.name);
    await datasets.remove(request.params.name);
    return reply.code(204).send();
  });

  server.post('/v1/datasets/:name/verify', { schema: { summary: 'Read every chunk and compare checksums', params: nameParams, response: { 200: verifyReportSchema } } }, async (request) => {
    checkRead(principalOf(request), request.params.name);
    const { name, version } = datasets.get(request.params.name);
    const { chunks, bytes, damaged } = await datasets.verify(name);
    return { name, version, chunks, bytes, damaged: [...damaged] };
  });

  server.get('/v1/datasets/:name/export', { schema: { summary: 'The dataset as an Arrow IPC stream', params: nameParams } }, (request, reply) => {
    checkRead(principalOf(request), request.params.name);
    return reply.type('application/vnd.apache.arrow.stream').send(datasets.export(request.params.name));
  });
}

/** zod's output type is mutable and without extra fields; the contract's is readonly. */
export function plainInfo(info: DatasetInfo): z.output<typeof datasetInfoSchema> {
  return { ...info, columns: info.columns.map((column) => ({ ...column })) };
}
