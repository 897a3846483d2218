import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, connect } from '../../clients/node/index.js';
import type { PlanExecution } from '../../clients/node/scan/execute.js';
import { ResultDigest } from '../../clients/pages/result-digest.js';
import { planJson } from '../../pushdown/plan/plan-json.js';
import type { DatasetQuery } from '../../clients/node/query/dataset-query.js';
import { exampleKernel } from '../kernels/example.js';
import { hasClang, sayMissing } from '../kernels/toolchain.js';
import { chromiumMissing, launchChromium } from './chromium.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';

// The example kernels in a slot, in this client, in both at once, and in a browser: equal bits, equal digest.
sayMissing('examples.test.ts');
const rows = 20_000;
const random = (i: number): number => ((Math.imul(i, 2654435761) >>> 0) % 100_000) / 1000;
const logLine = (i: number) => (i % 97 === 0 ? `garbage ${i}` : `10.0.0.${i % 256} - ${i % 3 ? '-' : `user${i % 11}`} [${String(1 + (i % 28)).padStart(2, '0')}/Oct/2024:13:55:${String(i % 60).padStart(2, '0')} +0200] "GET /page/${i % 500} HTTP/1.1" ${i % 7 ? 200 : 404} ${i % 5 ? i : '-'}`);
const row = (i: number) => JSON.stringify({
  id: i, line: logLine(i), doc: JSON.stringify({ user: { tags: [i % 5, `tag ${i % 13}`] } }), x: i % 5000 === 4999 ? random(i) * 100 : random(i), v0: random(i + 1), v1: random(i + 2), v2: random(i + 3),
  y: Math.floor(i / 200), px: i % 200, r: i % 256, g: (i >> 3) % 256, b: (i * 7) % 256,
});

const queries: Readonly<Record<string, (client: Client) => DatasetQuery>> = {
  grep: (c) => c.dataset('rows').select('line').kernel('grep', { pattern: '"GET /page/4\\d{2} .*" 404' }),
  knn: (c) => c.dataset('rows').select('id', 'v0', 'v1', 'v2').kernel('knn', { query: [50, 20.5, 70], k: 25 }),
  json_field: (c) => c.dataset('rows').select('doc').kernel('json_field', { path: 'user.tags[1]' }),
  downscale: (c) => c.dataset('rows').select('y', 'px', 'r', 'g', 'b').kernel('downscale', { width: 200, height: 200, factor: 8 }),
  zscore: (c) => c.dataset('rows').select('id', 'x').kernel('zscore', { threshold: 5 }),
  log_lines: (c) => c.dataset('rows').select('line').kernel('log_lines'),
};
const there = Object.keys(queries).filter((name) => hasClang || !['grep', 'knn', 'json_field'].includes(name));

let daemon: DaemonProcess;
const clients: Client[] = [];
const digests = new Map<string, { readonly kernel: string; readonly result: string; readonly rows: number }>();

beforeAll(async () => {
  daemon = await startDaemonProcess({ args: ['--row-group-rows', '4096'] });
  for (const transport of ['http', 'shm'] as const) clients.push(await connect({ url: daemon.url, transport }));
  await clients[0]!.put('rows', Buffer.from(Array.from({ length: rows }, (_, i) => row(i)).join('\n')), { format: 'json' });
  for (const name of there) await clients[0]!.pushKernel(name, await exampleKernel(name));
}, 240_000);
afterAll(async () => {
  for (const client of clients) await client.close();
  await daemon.dispose();
});

describe.each(there)('%s', (name) => {
  it('gives equal bits by one module in a slot, in this client and in both', async () => {
    const found = new Set<string>();
    for (const client of clients)
      for (const pushdown of ['never', 'always', 'auto'] as const) {
        const stream = queries[name]!(client).stream({ pushdown }) as PlanExecution;
        const digest = new ResultDigest();
        for await (const batch of stream) digest.add(batch);
        const { morselsDevice, morselsHost } = stream.stats();
        expect(morselsDevice + morselsHost).toBe(5);
        if (pushdown !== 'auto') expect(pushdown === 'never' ? morselsDevice : morselsHost).toBe(0);
        const kernel = createHash('sha256').update(stream.prepared!.compiled.scan.wasm).digest('hex');
        digests.set(name, { kernel, result: digest.hex(), rows: digest.rows });
        found.add(`${kernel} ${digest.hex()} ${digest.rows}`);
      }
    expect([...found]).toHaveLength(1);
    expect(digests.get(name)!.rows).toBeGreaterThan(0);
  });
});

describe.skipIf(chromiumMissing)('in Chromium', () => {
  it('the same kernels give the same digests', { timeout: 240_000 }, async () => {
    const browser = await launchChromium();
    try {
      const page = await browser.newPage();
      await page.goto(new URL('/play', daemon.url).href);
      for (const name of there) {
        const plan = planJson(queries[name]!(clients[0]!).plan);
        // As text: what transforms these tests would replace import().
        const answer = (await page.evaluate(`(async () => {
          const at = '/play/modules/';
          const [{ Api }, { runPlanInBrowser }, { planOfJson }] = await Promise.all(['clients/pages/api.js', 'clients/pages/browser-host.js', 'pushdown/plan/plan-json.js'].map((path) => import(at + path)));
          const { runs, equal } = await runPlanInBrowser(new Api(), planOfJson(JSON.parse(${JSON.stringify(plan)})), 0, new AbortController().signal, () => undefined);
          return { equal, runs: runs.map(({ resultDigest, kernelDigest, deviceKernelDigest, stats }) => ({ resultDigest, kernelDigest, deviceKernelDigest, host: stats.morselsHost, device: stats.morselsDevice })) };
        })()`)) as { equal: boolean; runs: unknown[] };
        const { kernel, result } = digests.get(name)!;
        expect(answer.equal, name).toBe(true);
        expect(answer.runs[0], name).toEqual({ resultDigest: result, kernelDigest: kernel, deviceKernelDigest: kernel, host: 0, device: 5 });
        expect(answer.runs[1], name).toMatchObject({ resultDigest: result, kernelDigest: kernel, host: 5, device: 0 });
      }
    } finally {
      await browser.close();
    }
  });
});

describe('a kernel that fails', () => {
  it('says so, in its merge and in its scan, with the digest where a slot ran it', async () => {
    const [client] = clients as [Client];
    for (const pushdown of ['never', 'always'] as const) {
      await expect(client.dataset('rows').select('id', 'x').kernel('zscore', { threshold: 0.1, keep: 1 }).collect({ pushdown })).rejects.toMatchObject({ code: 'MR_KERNEL_KERNEL_ERROR', message: expect.stringContaining('returned -16') });
      const outside = client.dataset('rows').select('y', 'px', 'r', 'g', 'b').kernel('downscale', { width: 10, height: 10 }).collect({ pushdown });
      await expect(outside).rejects.toMatchObject({ code: 'MR_KERNEL_KERNEL_ERROR', message: expect.stringMatching(pushdown === 'always' ? /in slot \d+ .*sha256:[0-9a-f]{64}/ : /on the host/) });
    }
    await expect(client.dataset('rows').select('id', 'x').kernel('zscore', { threshold: 0 }).collect()).rejects.toMatchObject({ code: 'MR_KERNEL_KERNEL_ERROR', message: expect.stringContaining('takes a threshold above 0') });
  });
});
