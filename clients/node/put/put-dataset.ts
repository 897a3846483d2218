import { createReadStream } from 'node:fs';
import { Readable, Transform } from 'node:stream';
import type { DatasetInfo } from '../../../pushdown/types/dataset-info.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import type { SourceFormat, SourceOptions } from '../../../pushdown/types/source-options.js';
import type { RestClient } from '../transport/rest-client.js';
import { allFiles, formatOfFiles, type LocalFile } from './local-files.js';

/** A local path (file, folder, glob), several, or the bytes themselves. */
export type PutSource = string | readonly string[] | Uint8Array | Readable;

export interface PutOptions extends SourceOptions {
  /** By default by the files' names (formatOfName); of bytes and streams parquet. */
  readonly format?: SourceFormat;
  /** Puts the rows in the place of the dataset that has the name. */
  readonly replace?: boolean;
  /** Adds the rows behind those of the dataset that has the name, as its next version. */
  readonly append?: boolean;
  readonly signal?: AbortSignal;
  /** Bytes sent so far, of how many (undefined: a stream), and what is being done. */
  readonly onProgress?: (progress: PutProgress) => void;
}

export interface PutProgress {
  readonly phase: 'send' | 'load';
  readonly bytes: number;
  readonly bytesTotal: number | undefined;
  readonly file: number;
  readonly files: number;
}

/** How often a part that broke off is taken up again where it ended. */
const retriesMax = 5;

/** @throws MillraceError MR_FILE, MR_CONNECT, MR_CANCELLED and what the daemon says: MR_FILE_INVALID, MR_TYPE_UNSUPPORTED, MR_DATASET_EXISTS, ... */
export async function putDataset(rest: RestClient, name: string, source: PutSource, options: PutOptions): Promise<DatasetInfo> {
  if (source instanceof Uint8Array || source instanceof Readable) return putBytes(rest, name, source, options);
  const files = await allFiles(typeof source === 'string' ? [source] : source);
  const format = options.format ?? formatOfFiles(files);
  const [only] = files;
  if (files.length === 1 && only) return putBytes(rest, name, createReadStream(only.path, { highWaterMark: 1 << 20 }), { ...options, format }, only.bytes);
  return putFiles(rest, name, files, { ...options, format });
}

async function putBytes(rest: RestClient, name: string, source: Uint8Array | Readable, options: PutOptions, bytesTotal = source instanceof Uint8Array ? source.byteLength : undefined): Promise<DatasetInfo> {
  const { onProgress, signal } = options;
  const report = (phase: PutProgress['phase'], bytes: number) => onProgress?.({ phase, bytes, bytesTotal, file: 0, files: 1 });
  const body = source instanceof Uint8Array || !onProgress ? source : counted(source, (bytes) => report('send', bytes), (bytes) => report('load', bytes));
  return rest.json<DatasetInfo>(`/v1/datasets/${encodeURIComponent(name)}?${queryOf(options)}`, { method: 'PUT', body, signal });
}

/** One upload: all files, then one commit. Nothing is published when anything fails. */
async function putFiles(rest: RestClient, name: string, files: readonly LocalFile[], options: PutOptions): Promise<DatasetInfo> {
  const { signal, onProgress } = options;
  const bytesTotal = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const { upload } = await rest.json<UploadState>('/v1/multipart', { method: 'POST', signal });
  try {
    let before = 0;
    for (const [i, file] of files.entries()) {
      const at = before;
      await sendFile(rest, upload, i, file, signal, (bytes) => onProgress?.({ phase: 'send', bytes: at + bytes, bytesTotal, file: i, files: files.length }));
      before += file.bytes;
    }
    onProgress?.({ phase: 'load', bytes: bytesTotal, bytesTotal, file: files.length - 1, files: files.length });
    const query = queryOf(options);
    query.set('name', name);
    return await rest.json<DatasetInfo>(`/v1/multipart/${upload}/commit?${query}`, { method: 'POST', signal });
  } catch (error) {
    await rest.bytes(`/v1/multipart/${upload}`, { method: 'DELETE' }).catch(() => undefined);
    throw error;
  }
}

interface UploadState {
  readonly upload: string;
  readonly files: readonly number[];
}

/** Sends one file; when the connection breaks, what the daemon has is asked for and the rest is sent. */
async function sendFile(rest: RestClient, upload: string, file: number, { path, bytes }: LocalFile, signal: AbortSignal | undefined, onSent: (bytes: number) => void): Promise<void> {
  let offset = 0;
  for (let retries = 0; ; retries++) {
    try {
      const from = offset;
      const body = counted(createReadStream(path, { start: from, highWaterMark: 1 << 20 }), (sent) => onSent(from + sent));
      const state = await rest.json<UploadState>(`/v1/multipart/${upload}/files/${file}?offset=${from}`, { method: 'PUT', body, signal });
      if ((state.files[file] ?? 0) < bytes) throw new MillraceError('MR_FILE', `${path} became shorter while it was sent.`, { field: 'path' });
      return;
    } catch (error) {
      const broken = error instanceof MillraceError && (error.code === 'MR_CONNECT' || error.code === 'MR_LINK_BROKEN' || error.code === 'MR_UPLOAD_ABORTED');
      if (!broken || retries >= retriesMax || signal?.aborted) throw error;
      offset = (await rest.json<UploadState>(`/v1/multipart/${upload}`, { signal })).files[file] ?? 0;
    }
  }
}

function queryOf({ format = 'parquet', replace, append, types, delimiter, header, nullText, quote }: PutOptions): URLSearchParams {
  const query = new URLSearchParams({ format });
  if (replace) query.set('replace', '1');
  if (append) query.set('append', '1');
  if (types) query.set('types', JSON.stringify(types));
  if (delimiter !== undefined) query.set('delimiter', delimiter);
  if (header !== undefined) query.set('header', header ? '1' : '0');
  if (nullText !== undefined) query.set('nullText', nullText);
  if (quote !== undefined) query.set('quote', quote);
  return query;
}

function counted(source: Readable, onBytes: (bytes: number) => void, onEnd?: (bytes: number) => void): Readable {
  let bytes = 0;
  const through = new Transform({
    transform(chunk: Uint8Array, _encoding, next) {
      bytes += chunk.byteLength;
      onBytes(bytes);
      next(null, chunk);
    },
    flush(done) {
      onEnd?.(bytes);
      done();
    },
  });
  source.once('error', (error) => through.destroy(error));
  through.once('close', () => source.destroy());
  return source.pipe(through);
}
