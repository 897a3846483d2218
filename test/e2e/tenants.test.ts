// Tenants as operators and users meet them: caps set on the command line, kept over every transport, and the audit log.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connect, count } from '../../clients/node/index.js';
import { native, packageRoot } from '../../native/index.js';
import { assemblyScript } from '../kernels/assemblyscript.js';
import { type DaemonProcess, pinnedNode, startDaemonProcess } from './daemon-process.js';

const operator = 'the-operators-own-token';
const dir = mkdtempSync(join(tmpdir(), 'millrace-tenants-'));
const patient = { timeout: 30_000, interval: 50 };

function millrace(...args: string[]) {
  const { stdout, stderr, status } = spawnSync(pinnedNode, [join(packageRoot, 'dist/clients/cli/main.js'), ...args], { encoding: 'utf8' });
  return { stdout: stdout.trim(), stderr, status };
}
function command(...args: string[]): string {
  const { stdout, stderr, status } = millrace(...args, '--dir', dir);
  expect([status, stderr]).toEqual([0, '']);
  return stdout;
}

let daemon: DaemonProcess;
let alice: string;
let bob: string;
beforeAll(async () => {
  alice = command('token', 'add', 'alice', '--tenant', 'acme');
  bob = command('token', 'add', 'bob', '--tenant', 'umbrella');
  command('tenant', 'set', 'acme', '--deadline-ms', '5000', '--cpu-percent', '90');
  daemon = await startDaemonProcess({ dir, args: ['--token', operator] });
  const body = readFileSync(join(packageRoot, 'node_modules/vega-datasets/data/flights-200k.arrow'));
  expect((await fetch(new URL('/v1/datasets/flights?format=arrow', daemon.url), { method: 'PUT', headers: { authorization: `Bearer ${operator}`, 'content-type': 'application/octet-stream' }, body })).status).toBe(201);
});
afterAll(() => daemon?.dispose());

const get = async (path: string, token: string) => {
  const response = await fetch(new URL(path, daemon.url), { headers: { authorization: `Bearer ${token}` } });
  return { status: response.status, json: (await response.json()) as Record<string, unknown> };
};
interface Entry { readonly tenant: string; readonly token: string; readonly kernel: string | null; readonly madeOf?: readonly string[]; readonly dataset: string; readonly version: number; readonly outcome: string; readonly morselsDevice: number }
const audit = async () => (await get('/v1/audit?limit=1000', operator)).json.entries as Entry[];
const sql = (token: string, pushdown: string, text = 'select count(*) n from flights where delay > 10') => fetch(new URL('/v1/sql', daemon.url), { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body: JSON.stringify({ sql: text, pushdown }) });

it('a tenant has the caps that were set, others the defaults', async () => {
  expect((await get('/v1/tenant', alice)).json).toMatchObject({ tenant: 'acme', caps: { deadlineMs: 5000, cpuPercent: 90, outputBytes: 1 << 30 } });
  expect((await get('/v1/tenant', bob)).json).toMatchObject({ tenant: 'umbrella', caps: { deadlineMs: 60_000, cpuPercent: 100 } });
});

it('who ran which kernel on which dataset is told for every transport', async () => {
  expect((await sql(alice, 'always')).status).toBe(200);
  for (const transport of ['http', 'shm'] as const) {
    const db = await connect({ url: daemon.url, token: bob, transport });
    try {
      expect((await db.dataset('flights').agg({ n: count() }).collect({ pushdown: 'always' })).rows).toBeDefined();
      expect((await db.dataset('flights').agg({ n: count() }).collect({ pushdown: 'never' })).rows).toBeDefined();
    } finally {
      await db.close();
    }
  }
  await expect.poll(audit, patient).toEqual(expect.arrayContaining([
    expect.objectContaining({ tenant: 'acme', token: 'alice', kernel: expect.stringMatching(/^[0-9a-f]{64}$/), dataset: 'flights', version: 1, outcome: 'ok' }),
    ...[expect.stringMatching(/^[0-9a-f]{64}$/), null].map((kernel) => expect.objectContaining({ tenant: 'umbrella', token: 'bob', kernel, dataset: 'flights', outcome: 'ok' })),
  ]));
  expect((await audit()).filter((e) => e.token === 'bob')).toHaveLength(4);
  // Each tenant's work ran in memory of its own.
  const { device } = (await get('/v1/status', operator)).json as { device: { slmByTenant: { tenant: string }[]; cpuShare: string } };
  expect(device.slmByTenant.map((bank) => bank.tenant).sort()).toEqual(['acme', 'local', 'umbrella']);
  expect(device.cpuShare).not.toBe('');
});

it('the audit log is for the operator, a line each, and the command line shows it', async () => {
  expect(await get('/v1/audit', alice)).toMatchObject({ status: 403, json: { code: 'MR_FORBIDDEN' } });
  const lines = readFileSync(join(dir, 'audit/audit.ndjson'), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as Entry);
  expect(lines).toEqual(await audit());
  const { stdout, status } = millrace('audit', '--url', daemon.url, '--token', operator, '--limit', '2');
  expect(status).toBe(0);
  expect(stdout.split('\n').map((line) => JSON.parse(line) as Entry)).toEqual(lines.slice(-2));
});

it('nobody attaches to the device without a ticket, and a ticket serves once', async () => {
  const { socketPath } = (await get('/v1/status', alice)).json as { socketPath: string };
  const attach = (ticket?: string) => native().attachDevice(socketPath, { ...(ticket === undefined ? {} : { ticket }), dataBytes: 1 << 20, entries: 16 });
  expect(() => attach()).toThrow(expect.objectContaining({ code: 'MR_ATTACH_TICKET' }));
  const { ticket } = (await (await fetch(new URL('/v1/attach', daemon.url), { method: 'POST', headers: { authorization: `Bearer ${alice}` } })).json()) as { ticket: string };
  attach(ticket).close();
  expect(() => attach(ticket)).toThrow(expect.objectContaining({ code: 'MR_ATTACH_TICKET' }));
});

it('kernels that are not on the list run nowhere; SQL, whose kernels the daemon makes, goes on in slots', async () => {
  command('tenant', 'set', 'acme', '--kernels', '0'.repeat(64));
  await expect.poll(async () => (await get('/v1/tenant', alice)).json.kernels, patient).toEqual(['0'.repeat(64)]);
  for (const transport of ['shm', 'http'] as const) {
    const db = await connect({ url: daemon.url, token: alice, transport });
    try {
      const query = db.dataset('flights').agg({ n: count() });
      await expect(query.collect({ pushdown: 'always' })).rejects.toMatchObject({ code: 'MR_KERNEL_NOT_ALLOWED' });
      // The client has the same kernel.
      const here = await query.collect({ pushdown: 'auto' });
      expect(here.stats).toMatchObject({ morselsDevice: 0, place: 'host' });
      expect(here.toRows()).toEqual((await query.collect({ pushdown: 'never' })).toRows());
    } finally {
      await db.close();
    }
  }
  for (const pushdown of ['auto', 'always']) {
    const answer = await sql(alice, pushdown);
    const [row, summary] = (await answer.text()).split('\n');
    expect([answer.status, row]).toEqual([200, expect.stringMatching(/^\{"n":\d+\}$/)]);
    expect((JSON.parse(summary!) as { summary: { morselsDevice: number } }).summary.morselsDevice).toBeGreaterThan(0);
  }
  await expect.poll(async () => (await audit()).some((e) => e.token === 'alice' && e.outcome === 'ok' && e.madeOf?.length === 0 && e.morselsDevice > 0 && /^[0-9a-f]{64}$/.test(e.kernel ?? '')), patient).toBe(true);
  await expect.poll(async () => (await audit()).some((e) => e.outcome === 'refused' && e.token === 'alice'), patient).toBe(true);
  command('tenant', 'rm', 'acme');
  await expect.poll(async () => (await get('/v1/tenant', alice)).json.kernels, patient).toBeUndefined();
  expect((await sql(alice, 'always')).status).toBe(200);
});

it('a function runs in SQL where its module is on the list, and neither in slots nor in the query worker where it is not', async () => {
  const wasm = await assemblyScript('export function late(delay: f64): bool { return delay > 10; }');
  const digest = createHash('sha256').update(wasm).digest('hex');
  const pushed = await fetch(new URL('/v1/kernels/late', daemon.url), { method: 'PUT', headers: { authorization: `Bearer ${operator}`, 'content-type': 'application/wasm' }, body: wasm });
  expect(pushed.status).toBe(201);
  const text = 'select count(*) n from flights where late(delay)';
  const truth = (await (await sql(operator, 'never')).text()).split('\n')[0];
  const kernels = async (digests: string) => {
    command('tenant', 'set', 'acme', '--kernels', digests);
    await expect.poll(async () => (await get('/v1/tenant', alice)).json.kernels, patient).toEqual([digests]);
  };
  await kernels('0'.repeat(64));
  for (const pushdown of ['auto', 'always', 'never']) {
    const answer = await sql(alice, pushdown, text);
    expect([answer.status, await answer.json()]).toEqual([403, expect.objectContaining({ code: 'MR_KERNEL_NOT_ALLOWED', field: 'late' })]);
  }
  await kernels(digest);
  for (const pushdown of ['auto', 'always', 'never']) {
    const answer = await sql(alice, pushdown, text);
    expect([answer.status, (await answer.text()).split('\n')[0]]).toEqual([200, truth]);
  }
  await expect.poll(async () => (await audit()).some((e) => e.token === 'alice' && e.outcome === 'ok' && e.madeOf?.join() === digest), patient).toBe(true);
  command('tenant', 'rm', 'acme');
});

it('refuses caps that make no sense, naming the field', () => {
  const { status, stderr } = millrace('tenant', 'set', 'acme', '--cpu-percent', '101', '--dir', dir);
  expect(status).toBe(2);
  expect(stderr).toMatch(/caps\.cpuPercent.*MR_TENANT_INVALID/s);
});
