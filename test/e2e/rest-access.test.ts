// Who may do what, and how much of it: tokens, tenants, rates, limits of requests, jobs and counters.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../native/index.js';
import { type DaemonProcess, pinnedNode, startDaemonProcess } from './daemon-process.js';
import { flightsPath } from './flights.js';

const operator = 'the-operators-own-token';
const dir = mkdtempSync(join(tmpdir(), 'millrace-access-'));
const patient = { timeout: 30_000, interval: 20 };

function command(...args: string[]): string {
  const { stdout, stderr, status } = spawnSync(pinnedNode, [join(packageRoot, 'dist/clients/cli/main.js'), 'token', ...args, '--dir', dir], { encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
  return stdout.trim();
}

let daemon: DaemonProcess;
const given: Record<string, string> = { operator };
beforeAll(async () => {
  given.reader = command('add', 'reader', '--tenant', 'acme', '--datasets', 'Open');
  given.other = command('add', 'other', '--tenant', 'umbrella', '--datasets', 'open,secret', '--write');
  given.slow = command('add', 'slow', '--tenant', 'acme', '--rate', '3');
  daemon = await startDaemonProcess({ dir, args: ['--token', operator] });
  for (const name of ['open', 'secret']) expect((await call('operator', 'PUT', `/v1/datasets/${name}`, readFileSync(flightsFile))).status).toBe(201);
});
afterAll(() => daemon?.dispose());

const flightsFile = join(packageRoot, 'node_modules/vega-datasets/data/flights-200k.arrow');

interface Answer { readonly status: number; readonly code: string | undefined; readonly json: Record<string, unknown>; readonly text: string; readonly headers: Headers }
async function call(who: string | undefined, method: string, path: string, body?: object | Buffer): Promise<Answer> {
  const raw = Buffer.isBuffer(body);
  const response = await fetch(new URL(raw && !path.includes('?') ? `${path}?format=arrow` : path, daemon.url), {
    method, headers: { ...(who === undefined ? {} : { authorization: `Bearer ${given[who] ?? who}` }), ...(body === undefined ? {} : { 'content-type': raw ? 'application/octet-stream' : 'application/json' }) },
    ...(body === undefined ? {} : { body: raw ? new Uint8Array(body) : JSON.stringify(body) }),
  });
  const text = await response.text();
  let json: Record<string, unknown> = {};
  try { json = JSON.parse(text) as Record<string, unknown>; } catch { /* not JSON */ }
  return { status: response.status, code: json.code as string | undefined, json, text, headers: response.headers };
}

describe('tokens', () => {
  it('lie hashed on disk, for the owner only', () => {
    const text = readFileSync(join(dir, 'tokens.json'), 'utf8');
    for (const token of Object.values(given)) expect(text).not.toContain(token);
    expect(text).toMatch(/"sha256": "[0-9a-f]{64}"/);
    expect(existsSync(join(dir, 'tokens.json.new'))).toBe(false);
  });

  it('are required everywhere but at the open pages', async () => {
    for (const path of ['/v1/datasets', '/v1/status', '/metrics', '/v1/queries', '/nowhere']) expect(await call(undefined, 'GET', path)).toMatchObject({ status: 401, code: 'MR_UNAUTHORIZED' });
    for (const path of ['/healthz', '/openapi.json', '/docs/']) expect((await call(undefined, 'GET', path)).status).toBe(200);
    for (const wrong of ['mr_wrong', 'x'.repeat(4000), `${given.reader}x`, '']) expect(await call(wrong, 'GET', '/v1/datasets')).toMatchObject({ status: 401 });
    expect((await call(undefined, 'GET', '/v1/datasets')).headers.get('www-authenticate')).toMatch(/^Bearer/);
  });

  it('come and go while the daemon runs', async () => {
    given.fresh = command('add', 'fresh', '--tenant', 'acme');
    await expect.poll(async () => (await call('fresh', 'GET', '/v1/datasets')).status, patient).toBe(200);
    command('rm', 'fresh');
    await expect.poll(async () => (await call('fresh', 'GET', '/v1/datasets')).status, patient).toBe(401);
    expect(command('ls').split('\n').map((line) => (JSON.parse(line) as { name: string }).name)).toEqual(['reader', 'other', 'slow']);
  });

  it('read only their datasets, whatever names them', async () => {
    const names = async (who: string) => ((await call(who, 'GET', '/v1/datasets')).json.datasets as { name: string }[]).map(({ name }) => name);
    expect([await names('operator'), await names('reader'), await names('other')]).toEqual([['open', 'secret'], ['open'], ['open', 'secret']]);
    for (const path of ['', '/layout', '/export', '/dictionaries/origin']) {
      expect(await call('reader', 'GET', `/v1/datasets/SECRET${path}`)).toMatchObject({ status: 404, code: 'MR_DATASET_NOT_FOUND' });
    }
    expect(await call('reader', 'POST', '/v1/scans', { dataset: 'secret', columns: [0], rowGroups: [0], deviceRuns: false })).toMatchObject({ status: 404, code: 'MR_DATASET_NOT_FOUND' });
    const sql = async (who: string, text: string) => call(who, 'POST', '/v1/sql', { sql: text });
    expect((await sql('other', 'SELECT count(*) AS n FROM secret')).status).toBe(200);
    for (const text of ['SELECT count(*) FROM secret', 'SELECT * FROM open, "Secret"', 'WITH x AS (SELECT * FROM main.secret) SELECT * FROM x', 'SELECT (SELECT max(delay) FROM secret)']) {
      const refused = await sql('reader', text);
      expect(refused).toMatchObject({ status: 400, code: 'MR_SQL_BIND' });
      expect(String(refused.json.detail)).not.toMatch(/Datasets:.*secret/);
    }
    expect((await call('reader', 'POST', '/v1/explain', { sql: 'SELECT * FROM secret', analyze: true })).code).toBe('MR_SQL_BIND');
    expect((await call('reader', 'POST', '/v1/plan', { sql: 'SELECT * FROM secret' })).code).toBe('MR_SQL_BIND');
    expect((await call('reader', 'POST', '/v1/datasets/secret/verify')).code).toBe('MR_DATASET_NOT_FOUND');
    expect((await call('reader', 'GET', '/v1/status')).text).not.toContain('secret');
    expect((await sql('reader', 'SELECT count(*) AS n FROM open')).text).toContain('"n"');
    for (const text of ['SELECT table_name FROM duckdb_tables()', 'SELECT table_name FROM information_schema.tables', 'SHOW TABLES']) expect((await sql('reader', text)).text).not.toMatch(/"secret"/);
  });

  it('change only what they may', async () => {
    for (const [who, method, path] of [['reader', 'PUT', 'open'], ['reader', 'DELETE', 'open'], ['other', 'PUT', 'third'], ['other', 'DELETE', 'third']] as const)
      expect(await call(who, method, `/v1/datasets/${path}`, method === 'PUT' ? Buffer.from('x') : undefined)).toMatchObject({ status: 403, code: 'MR_FORBIDDEN' });
    expect(await call('reader', 'POST', '/v1/multipart')).toMatchObject({ status: 403, code: 'MR_FORBIDDEN' });
    expect(await call('reader', 'GET', '/metrics')).toMatchObject({ status: 403, code: 'MR_FORBIDDEN' });
    expect((await call('other', 'PUT', '/v1/datasets/secret?format=arrow&replace=1', readFileSync(flightsFile))).status).toBe(201);
  });

  it("do not reach each other's scans", async () => {
    const { json } = await call('other', 'POST', '/v1/scans', { dataset: 'open', columns: [0], rowGroups: [0], deviceRuns: false });
    for (const [method, tail, body] of [['GET', '/results', undefined], ['POST', '/claims', { morsels: 1 }], ['POST', '/done', { morsels: [0] }], ['POST', '/return', { morsels: [0] }], ['DELETE', '', undefined]] as const)
      expect(await call('reader', method, `/v1/scans/${json.scan}${tail}`, body)).toMatchObject({ status: 404, code: 'MR_SCAN_NOT_FOUND' });
    expect((await call('other', 'DELETE', `/v1/scans/${json.scan}`)).status).toBe(204);
  });

  it('have a rate', async () => {
    const answers = [];
    for (let i = 0; i < 5; i++) answers.push(await call('slow', 'GET', '/v1/datasets'));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429, 429]);
    expect(answers[4]).toMatchObject({ code: 'MR_RATE_LIMITED' });
    expect(Number(answers[4]?.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await call('reader', 'GET', '/v1/datasets')).status).toBe(200);
  });
});

describe('limits', () => {
  it('of headers and URLs', async () => {
    expect(await call('operator', 'GET', `/v1/datasets?x=${'y'.repeat(9000)}`)).toMatchObject({ status: 414, code: 'MR_URL_TOO_LONG' });
    expect(await raw(`GET / HTTP/1.1\r\nhost: x\r\nx-long: ${'y'.repeat(20_000)}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 [\s\S]*MR_HEADERS_TOO_LARGE/);
    expect(await raw('this is no HTTP\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 [\s\S]*MR_HTTP_INVALID/);
  });

  it('a daemon without tokens answers no other site', async () => {
    const local = await startDaemonProcess();
    try {
      const status = async (headers: Record<string, string>) => {
        const { port } = new URL(local.url);
        const answer = await raw(`GET /v1/datasets HTTP/1.1\r\nconnection: close\r\n${Object.entries(headers).map(([k, v]) => `${k}: ${v}\r\n`).join('')}\r\n`, Number(port));
        return /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1];
      };
      expect(await status({ host: 'localhost:1' })).toBe('200');
      expect(await status({ host: '[::1]' })).toBe('200');
      expect(await status({ host: 'evil.example' })).toBe('403');
      expect(await status({ host: 'localhost', origin: 'https://evil.example' })).toBe('403');
      expect(await status({ host: 'localhost', origin: 'http://localhost:8080' })).toBe('200');
      expect((await fetch(new URL('/metrics', local.url))).status).toBe(200);
    } finally {
      await local.dispose();
    }
  });
});

describe('jobs', () => {
  const endless = 'SELECT count(*) FROM open a, open b WHERE a.delay + b.delay = 12345678';

  it('are followed by server-sent events and cancelled by id, by their owner', async () => {
    const running = call('other', 'POST', '/v1/sql', { sql: endless, id: 'mine' });
    await expect.poll(async () => (await call('other', 'GET', '/v1/queries/mine')).json.state, patient).toBe('running');
    expect(await call('other', 'POST', '/v1/sql', { sql: 'SELECT 1', id: 'mine' })).toMatchObject({ status: 409, code: 'MR_JOB_EXISTS' });
    expect(await call('reader', 'DELETE', '/v1/queries/mine')).toMatchObject({ status: 404, code: 'MR_QUERY_NOT_FOUND' });
    const events = call('other', 'GET', '/v1/queries/mine/progress');
    expect((await call('other', 'DELETE', '/v1/queries/mine')).status).toBe(202);
    expect(await running).toMatchObject({ status: 409, code: 'MR_CANCELLED' });
    const { text, headers } = await events;
    expect(headers.get('content-type')).toBe('text/event-stream');
    expect(text).toMatch(/event: progress\ndata: \{.*"state":"running"/);
    expect(text).toMatch(/event: end\ndata: \{.*"state":"cancelled".*\}\n\n$/);
    expect((await call('reader', 'GET', '/v1/queries')).text).not.toContain('12345678');
    expect((await call('operator', 'GET', '/v1/queries')).text).toContain('12345678');
  });

  it('tell what a query and an upload did', async () => {
    await call('other', 'POST', '/v1/sql', { sql: 'SELECT delay FROM open WHERE delay > 100', id: 'short' });
    const { json } = await call('other', 'GET', '/v1/queries/short');
    expect(json).toMatchObject({ state: 'done', owner: 'other', tenant: 'umbrella', progress: { rows: expect.any(Number), bytes: expect.any(Number), morselsTotal: expect.any(Number) } });
    expect((json.progress as { rows: number }).rows).toBeGreaterThan(0);
    await call('other', 'POST', '/v1/sql', { sql: 'SELECT nothing FROM open', id: 'bad' });
    expect((await call('other', 'GET', '/v1/queries/bad')).json).toMatchObject({ state: 'failed', code: 'MR_SQL_BIND' });
    expect((await call('operator', 'PUT', '/v1/datasets/third?format=parquet&upload=up', readFileSync(flightsPath))).status).toBe(201);
    expect((await call('operator', 'GET', '/v1/uploads/up')).json).toMatchObject({ state: 'done', progress: { rows: 3_000_000, bytes: expect.any(Number), bytesTotal: expect.any(Number) } });
  });

  it('are counted, beside what the device did', async () => {
    await call('operator', 'POST', '/v1/sql', { sql: 'SELECT sum(delay) AS d, max(distance) AS m FROM third' });
    const { text, headers } = await call('operator', 'GET', '/metrics');
    expect(headers.get('content-type')).toMatch(/^text\/plain/);
    for (const line of [/^millrace_requests_total\{route="\/v1\/sql",method="POST",code="200"\} [1-9]/m, /^millrace_jobs_total\{kind="query",outcome="cancelled"\} 1$/m, /^millrace_device_read_bytes_total [1-9]/m, /^millrace_scan_rows_total\{stage="answered"\} [1-9]/m, /^millrace_slots\{state="\w+"\} [1-9]/m, /^millrace_request_duration_seconds_bucket/m])
      expect(text).toMatch(line);
    for (const line of [
      /^millrace_queue_depth\{queue="daemon"\} \d/m, /^millrace_queue_depth\{queue="slot"\} 0$/m, /^millrace_bytes_avoided_total [1-9]/m, /^millrace_pushdown_decisions_total\{op="filter",choice="push",reason="scan"\} [1-9]/m,
      /^millrace_cost_model_error_ratio_count \d/m, /^millrace_command_duration_seconds_count\{opcode="Execute"\} [1-9]/m, /^millrace_command_duration_seconds_sum\{opcode="Write"\} \d/m, /^# TYPE millrace_command_duration_seconds histogram$/m,
    ]) expect(text).toMatch(line);
    for (const [, opcode] of text.matchAll(/^millrace_command_duration_seconds_count\{opcode="(\w+)"\}/gm)) {
      const value = (what: string) => Number(new RegExp(`^millrace_command_duration_seconds_${what} (\\S+)$`, 'm').exec(text)?.[1]);
      const buckets = [...text.matchAll(new RegExp(`^millrace_command_duration_seconds_bucket\\{opcode="${opcode}",le="([^"]+)"\\} (\\d+)$`, 'gm'))].map(([, , n]) => Number(n));
      expect(buckets.length).toBeGreaterThan(20);
      expect(buckets).toEqual([...buckets].sort((a, b) => a - b));
      expect(buckets.at(-1)).toBe(value(`count\\{opcode="${opcode}"\\}`));
    }
    for (const [, name] of text.matchAll(/^# TYPE (\S+)/gm)) expect(name).toMatch(/^millrace_/);
  });
});

function raw(text: string, port = Number(new URL(daemon.url).port)): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connectSocket(port, '127.0.0.1', () => socket.write(text));
    socket.setEncoding('utf8').on('data', (part: string) => { answer += part; }).once('close', () => resolve(answer)).once('error', reject);
  });
}
