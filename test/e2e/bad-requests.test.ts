// What every field of every route answers when it is malformed, and every class of SQL error: a stable code, the field or the
// position, and a daemon that goes on. The routes and fields are those of /openapi.json: a new one is tested by being there.
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../clients/node/index.js';
import { packageRoot } from '../../native/index.js';
import { catalogued } from '../../pushdown/types/error-catalogue.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';
import { malformed, type Schema, valid } from './malformed.js';
import { pssBytes, pssGrowthBytesMax } from './process-memory.js';

interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: 'path' | 'query' | 'header'; readonly required?: boolean; readonly schema: Schema }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
}
interface Problem { readonly type: string; readonly title: string; readonly status: number; readonly code: string; readonly detail: string; readonly field?: string; readonly position?: number }

const long = process.env.MILLRACE_TEST === 'long';
let daemon: DaemonProcess;
let operations: { readonly method: string; readonly path: string; readonly operation: Operation }[];
beforeAll(async () => {
  daemon = await startDaemonProcess({ args: ['--query-memory-bytes', String(96 << 20), '--log-level', 'error'] });
  const client = await connect({ url: daemon.url, transport: 'http' });
  await client.put('flights', join(packageRoot, 'node_modules/vega-datasets/data/flights-200k.arrow'));
  await client.close();
  const { paths } = (await (await fetch(new URL('/openapi.json', daemon.url))).json()) as { paths: Record<string, Record<string, Operation>> };
  operations = Object.entries(paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })));
});
afterAll(() => daemon?.dispose());
afterEach(async () => {
  expect((await fetch(new URL('/healthz', daemon.url))).status).toBe(200);
  expect(daemon.log()).not.toMatch(/request failed|invariant|unhandled/i);
});

async function send(method: string, path: string, body?: string | Uint8Array<ArrayBuffer>, type = 'application/json'): Promise<Problem> {
  const response = await fetch(new URL(path, daemon.url), { method, ...(body === undefined ? {} : { body, headers: { 'content-type': type } }) });
  const text = await response.text();
  const what = `${method} ${path} ${String(body).slice(0, 200)} -> ${response.status} ${text.slice(0, 300)}`;
  expect(response.headers.get('content-type'), what).toMatch(/^application\/problem\+json/);
  const problem = JSON.parse(text) as Problem;
  expect(problem, what).toMatchObject({ status: response.status, type: `urn:millrace:error:${problem.code}`, title: expect.stringMatching(/\S/), detail: expect.stringMatching(/\S/) });
  expect(catalogued(problem.code), what).toBeDefined();
  return problem;
}

const address = (path: string, operation: Operation, replaced: Readonly<Record<string, unknown>>): string => {
  const text = (value: unknown) => encodeURIComponent(String(value));
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => text(replaced[name] ?? valid(operation.parameters?.find((p) => p.in === 'path' && p.name === name)?.schema ?? {})));
  const query = (operation.parameters ?? []).filter((p) => p.in === 'query' && (p.required || p.name in replaced)).map((p) => `${p.name}=${text(replaced[p.name] ?? valid(p.schema))}`);
  return query.length > 0 ? `${filled}?${query.join('&')}` : filled;
};

/** What a body of so many bytes is answered before any of it is sent. */
function announce(bytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connectSocket(Number(new URL(daemon.url).port), '127.0.0.1', () => socket.write(`POST /v1/sql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${bytes}\r\n\r\n`));
    socket.setEncoding('utf8').on('data', (part: string) => {
      answer += part;
      if (answer.includes('MR_')) socket.destroy();
    }).once('close', () => resolve(answer)).once('error', reject);
  });
}

describe('every field of every route', () => {
  it('in paths and queries', async () => {
    let tried = 0;
    for (const { method, path, operation } of operations)
      for (const { name, schema } of operation.parameters ?? [])
        for (const value of malformed(schema, true)) {
          const body = operation.requestBody?.content['application/json'];
          const problem = await send(method, address(path, operation, { [name]: value }), body ? JSON.stringify(valid(body.schema)) : operation.requestBody ? 'bytes' : undefined, body ? undefined : 'application/octet-stream');
          expect([method, path, name, value, problem.code, problem.field]).toEqual([method, path, name, value, 'MR_REQUEST_INVALID', name]);
          tried++;
        }
    expect(tried).toBeGreaterThan(20);
  });

  it('in bodies: wrong, missing, unknown', async () => {
    let tried = 0;
    for (const { method, path, operation } of operations) {
      const schema = operation.requestBody?.content['application/json']?.schema;
      if (!schema) continue;
      const whole = valid(schema) as Record<string, unknown>;
      const attempt = async (body: unknown, field: string | undefined) => {
        const text = JSON.stringify(body);
        const problem = await send(method, address(path, operation, {}), text);
        expect([method, path, text.slice(0, 100), problem.code]).toEqual([method, path, text.slice(0, 100), 'MR_REQUEST_INVALID']);
        if (field !== undefined && !schema.anyOf) expect([path, text.slice(0, 100), problem.field?.split('.')[0]]).toEqual([path, text.slice(0, 100), field]);
        tried++;
      };
      for (const [name, field] of Object.entries(schema.properties ?? {})) for (const value of malformed(field)) await attempt({ ...whole, [name]: value }, name);
      for (const name of schema.required ?? []) await attempt(Object.fromEntries(Object.entries(whole).filter(([key]) => key !== name)), name);
      for (const body of [...malformed({ type: 'object' }), { ...whole, surprise: 1 }]) await attempt(body, undefined);
    }
    expect(tried).toBeGreaterThan(100);
  });

  it('in bodies that are no JSON, or of another type', async () => {
    for (const { method, path, operation } of operations) {
      if (!operation.requestBody?.content['application/json']) continue;
      const at = address(path, operation, {});
      const long = `{"sql":"${'x'.repeat(3_000_000)}"`;
      for (const [text, position] of [['', undefined], ['{', 1], ['{"a":1,}', 7], ['\u0000', 0], ['{"__proto__":{"x":1}}', undefined], ['['.repeat(20_000), 20_000], ['{"sql":"\ud800', 9], [`${long},}`, long.length + 1], [`${long}`, long.length]] as const) {
        const problem = await send(method, at, text);
        expect([path, text.slice(0, 20), problem.code, problem.field, problem.position]).toEqual([path, text.slice(0, 20), 'MR_REQUEST_INVALID', 'body', position]);
        expect(problem.detail.length).toBeLessThan(200);
      }
      expect((await send(method, at, new Uint8Array([0xff, 0xfe, 0x7b]))).code).toBe('MR_REQUEST_INVALID');
      for (const type of ['text/plain', 'application/xml', 'multipart/form-data; boundary=x', 'application/x-www-form-urlencoded']) expect((await send(method, at, 'a=b', type)).code).toBe('MR_REQUEST_INVALID');
    }
    expect(await announce(40 << 20)).toMatch(/^HTTP\/1\.1 413 [\s\S]*MR_REQUEST_INVALID/);
    for (const [method, path] of [['PATCH', '/v1/datasets'], ['POST', '/v1/datasets/x'], ['GET', '/v1'], ['GET', '/v1/datasets/x/y/z'], ['GET', '/%2e%2e/%2e%2e/etc/passwd']] as const)
      expect(await send(method, path)).toMatchObject({ status: 404, code: 'MR_ROUTE_NOT_FOUND' });
    for (const name of ['a b', '../x', '.hidden', 'x'.repeat(200), 'ü', '%00'])
      expect((await send('PUT', `/v1/datasets/${encodeURIComponent(name)}?format=parquet`, new Uint8Array(4), 'application/octet-stream')).code).toBe('MR_NAME_INVALID');
    expect((await send('GET', '/v1/datasets/%zz')).code).toMatch(/^MR_/);
  });
});

describe('every class of SQL error', () => {
  it.each([
    ['MR_SQL_SYNTAX', 0, 'SELEC 1'],
    ['MR_SQL_SYNTAX', 20, 'SELECT * FROM flights WHERE'.slice(0, 20) + ')'],
    ['MR_SQL_BIND', 14, 'SELECT * FROM nowhere'],
    ['MR_SQL_BIND', 7, 'SELECT nothing FROM flights'],
    ['MR_SQL_BIND', 7, 'SELECT no_such_function(delay) FROM flights'],
    ['MR_SQL_UNSUPPORTED', undefined, 'DELETE FROM flights'],
    ['MR_SQL_UNSUPPORTED', undefined, 'SELECT 1; SELECT 2'],
    ['MR_SQL_UNSUPPORTED', undefined, ' '],
    ['MR_SQL_EXECUTION', 7, "SELECT CAST('x' || delay AS INTEGER) AS v FROM flights"],
    ['MR_SQL_MEMORY', undefined, 'SELECT list(range) AS v FROM range(60000000)'],
  ])('%s at %s: %s', async (code, position, sql) => {
    const problem = await send('POST', '/v1/sql', JSON.stringify({ sql }));
    expect([problem.code, problem.position]).toEqual([code, position]);
    if (code === 'MR_SQL_SYNTAX' || code === 'MR_SQL_BIND') expect((await send('POST', '/v1/explain', JSON.stringify({ sql }))).code).toBe(code);
    const good = await fetch(new URL('/v1/sql', daemon.url), { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"sql":"SELECT count(*) AS n FROM flights"}' });
    expect((await good.text()).split('\n')[0]).toMatch(/200000|231083/);
  });

  it('MR_QUERY_DEADLINE, by a daemon that is so strict that nothing else need be quick', async () => {
    const strict = await startDaemonProcess({ args: ['--query-deadline-ms', '200'] });
    try {
      const answer = await fetch(new URL('/v1/sql', strict.url), { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ sql: 'SELECT count(*) AS n FROM range(10000000) a(i), range(10000000) b(i) WHERE (a.i * b.i) % 1000003 = 7' }) });
      expect([answer.status, ((await answer.json()) as Problem).code]).toEqual([504, 'MR_QUERY_DEADLINE']);
    } finally {
      await strict.dispose();
    }
  });

  it.runIf(long)('1,000 of them, and as many malformed bodies, leave the daemon as large as the first 100 did', async () => {
    const statements = ['SELEC 1', 'SELECT * FROM nowhere', 'SELECT nothing FROM flights', 'DELETE FROM flights', "SELECT CAST('x' || delay AS INTEGER) AS v FROM flights", "SELECT * FROM read_text('/etc/hostname')", `SELECT ${'('.repeat(5_000)}1`];
    const bodies = operations.flatMap(({ method, path, operation }) => {
      const schema = operation.requestBody?.content['application/json']?.schema;
      const whole = schema ? (valid(schema) as Record<string, unknown>) : {};
      return Object.entries(schema?.properties ?? {}).flatMap(([name, field]) => malformed(field).map((value) => ({ method, at: address(path, operation, {}), body: JSON.stringify({ ...whole, [name]: value }) })));
    });
    let atHundred = 0;
    for (let i = 0; i < 1000; i++) {
      if (i === 100) atHundred = pssBytes(daemon.pid);
      await send('POST', '/v1/sql', JSON.stringify({ sql: statements[i % statements.length] }));
      const { method, at, body } = bodies[i % bodies.length] as (typeof bodies)[number];
      await send(method, at, body);
    }
    const grown = pssBytes(daemon.pid) - atHundred;
    console.log(`bad requests: PSS of the daemon after the 100th ${(atHundred / 1e6).toFixed(1)} MB, after the 1,000th ${grown < 0 ? '-' : '+'}${Math.abs(grown / 1e6).toFixed(1)} MB`);
    expect(grown).toBeLessThan(pssGrowthBytesMax);
  });

  it('files stay out of reach', async () => {
    for (const sql of ["SELECT * FROM read_text('/etc/hostname')", "COPY (SELECT 1) TO '/tmp/x.csv'", "ATTACH '/tmp/x.db'", 'INSTALL httpfs', "SET memory_limit = '1TB'", "SELECT getenv('HOME')", 'PRAGMA database_list'])
      expect([sql, (await send('POST', '/v1/sql', JSON.stringify({ sql }))).code]).toEqual([sql, expect.stringMatching(/^MR_SQL_/)]);
  });
});
