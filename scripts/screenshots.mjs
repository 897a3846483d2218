// docs/play.png and docs/status.png: both pages of a real daemon with real flights, as Chromium shows them. Run after a build.
// `--all DIR` also writes dark and narrow ones, for looking at.
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect } from '../dist/clients/node/index.js';
import { launchChromium } from '../dist/test/e2e/chromium.js';
import { buildProject } from '../dist/clients/cli/kernel/build-project.js';
import { readProject } from '../dist/clients/cli/kernel/project.js';
import { setTenant, tenantFilePath } from '../dist/daemon/tenants/tenant-file.js';
import { startDaemonProcess } from '../dist/test/e2e/daemon-process.js';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const all = process.argv.includes('--all') ? process.argv[process.argv.indexOf('--all') + 1] : undefined;
const statements = [
  'SELECT origin, count(*) AS n, avg(delay) AS late\nFROM flights\nWHERE distance > 2000\nGROUP BY origin\nORDER BY n DESC\nLIMIT 5',
  'SELECT max(delay) FROM flights WHERE origin = \'SFO\'',
  'SELECT * FROM flights WHERE delay > 600',
  'SELECT delay FORM flights',
];

const daemon = await startDaemonProcess();
const browser = await launchChromium();
try {
  const client = await connect({ url: daemon.url, transport: 'http' });
  await client.put('flights', join(root, 'node_modules/vega-datasets/data/flights-3m.parquet'));
  await furnish(client);
  await client.close();
  await shoot(join(root, 'docs'), '', { width: 1280, height: 900 }, 'light');
  if (all) {
    mkdirSync(all, { recursive: true });
    for (const [suffix, viewport, colorScheme] of [['-dark', { width: 1280, height: 900 }, 'dark'], ['-phone', { width: 390, height: 844 }, 'light'], ['-phone-dark', { width: 390, height: 844 }, 'dark']]) await shoot(all, suffix, viewport, colorScheme);
  }
} finally {
  await browser.close();
  await daemon.dispose();
}

/** What a device in use has besides datasets: kernels of somebody's, a tenant with caps of its own, keys and values. */
async function furnish(client) {
  for (const name of ['log_lines', 'downscale']) {
    const { wasm } = await buildProject(readProject(join(root, 'kernels', name)), join(daemon.dir, `${name}.wasm`));
    await client.pushKernel(name, wasm);
  }
  setTenant(tenantFilePath(daemon.dir), { name: 'acme', caps: { cpuPercent: 50, deadlineMs: 2_000, memoryBytes: 64 << 20 } });
  const keys = client.kv();
  for (let i = 0; i < 200; i++) await keys.put(`flight/${i}`, new Uint8Array(32 << 10).fill(i));
  await keys.get('flight/7');
}

async function shoot(dir, suffix, viewport, colorScheme) {
  const status = await browser.newPage({ viewport, colorScheme });
  await status.goto(new URL('/status', daemon.url).href);
  await status.waitForSelector('.live.on');
  const page = await browser.newPage({ viewport, colorScheme });
  await page.goto(new URL('/play', daemon.url).href);
  await page.waitForSelector('#examples button');
  for (const statement of [...statements.slice(1), statements[0]]) {
    await page.fill('#sql', statement);
    await page.click('#run');
    await page.waitForSelector('#run:not([disabled])');
  }
  await page.click('#browser');
  await page.waitForSelector('#verdict');
  // The rows and the plan of a run stand beside what the browser found.
  const found = await page.$eval('#browser-output', (part) => part.innerHTML.length);
  if (found === 0) throw new Error('the browser run left nothing');
  await page.screenshot({ path: join(dir, `play-browser${suffix}.png`), fullPage: true });
  await page.click('#run');
  await page.waitForSelector('#plan .operator');
  await page.screenshot({ path: join(dir, `play${suffix}.png`), fullPage: true });
  // Two more answers, so that there are rates to draw.
  const drawn = await status.locator('.sparkline .line').first();
  await drawn.waitFor({ state: 'attached' });
  await status.waitForSelector('#queries td');
  await status.screenshot({ path: join(dir, `status${suffix}.png`), fullPage: true });
  await page.close();
  await status.close();
}
