import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, connect } from '../../clients/node/index.js';
import { ResultDigest } from '../../clients/pages/result-digest.js';
import { planOfJson } from '../../pushdown/plan/plan-json.js';
import { chromiumMissing, chromiumPath, launchChromium } from './chromium.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';
import { flightsPath } from './flights.js';

if (chromiumMissing) console.warn(`pages.test.ts is skipped: there is no ${chromiumPath} (Debian: apt-get install chromium; elsewhere: MILLRACE_CHROMIUM=PATH).`);

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
