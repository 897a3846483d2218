import { Agent, type IncomingMessage, request } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { MillraceError } from '../../../pushdown/types/error.js';
import { cancelled } from '../cancelled.js';

export interface RestRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly json?: unknown;
  readonly body?: Uint8Array | Readable;
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
}

/** HTTP to one daemon over kept connections. Refusals come out as the daemon's MillraceError, a dead daemon as MR_CONNECT. */
export class RestClient {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });

  constructor(
    readonly url: URL,
    readonly token: string | undefined,
  ) {}

  /** The answer's stream, status 2xx. Whoever gets it reads it to its end or destroys it. */
  async stream(path: string, options: RestRequest = {}): Promise<IncomingMessage> {
    const response = await this.#send(path, options);
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return response;
    throw problemError(status, response.headers['content-type'] ?? '', (await bytesOf(response)).toString('utf8'));
  }

  async bytes(path: string, options?: RestRequest): Promise<Buffer> {
    return bytesOf(await this.stream(path, options));
  }

  async json<T>(path: string, options?: RestRequest): Promise<T> {
    const text = (await this.bytes(path, options)).toString('utf8');
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  close(): void {
    this.#agent.destroy();
  }

  #send(path: string, options: RestRequest, again = true): Promise<IncomingMessage> {
    const { method = 'GET', json, body, contentType, signal } = options;
    const payload = json === undefined ? body : Buffer.from(JSON.stringify(json));
    const headers: Record<string, string | number> = {
      ...(this.token ? { authorization: `Bearer ${this.token}` } : {}),
      ...(payload === undefined ? {} : { 'content-type': contentType ?? (json === undefined ? 'application/octet-stream' : 'application/json') }),
      ...(payload instanceof Uint8Array ? { 'content-length': payload.byteLength } : {}),
    };
    return new Promise<IncomingMessage>((resolve, reject) => {
      let answered = false;
      const outgoing = request(new URL(path, this.url), { agent: this.#agent, method, headers, ...(signal ? { signal } : {}) }, (response) => {
        answered = true;
        resolve(response);
      });
      const fail = (error: unknown): void => {
        if (answered) return;
        // A kept connection the daemon closed meanwhile says nothing about the daemon: once more, on a new one.
        if (again && outgoing.reusedSocket && !signal?.aborted && (payload === undefined || payload instanceof Uint8Array)) resolve(this.#send(path, options, false));
        else reject(signal?.aborted ? cancelled(signal) : connectError(this.url, error));
      };
      outgoing.on('error', fail);
      if (payload === undefined || payload instanceof Uint8Array) outgoing.end(payload);
      // The daemon may refuse before it read everything: its answer counts, not the broken pipe.
      else pipeline(payload, outgoing).catch((error: unknown) => setImmediate(fail, error));
    });
  }
}

async function bytesOf(response: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  try {
    for await (const part of response) parts.push(part as Buffer);
  } catch (cause) {
    throw new MillraceError('MR_LINK_BROKEN', 'The connection to the daemon ended in the middle of an answer.', { cause });
  }
  return Buffer.concat(parts);
}

function problemError(status: number, contentType: string, text: string): MillraceError {
  if (/^application\/problem\+json/.test(contentType)) {
    const problem = JSON.parse(text) as { code?: string; detail?: string; field?: string; position?: number };
    const at = { httpStatus: status, ...(problem.field === undefined ? {} : { field: problem.field }), ...(problem.position === undefined ? {} : { position: problem.position }) };
    return new MillraceError(problem.code ?? 'MR_HTTP', problem.detail ?? `The daemon answered ${status}.`, at);
  }
  return new MillraceError('MR_HTTP', `The server answered ${status} and is no Millrace daemon.`, { httpStatus: status });
}

function connectError(url: URL, error: unknown): MillraceError {
  const { code } = error as NodeJS.ErrnoException;
  return new MillraceError('MR_CONNECT', `The daemon at ${url.origin} cannot be reached (${code ?? String(error)}): is it running? (millrace serve)`, { cause: error });
}
