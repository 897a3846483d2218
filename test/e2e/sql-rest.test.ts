import { tableFromIPC } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, connect } from '../../clients/node/index.js';
import { planOfJson } from '../../pushdown/plan/plan-json.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';
import { duckRows, flightsPath, textRows } from './flights.js';

let daemon: DaemonProcess;
let client: Client;
beforeAll(async () => {
  daemon = await startDaemonProcess({ args: ['--query-deadline-ms', '20000'] });
  client = await connect({ url: daemon.url, transport: 'http' });
  await client.put('flights', flightsPath);
});
afterAll(async () => {
  await client.close();
  await daemon.dispose();
});

const post = (path: string, body: object, signal?: AbortSignal): Promise<Response> =>
  fetch(new URL(path, daemon.url), { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), ...(signal ? { signal } : {}) });

/** Waits end when what they wait for is there; the bound is for machines that are busy. */
const patient = { timeout: 30_000, interval: 20 };

const workers = async () => ((await client.status()) as { queryWorkers: { pid: number; state: string; queries: number }[] }).queryWorkers;

describe('POST /v1/sql', () => {
  const sql = 'SELECT origin, count(*) AS n FROM flights WHERE delay > 100 GROUP BY origin ORDER BY n DESC, origin LIMIT 3';

  it('gives NDJSON rows and a summary as its last line, whoever runs it', async () => {
    const truth = await duckRows(sql);
    for (const pushdown of ['never', 'always', 'auto']) {
      const response = await post('/v1/sql', { sql, pushdown });
      expect(response.status).toBe(200);
      const lines = (await response.text()).trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(textRows(lines.slice(0, -1)).map((row) => row.map(String))).toEqual(truth.map((row) => row.map(String)));
      expect(lines.at(-1)).toBeTypeOf('object');
    }
  });

  it('gives an Arrow stream', async () => {
    const response = await post('/v1/sql', { sql, format: 'arrow' });
    const table = tableFromIPC(new Uint8Array(await response.arrayBuffer()));
    expect(table.numRows).toBe(3);
    expect(table.schema.fields.map((field) => field.name)).toEqual(['origin', 'n']);
  });

  it('refuses wrong SQL with a position, and what would leave the datasets', async () => {
    const wrong = await post('/v1/sql', { sql: 'SELECT delay FORM flights' });
    expect(wrong.status).toBe(400);
    expect(wrong.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(await wrong.json()).toMatchObject({ code: expect.stringMatching(/^MR_SQL_/), position: expect.any(Number) });
    for (const outside of ["SELECT * FROM read_text('/etc/hostname')", "COPY flights TO '/tmp/x'", "ATTACH '/tmp/x.db'"]) {
      const answer = await post('/v1/sql', { sql: outside });
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(((await answer.json()) as { code: string }).code).toMatch(/^MR_SQL_/);
    }
  });

  it('keeps its worker warm, and a killed worker costs one query only', async () => {
    const { pid } = (await workers())[0]!;
    expect(await (await post('/v1/sql', { sql: 'SELECT 1 AS one' })).text()).toContain('"one"');
    expect((await workers())[0]!.pid).toBe(pid);
    process.kill(pid, 'SIGKILL');
    await expect.poll(async () => (await workers()).some((worker) => worker.pid === pid && worker.state !== 'lost'), patient).toBe(false);
    expect((await post('/v1/sql', { sql: 'SELECT count(*) AS n FROM flights' })).status).toBe(200);
    expect((await workers())[0]!.pid).not.toBe(pid);
  });

  it('says of a query under way that the daemon stopped', async () => {
    const other = await startDaemonProcess();
    try {
      const answer = fetch(new URL('/v1/sql', other.url), { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ sql: 'SELECT count(*) FROM range(10000000) a(i), range(10000000) b(i) WHERE (a.i * b.i) % 1000003 = 7', id: 'endless' }) });
      await expect.poll(async () => ((await (await fetch(new URL('/v1/queries/endless', other.url))).json()) as { state?: string }).state, patient).toBe('running');
      expect(await other.stop()).toBe(0);
      expect(await (await answer).json()).toMatchObject({ code: 'MR_STOPPING', status: 503 });
    } finally {
      await other.dispose();
    }
  });

  it('ends a query whose client left', async () => {
    const controller = new AbortController();
    const endless = post('/v1/sql', { sql: 'SELECT count(*) FROM flights a, flights b WHERE a.delay + b.delay = 12345678' }, controller.signal);
    await expect.poll(async () => (await workers()).some((worker) => worker.state === 'busy'), patient).toBe(true);
    controller.abort();
    await expect(endless).rejects.toThrow();
    await expect.poll(async () => (await workers()).some((worker) => worker.state === 'busy'), patient).toBe(false);
  });
});

describe('POST /v1/sql as events', () => {
  interface Event { readonly name: string; readonly data: unknown }
  const sql = 'SELECT date, delay, origin FROM flights WHERE delay > 300';
  const asked = (body: object, accept = 'text/event-stream') => fetch(new URL('/v1/sql', daemon.url), { method: 'POST', headers: { 'content-type': 'application/json', accept }, body: JSON.stringify(body) });
  const eventsIn = (text: string): Event[] => text.split('\n\n').filter((part) => part !== '' && !part.startsWith(':')).map((part) => {
    const [name, data] = part.split('\n');
    return { name: name?.replace(/^event: /, '') ?? '', data: JSON.parse(data?.replace(/^data: /, '') ?? '') };
  });
  /** What was read before the connection ended or broke. */
  async function read(response: Response, onText?: (text: string) => void): Promise<{ text: string; broken: boolean }> {
    let text = '';
    try {
      const decoder = new TextDecoder();
      for await (const part of response.body as ReadableStream<Uint8Array>) {
        text += decoder.decode(part, { stream: true });
        onText?.(text);
      }
      return { text, broken: false };
    } catch {
      return { text, broken: true };
    }
  }

  it('gives the rows of the NDJSON answer, digit by digit, and its summary last', async () => {
    const lines = (await (await post('/v1/sql', { sql: `SELECT 1.10::DECIMAL(5,2) AS d, 9007199254740993 AS i, * FROM (${sql})` })).text()).trimEnd().split('\n');
    const response = await asked({ sql: `SELECT 1.10::DECIMAL(5,2) AS d, 9007199254740993 AS i, * FROM (${sql})` });
    expect([response.status, response.headers.get('content-type'), response.headers.get('x-millrace-query')]).toEqual([200, 'text/event-stream', expect.stringMatching(/\S/)]);
    const { text, broken } = await read(response);
    expect(broken).toBe(false);
    const events = eventsIn(text);
    expect(events.at(-1)).toMatchObject({ name: 'summary', data: { rows: lines.length - 1, columns: expect.any(Array), plan: expect.any(Array) } });
    expect(events.slice(0, -1).every(({ name }) => name === 'rows' || name === 'progress')).toBe(true);
    expect(lines.length).toBeGreaterThan(100);
    expect([...text.matchAll(/^event: rows\ndata: \[(.*)\]$/gm)].map(([, rows]) => rows).join(',')).toBe(lines.slice(0, -1).join(','));
  });

  it('is what Accept or the body asks for, and nothing else is', async () => {
    const type = async (body: object, accept?: string) => {
      const response = await asked(body, accept);
      await response.arrayBuffer();
      return response.headers.get('content-type');
    };
    expect(await type({ sql: 'SELECT 1 AS x', format: 'events' }, '*/*')).toBe('text/event-stream');
    for (const [accept, wanted] of [['application/vnd.apache.arrow.stream', 'application/vnd.apache.arrow.stream'], ['text/html, text/event-stream;q=0.5, application/x-ndjson;q=0.9', 'application/x-ndjson'], ['text/event-stream;q=0', 'application/x-ndjson'], ['application/json', 'application/x-ndjson']] as const)
      expect([accept, await type({ sql: 'SELECT 1 AS x' }, accept)]).toEqual([accept, wanted]);
    expect(await type({ sql: 'SELECT 1 AS x', format: 'json' })).toBe('application/x-ndjson');
    expect(eventsIn((await read(await asked({ sql: 'SELECT 1 AS x WHERE false' }))).text).filter(({ name }) => name !== 'progress')).toMatchObject([{ name: 'summary', data: { rows: 0 } }]);
  });

  it('refuses wrong SQL with a status, before any event', async () => {
    const response = await asked({ sql: 'SELECT delay FORM flights' });
    expect([response.status, response.headers.get('content-type')]).toEqual([400, expect.stringMatching(/^application\/problem\+json/)]);
    expect(await response.json()).toMatchObject({ code: expect.stringMatching(/^MR_SQL_/), position: expect.any(Number) });
  });

  it('tells progress before the first row, and why a query under way ended', async () => {
    const response = await asked({ sql: 'SELECT count(*) FROM flights a, flights b WHERE a.delay + b.delay = 12345678', id: 'told' });
    expect(response.status).toBe(200);
    let cancelled: Promise<Response> | undefined;
    const { text, broken } = await read(response, (so) => { if (so.includes('event: progress')) cancelled ??= fetch(new URL('/v1/queries/told', daemon.url), { method: 'DELETE' }); });
    expect((await cancelled)?.status).toBe(202);
    const events = eventsIn(text);
    expect(events[0]).toMatchObject({ name: 'progress', data: { id: 'told', state: 'running', progress: { rowsScanned: expect.any(Number) } } });
    expect(events.at(-1)).toMatchObject({ name: 'error', data: { code: 'MR_CANCELLED', status: 409 } });
    expect(broken).toBe(true);
  });

  it('a client that leaves ends the query', async () => {
    const leave = new AbortController();
    const response = await fetch(new URL('/v1/sql', daemon.url), { method: 'POST', headers: { 'content-type': 'application/json', accept: 'text/event-stream' }, body: JSON.stringify({ sql: 'SELECT count(*) FROM flights a, flights b WHERE a.delay + b.delay = 12345678' }), signal: leave.signal });
    expect(response.status).toBe(200);
    leave.abort();
    await expect.poll(async () => (await workers()).some((worker) => worker.state === 'busy'), patient).toBe(false);
  });
});

describe('POST /v1/explain', () => {
  it('says where each operator runs', async () => {
    const sql = 'SELECT origin, sum(delay) FROM flights WHERE distance > 1000 GROUP BY origin';
    const plain = (await (await post('/v1/explain', { sql })).json()) as { plan: { where: string }[]; text: string };
    expect(plain.plan.length).toBeGreaterThan(2);
    expect(plain.text).toMatch(/Exchange/);
    const analyzed = (await (await post('/v1/explain', { sql, analyze: true })).json()) as { plan: { actRows: number | null }[] };
    expect(analyzed.plan.some((row) => row.actRows !== null)).toBe(true);
  });
});

describe('POST /v1/plan', () => {
  const plan = async (sql: string) => (await (await post('/v1/plan', { sql })).json()) as { kind: string; plan?: unknown; columns?: string[]; host?: string };

  it('gives the operator tree of a statement that is one, and gives the same rows when a host runs it', async () => {
    const sql = 'SELECT origin, count(*) AS n FROM flights WHERE delay > 100 GROUP BY origin';
    const answer = await plan(sql);
    expect(answer.kind).toBe('plan');
    expect(answer.columns).toEqual(['origin', 'n']);
    expect((await client.collect(planOfJson(answer.plan))).toCanonicalRows()).toEqual((await client.sql(sql)).toCanonicalRows());
  });

  it('names what a host has to do besides', async () => {
    expect(await plan('SELECT origin, count(*) AS n FROM flights GROUP BY origin HAVING n > 5 ORDER BY n')).toMatchObject({ kind: 'pushed', plan: expect.anything(), host: expect.stringMatching(/ORDER BY/i) });
    const joined = await plan('SELECT count(*) FROM flights a, flights b WHERE a.delay = b.distance');
    expect(joined.kind).toBe('scans');
    expect(joined.plan).toBeUndefined();
  });
});

describe('GET /v1/status', () => {
  it('remembers queries, how they ended and what they cost', async () => {
    await (await post('/v1/sql', { sql: 'SELECT 1 AS remembered' })).text();
    await post('/v1/sql', { sql: 'SELECT remembered FORM flights' });
    const { recentQueries, cores } = (await client.status()) as { recentQueries: { sql: string; outcome: string; rows: number }[]; cores: { busyMs: number }[] };
    expect(recentQueries[0]).toMatchObject({ sql: 'SELECT remembered FORM flights', outcome: expect.stringMatching(/^MR_SQL_/) });
    expect(recentQueries[1]).toMatchObject({ sql: 'SELECT 1 AS remembered', outcome: 'ok', rows: 1 });
    expect(cores.length).toBeGreaterThan(0);
  });
});
