import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../clients/node/index.js';
import { packageRoot } from '../../native/index.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';

interface Problem { readonly code: string; readonly status: number; readonly detail: string; readonly field?: string }

let daemon: DaemonProcess;
beforeAll(async () => { daemon = await startDaemonProcess(); });
afterAll(() => daemon.dispose());

async function call(method: string, path: string, body?: string | Uint8Array<ArrayBuffer>, type = 'application/json'): Promise<{ status: number; type: string; json: Problem }> {
  const response = await fetch(new URL(path, daemon.url), { method, ...(body === undefined ? {} : { body, headers: { 'content-type': type } }) });
  const text = await response.text();
  return { status: response.status, type: response.headers.get('content-type') ?? '', json: (text === '' ? {} : JSON.parse(text)) as Problem };
}

describe('bad requests', () => {
  const scan = (fields: object) => JSON.stringify({ dataset: 'd', columns: [], rowGroups: [], deviceRuns: false, ...fields });
  it.each([
    ['GET', '/nowhere', undefined, 404, 'MR_ROUTE_NOT_FOUND'],
    ['GET', '/v1/datasets/none', undefined, 404, 'MR_DATASET_NOT_FOUND'],
    ['GET', '/v1/datasets/none/layout', undefined, 404, 'MR_DATASET_NOT_FOUND'],
    ['GET', '/v1/datasets/none/export', undefined, 404, 'MR_DATASET_NOT_FOUND'],
    ['GET', '/v1/datasets/none/dictionaries/x', undefined, 404, 'MR_DATASET_NOT_FOUND'],
    ['DELETE', '/v1/datasets/none', undefined, 404, 'MR_DATASET_NOT_FOUND'],
    ['PUT', '/v1/datasets/x?format=csv', 'data', 400, 'MR_REQUEST_INVALID'],
    ['POST', '/v1/scans', '{', 400, 'MR_REQUEST_INVALID'],
    ['POST', '/v1/scans', '{}', 400, 'MR_REQUEST_INVALID'],
    ['POST', '/v1/scans', scan({ surprise: 1 }), 400, 'MR_REQUEST_INVALID'],
    ['POST', '/v1/scans', scan({ columns: [-1] }), 400, 'MR_REQUEST_INVALID'],
    ['POST', '/v1/scans', scan({}), 404, 'MR_DATASET_NOT_FOUND'],
    ['GET', '/v1/scans/4000000000/results', undefined, 404, 'MR_SCAN_NOT_FOUND'],
    ['GET', '/v1/scans/x/results', undefined, 400, 'MR_REQUEST_INVALID'],
    ['POST', '/v1/scans/1/claims', '{"morsels":0}', 400, 'MR_REQUEST_INVALID'],
    ['POST', '/v1/scans/1/claims', '{"morsels":1}', 404, 'MR_SCAN_NOT_FOUND'],
    ['DELETE', '/v1/scans/77', undefined, 404, 'MR_SCAN_NOT_FOUND'],
    ['DELETE', '/v1/programs/99', undefined, 404, 'MR_PROGRAM_NOT_FOUND'],
    ['POST', '/v1/sql', '{"sql":""}', 400, 'MR_REQUEST_INVALID'],
    ['POST', '/v1/explain', '{}', 400, 'MR_REQUEST_INVALID'],
  ])('%s %s with %s is %i %s', async (method, path, body, status, code) => {
    const answer = await call(method, path, body);
    expect(answer).toMatchObject({ status, json: { code, status, detail: expect.stringMatching(/\S/) } });
    expect(answer.type).toMatch(/^application\/problem\+json/);
  });

  it('a file that is no Parquet is refused and leaves nothing behind', async () => {
    const answer = await call('PUT', '/v1/datasets/broken', 'this is not parquet', 'application/octet-stream');
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
    expect(answer.json.code).toMatch(/^MR_/);
    expect((await call('GET', '/v1/datasets/broken')).status).toBe(404);
  });

  it('an empty program and a JSON program are refused', async () => {
    expect(await call('POST', '/v1/programs', '', 'application/wasm')).toMatchObject({ status: 400, json: { code: 'MR_REQUEST_INVALID' } });
    expect(await call('POST', '/v1/programs', '{}')).toMatchObject({ status: 415, json: { code: 'MR_REQUEST_INVALID' } });
  });
});

describe('the REST face', () => {
  it('describes itself: every route of docs/rest.md, with its answers and the problem schema', async () => {
    const response = await fetch(new URL('/openapi.json', daemon.url));
    type Operation = { operationId: string; responses: Record<string, { content?: Record<string, unknown> }>; requestBody?: unknown };
    const api = (await response.json()) as { openapi: string; paths: Record<string, Record<string, Operation>>; components: { schemas: Record<string, unknown> } };
    expect(api.openapi).toBe('3.1.0');
    expect(api.components.schemas.Problem).toMatchObject({ type: 'object' });
    const prose = readFileSync(join(packageRoot, 'docs/rest.md'), 'utf8');
    const documented = [...prose.matchAll(/^\| (GET|PUT|POST|DELETE) (\/[^ ?|]*)/gm)].map(([, method = '', path = '']) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`).filter((route) => !/ \/(openapi\.json|docs|play)/.test(route));
    const described = Object.entries(api.paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`));
    expect(documented.length).toBeGreaterThan(20);
    expect(described).toEqual(expect.arrayContaining(documented));
    const ids = new Set<string>();
    for (const methods of Object.values(api.paths))
      for (const [method, operation] of Object.entries(methods)) {
        expect(Object.keys(operation.responses)).toEqual(expect.arrayContaining(['4XX', '5XX', expect.stringMatching(/^20/)]));
        if (method === 'put') expect(operation.requestBody).toBeDefined();
        expect(ids.has(operation.operationId)).toBe(false);
        ids.add(operation.operationId);
      }
  });

  it('shows its documentation to read', async () => {
    const page = await fetch(new URL('/docs/', daemon.url));
    expect([page.status, page.headers.get('content-type')]).toEqual([200, expect.stringMatching(/^text\/html/)]);
    expect(page.headers.get('content-security-policy')).toMatch(/default-src 'self'/);
  });

  it('gives clients stable errors too', async () => {
    const client = await connect({ url: daemon.url, transport: 'http' });
    await expect(client.dataset('none').collect()).rejects.toMatchObject({ code: 'MR_DATASET_NOT_FOUND' });
    await expect(client.remove('none')).rejects.toMatchObject({ code: 'MR_DATASET_NOT_FOUND', at: { httpStatus: 404 } });
    expect(await client.datasets()).toEqual([]);
    await client.close();
    await expect(connect('http://127.0.0.1:1')).rejects.toMatchObject({ code: 'MR_CONNECT' });
    await expect(connect('ftp://x')).rejects.toMatchObject({ code: 'MR_URL' });
  });

  it('asks for the token where one is set', async () => {
    const locked = await startDaemonProcess({ args: ['--token', 'a-token-of-some-length'] });
    try {
      const refused = await fetch(new URL('/v1/datasets', locked.url));
      expect(refused.status).toBe(401);
      expect(await refused.json()).toMatchObject({ code: 'MR_UNAUTHORIZED' });
      await expect(connect(locked.url)).rejects.toMatchObject({ code: 'MR_UNAUTHORIZED' });
      const client = await connect({ url: locked.url, token: 'a-token-of-some-length', transport: 'http' });
      expect(await client.datasets()).toEqual([]);
      await client.close();
    } finally {
      await locked.dispose();
    }
  });

  it('ends in order on SIGTERM', async () => {
    const short = await startDaemonProcess();
    expect(await short.stop()).toBe(0);
    await short.dispose();
  });
});
