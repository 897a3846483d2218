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

  it('ends a query whose client left', async () => {
    const controller = new AbortController();
    const endless = post('/v1/sql', { sql: 'SELECT count(*) FROM flights a, flights b WHERE a.delay + b.delay = 12345678' }, controller.signal);
    await expect.poll(async () => (await workers()).some((worker) => worker.state === 'busy'), patient).toBe(true);
    controller.abort();
    await expect(endless).rejects.toThrow();
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
