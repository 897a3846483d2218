import { MillraceError } from '../../pushdown/types/error.js';
import type { DatasetSource } from '../node/scan/dataset-view.js';
import type { ByteStream, HttpWire } from '../node/transport/http-transport.js';

export interface ApiRequest {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly json?: unknown;
  readonly body?: Uint8Array<ArrayBuffer>;
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
}

const tokenKey = 'millrace-token';

/** The daemon this page came from. Refusals come out as its MillraceError, a dead daemon as MR_CONNECT. */
export class Api implements DatasetSource, HttpWire {
  /** Kept for this tab only. */
  set token(token: string) {
    sessionStorage.setItem(tokenKey, token);
  }

  async response(path: string, { method = 'GET', json, body, contentType, signal }: ApiRequest = {}): Promise<Response> {
    const token = sessionStorage.getItem(tokenKey);
    const payload = json === undefined ? body : JSON.stringify(json);
    let response: Response;
    try {
      response = await fetch(path, {
        method, credentials: 'omit', cache: 'no-store',
        headers: { ...(token ? { authorization: `Bearer ${token}` } : {}), ...(payload === undefined ? {} : { 'content-type': contentType ?? 'application/json' }) },
        ...(payload === undefined ? {} : { body: payload }),
        ...(signal ? { signal } : {}),
      });
    } catch (cause) {
      if (signal?.aborted) throw new MillraceError('MR_CANCELLED', 'The query was cancelled.', { cause });
      throw new MillraceError('MR_CONNECT', 'The daemon does not answer: is it still running?', { cause });
    }
    if (response.ok) return response;
    throw problem(response.status, await response.text());
  }

  async json<T>(path: string, options?: ApiRequest): Promise<T> {
    return (await (await this.response(path, options)).json()) as T;
  }

  async stream(path: string, options?: ApiRequest): Promise<ByteStream> {
    const reader = (await this.response(path, options)).body?.getReader();
    return {
      async *[Symbol.asyncIterator]() {
        for (;;) {
          const part = await reader?.read();
          if (!part || part.done) return;
          yield part.value;
        }
      },
      destroy: () => reader?.cancel().catch(() => undefined),
    };
  }

  async bytes(path: string, options?: ApiRequest): Promise<Uint8Array> {
    return new Uint8Array(await (await this.response(path, options)).arrayBuffer());
  }
}

function problem(status: number, text: string): MillraceError {
  let said: { code?: unknown; detail?: unknown; position?: unknown } = {};
  try {
    said = JSON.parse(text) as typeof said;
  } catch {
    // Not the daemon's words: the status has to do.
  }
  return new MillraceError(typeof said.code === 'string' ? said.code : 'MR_HTTP', typeof said.detail === 'string' ? said.detail : `The server answered ${status}.`, {
    httpStatus: status, ...(typeof said.position === 'number' ? { position: said.position } : {}),
  });
}
