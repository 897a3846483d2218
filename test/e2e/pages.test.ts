import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, connect } from '../../clients/node/index.js';
import { ResultDigest } from '../../clients/pages/result-digest.js';
import { packageRoot } from '../../native/index.js';
import { planOfJson } from '../../pushdown/plan/plan-json.js';
import { type KernelParts, kernel } from '../kernels/wat.js';
import { chromiumMissing, chromiumPath, launchChromium } from './chromium.js';
import { type DaemonProcess, pinnedNode, startDaemonProcess } from './daemon-process.js';
import { flightsPath } from './flights.js';

if (chromiumMissing) console.warn(`pages.test.ts is skipped: there is no ${chromiumPath} (Debian: apt-get install chromium; elsewhere: MILLRACE_CHROMIUM=PATH).`);

/** It writes its input by a bulk store, which ends the slot. */
const crashing: KernelParts = { formats: ['l'], process: '(memory.fill (call $column_data (local.get $in) (i32.const 0)) (i32.const 9) (i32.const 64)) (i32.const 0)' };

/** Runs the crashing kernel over flights until the device refuses it; its digest. */
async function quarantined(url: string, token: string): Promise<string> {
  const post = (path: string, body: Uint8Array<ArrayBuffer> | object) =>
    fetch(new URL(path, url), { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': body instanceof Uint8Array ? 'application/wasm' : 'application/json' }, body: body instanceof Uint8Array ? body : JSON.stringify(body) });
  const { program, digest } = (await (await post('/v1/programs', await kernel(crashing))).json()) as { program: number; digest: string };
  for (let crashes = 0; crashes < 10; crashes++) {
    const opened = await post('/v1/scans', { dataset: 'flights', program, columns: [1], rowGroups: [0], deviceRuns: true });
    if (opened.status !== 200 && opened.status !== 201) break;
    const { scan } = (await opened.json()) as { scan: number };
    await fetch(new URL(`/v1/scans/${scan}/results`, url), { headers: { authorization: `Bearer ${token}` } }).then((answer) => answer.arrayBuffer()).catch(() => undefined);
  }
  return digest;
}

const groupBy = 'SELECT origin, count(*) AS n, avg(delay) AS late FROM flights WHERE distance > 500 GROUP BY origin';

describe.skipIf(chromiumMissing)('the pages in Chromium', () => {
  let daemon: DaemonProcess;
  let client: Client;
  let browser: Browser;
  const faults: string[] = [];

  beforeAll(async () => {
    daemon = await startDaemonProcess();
    client = await connect({ url: daemon.url, transport: 'http' });
    await client.put('flights', flightsPath);
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await client?.close();
    await daemon?.dispose();
  });

  /** A page whose every error, refused request and policy violation is a fault. */
  async function open(path: string, width = 1280): Promise<Page> {
    const page = await browser.newPage({ viewport: { width, height: 900 } });
    page.setDefaultTimeout(30_000);
    page.on('pageerror', (error) => faults.push(String(error)));
    page.on('console', (message) => { if (message.type() === 'error' && !/status of 4\d\d/.test(message.text())) faults.push(message.text()); });
    page.on('request', (request) => { if (!request.url().startsWith(daemon.url)) faults.push(`left the daemon: ${request.url()}`); });
    await page.goto(new URL(path, daemon.url).href);
    return page;
  }

  const digestOf = async (sql: string): Promise<string> => {
    const { plan } = (await (await fetch(new URL('/v1/plan', daemon.url), { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ sql }) })).json()) as { plan: unknown };
    const digest = new ResultDigest();
    for (const batch of (await client.collect(planOfJson(plan))).batches) digest.add(batch);
    return digest.hex();
  };

  it('runs a query pushed, pulled and shared, with its rows and its plan as a tree', async () => {
    const page = await open('/play');
    await page.getByRole('button', { name: 'Count' }).waitFor();
    await page.fill('#sql', 'SELECT origin, count(*) AS n FROM flights GROUP BY origin ORDER BY n DESC, origin LIMIT 3');
    const truth = (await client.sql(await page.inputValue('#sql'))).toRows().map((row) => [String(row.origin), String(row.n)]);
    for (const [name, place] of [['Push', 'device'], ['Pull', 'host']] as const) {
      await page.getByText(name, { exact: true }).click();
      await page.click('#run');
      await page.waitForSelector('#plan .operator');
      expect(await page.$$eval('#result tbody tr', (rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent)))).toEqual(truth);
      const scan = await page.$$eval('#plan .operator', (all) => all.map((each) => `${each.querySelector('strong')?.textContent} ${each.querySelector('.place')?.textContent}`));
      expect(scan.at(-1)).toBe(`Scan ${place}`);
      expect(await page.textContent('#plan')).toMatch(/over the link/);
    }
    expect(await page.$$eval('#plan ul ul ul', (nested) => nested.length)).toBeGreaterThan(0);
    await page.close();
  });

  it('runs the host side in the browser: same kernel bytes, same digest as the device, as Node', async () => {
    const page = await open('/play');
    await page.fill('#sql', groupBy);
    await page.click('#browser');
    await page.waitForSelector('#verdict');
    expect(await page.getAttribute('#verdict', 'class')).toContain('good');
    const rows = await page.$$eval('#browser-output tbody tr', (all) => all.map((row) => [...row.children].map((cell) => cell.getAttribute('title') ?? cell.textContent ?? '')));
    expect(rows.map((row) => row[0])).toEqual(['Device', 'This browser', 'Auto']);
    expect(new Set(rows.map((row) => row[1]))).toEqual(new Set([await digestOf(groupBy)]));
    expect(new Set(rows.map((row) => row[2])).size).toBe(1);
    expect(rows[0]?.[3]).toBe(rows[0]?.[2]);
    // Only the device, then only the browser.
    expect(rows[0]?.[4]).toMatch(/^[1-9]\d* \/ 0$/);
    expect(rows[1]?.[4]).toMatch(/^0 \/ [1-9]\d*$/);
    expect(await page.$$eval('#result th', (all) => all.map((each) => each.textContent))).toEqual(['origin', 'n', 'late']);
    await page.close();
  });

  it('runs what kernels take of a statement that also needs an engine, and names the rest', async () => {
    const page = await open('/play');
    await page.fill('#sql', `${groupBy} ORDER BY n DESC, origin LIMIT 3`);
    await page.click('#browser');
    await page.waitForSelector('#verdict.good');
    expect(await page.textContent('#browser-output pre')).toMatch(/ORDER BY/);
    await page.close();
  });

  it('says why a join needs more than this page', async () => {
    const page = await open('/play');
    await page.fill('#sql', 'SELECT count(*) FROM flights a JOIN flights b ON a.delay = b.distance');
    await page.click('#browser');
    await page.waitForSelector('#message:not([hidden])');
    expect(await page.textContent('#message')).toMatch(/MR_NEEDS_SQL_ENGINE/);
    await page.close();
  });

  it('shows where SQL is wrong, and text from the data as text', async () => {
    const page = await open('/play');
    await page.fill('#sql', 'SELECT delay FORM flights');
    await page.click('#run');
    await page.waitForSelector('#message:not([hidden])');
    expect(await page.textContent('#message')).toMatch(/MR_SQL_/);
    await page.fill('#sql', `SELECT '<img src=x onerror=alert(1)>' AS "<b>name</b>", 9007199254740993 AS big, 1.10 AS exact`);
    await page.click('#run');
    await page.waitForSelector('#result td');
    expect(await page.$$eval('#result th, #result td', (all) => all.map((each) => each.textContent))).toEqual(['<b>name</b>', 'big', 'exact', '<img src=x onerror=alert(1)>', '9007199254740993', '1.10']);
    await page.close();
  });

  it('shows the daemon live: slots, queues, the query just run', async () => {
    const page = await open('/status');
    await page.waitForSelector('.live.on');
    await client.sql('SELECT count(*) AS n FROM flights WHERE delay > 0');
    await (await fetch(new URL('/v1/sql', daemon.url), { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ sql: 'SELECT 42 AS seen_on_status' }) })).text();
    await page.waitForSelector('#queries td:has-text("seen_on_status")');
    expect(await page.$$eval('#slots tbody tr', (rows) => rows.length)).toBe(2);
    expect(await page.textContent('#queues')).toContain('ScanOpen');
    expect(await page.textContent('#datasets')).toContain('3,000,000');
    await page.close();
  });

  it('shows tenants, keys and values, and kernels the device refuses, live and behind a token', async () => {
    const guarded = await startDaemonProcess({ args: ['--token', 'the-operators-own-token-0123456789', '--slots', '1'] });
    try {
      const command = (script: string, ...args: string[]) => execFileSync(pinnedNode, [join(packageRoot, 'dist/daemon', script), ...args, '--dir', guarded.dir], { encoding: 'utf8' }).trim();
      command('tenants/tenant-command.js', 'set', 'acme', '--cpu-percent', '50', '--deadline-ms', '2500', '--kernels', '0'.repeat(64));
      const alice = command('rest/access/token-command.js', 'add', 'alice', '--tenant', 'umbrella');
      const operator = await connect({ url: guarded.url, transport: 'http', token: 'the-operators-own-token-0123456789' });
      await operator.put('flights', flightsPath);
      const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
      page.on('pageerror', (error) => faults.push(String(error)));
      await page.goto(new URL('/status', guarded.url).href);
      await page.fill('#token', 'the-operators-own-token-0123456789');
      await page.click('#token-form button');
      await page.waitForSelector('.live.on');
      const cells = (id: string) => page.$$eval(`#${id} tbody tr`, (rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent ?? '')));
      expect(await cells('tenants')).toEqual([['local', expect.anything(), expect.anything(), expect.anything(), '60.0 s', 'no cap', '1.07 GB', 'any'], ['acme', '0', 'none now', expect.anything(), '2500 ms', '50 %', '1.07 GB', '1 allowed']]);
      expect(await page.textContent('#keys')).toMatch(/Used.*of 1\.07 GB|Used.* of .*Nobody asked for a key yet/);
      expect(await page.textContent('#kernels')).toBe('None stored.');
      expect(await page.textContent('#model')).toMatch(/^Profile local: nothing is modelled/);
      // What happens from here on is seen without a reload.
      const asAlice = await connect({ url: guarded.url, transport: 'http', token: alice });
      await asAlice.sql('SELECT max(delay) AS m FROM flights', { pushdown: 'always' });
      await page.waitForFunction(() => /umbrella/.test(document.querySelector('#tenants')?.textContent ?? ''));
      expect((await cells('tenants')).map(([name]) => name)).toEqual(['local', 'acme', 'umbrella']);
      expect((await cells('tenants'))[2]?.[2]).toMatch(/B of .*B$/);
      await operator.kv().put('seen', new Uint8Array(100_000));
      await page.waitForFunction(() => /Store 1/.test(document.querySelector('#keys')?.textContent ?? ''));
      expect(await page.textContent('#keys .meter-text')).toMatch(/^1\d\d kB of /);
      await operator.pushKernel('stored', await kernel(crashing));
      const digest = await quarantined(guarded.url, 'the-operators-own-token-0123456789');
      await page.waitForFunction((text) => document.querySelector('#kernels')?.textContent?.includes(text) ?? false, digest);
      expect(await page.textContent('#kernels')).toMatch(/^KernelSize.*stored.*1 in quarantine/);
      expect(await page.textContent('#faults')).toContain('SlotKilled');
      // A tenant sees itself, and of others neither names nor statements.
      const own = (await asAlice.status()) as { tenants: { name: string }[]; recentQueries: unknown[]; device: { slots: { tenant: string }[]; slmByTenant: { tenant: string }[] } };
      expect([own.tenants.map(({ name }) => name), own.recentQueries, own.device.slmByTenant.map(({ tenant }) => tenant)]).toEqual([['umbrella'], [], ['umbrella']]);
      expect(JSON.stringify(own.device.slots)).not.toMatch(/acme|local/);
      await page.close();
      await asAlice.close();
      await operator.close();
    } finally {
      await guarded.dispose();
    }
  });

  it('serves pages with a strict policy, and no file they do not import', async () => {
    const page = await fetch(new URL('/play', daemon.url));
    expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'; script-src 'self' 'wasm-unsafe-eval';/);
    const etag = page.headers.get('etag') ?? '';
    expect((await fetch(new URL('/play', daemon.url), { headers: { 'if-none-match': etag } })).status).toBe(304);
    for (const path of ['daemon/main.js', '../package.json', 'clients/pages/play.d.ts', 'clients/pages/%2e%2e/%2e%2e/daemon/main.js']) {
      const answer = await fetch(new URL(`/play/modules/${path}`, daemon.url));
      expect(answer.status).toBe(404);
      expect(await answer.json()).toMatchObject({ code: 'MR_ROUTE_NOT_FOUND' });
    }
  });

  it.each(['/play', '/status'])('%s fits a phone', async (path) => {
    const page = await open(path, 390);
    await page.waitForSelector('#datasets strong, #datasets td');
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
    await page.close();
  });

  it('had no script error, no request elsewhere and nothing the content security policy refused', () => {
    expect(faults).toEqual([]);
  });
});
