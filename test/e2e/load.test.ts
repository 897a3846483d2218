// Many clients at once: queries, uploads, slow readers, cancelled queries and connections that break. No wrong answer, and
// afterwards nothing is left of them: no scan, claim, dataset, block, descriptor or device memory, and no growing process.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Client, connect } from '../../clients/node/index.js';
import { packageRoot } from '../../native/index.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';
import { flightsPath } from './flights.js';
import { learnTruth, live, type LoadContext, type Tally } from './load-actors.js';

const long = process.env.MILLRACE_TEST === 'long';
/** MILLRACE_LOAD=CLIENTSxSECONDS chooses another size, such as 64x600. */
const [, clients, seconds] = (/^(\d+)x(\d+)$/.exec(process.env.MILLRACE_LOAD ?? (long ? '64x600' : '16x10')) ?? []).map(Number) as [number, number, number];
const seed = Number(process.env.MILLRACE_SEED ?? (long ? Date.now() % 1_000_000 : 7));
/** Growth of the daemon's own memory between the run's first third and its end. */
const growthBytesMax = 96 << 20;
/** Clients share one event loop here: an honest one's turn comes later the more there are. */
const idleMs = 100 * clients;
const patient = { timeout: 15_000, interval: 100 };

let daemon: DaemonProcess;
let client: Client;
beforeAll(async () => {
  daemon = await startDaemonProcess({ args: ['--query-workers', '3', '--scan-idle-ms', String(idleMs), '--query-deadline-ms', '30000', '--log-level', 'error'] });
  client = await connect({ url: daemon.url, transport: 'http' });
  await client.put('flights', flightsPath);
});
afterAll(async () => {
  await client?.close();
  await daemon?.dispose();
});

interface Held { readonly scansOpen: number; readonly claimsOpen: number; readonly associations: number; readonly restScansOpen: number; readonly datasets: number; readonly freeBytes: number; readonly running: number; readonly descriptors: number }

async function held(): Promise<Held> {
  const metrics = await (await fetch(new URL('/metrics', daemon.url), { headers: { connection: 'close' } })).text();
  const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(metrics)?.[1]);
  const { queries, uploads } = Object.assign({}, ...(await Promise.all(['queries', 'uploads'].map(async (kind) => (await fetch(new URL(`/v1/${kind}`, daemon.url), { headers: { connection: 'close' } })).json())))) as Record<'queries' | 'uploads', { state: string }[]>;
  return {
    scansOpen: value('millrace_scans_open'), claimsOpen: value('millrace_claims_open'), associations: value('millrace_associations'), restScansOpen: value('millrace_rest_scans_open'),
    datasets: value('millrace_datasets'), freeBytes: value('millrace_namespace_free_bytes'),
    running: [...queries, ...uploads].filter(({ state }) => state === 'running' || state === 'waiting').length,
    descriptors: descriptors(),
  };
}

/** Sockets come and go with kept connections: what is not one must be as it was. */
function descriptors(): number {
  return readdirSync(`/proc/${daemon.pid}/fd`).length;
}

/** Private and proportional memory of the daemon, device memory (shared memfds) left out. */
function ownBytes(): number {
  let bytes = 0;
  let memfd = false;
  for (const line of readFileSync(`/proc/${daemon.pid}/smaps`, 'utf8').split('\n')) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) memfd = line.includes('memfd:');
    const kib = /^Pss:\s+(\d+) kB/.exec(line);
    if (kib && !memfd) bytes += Number(kib[1]) * 1024;
  }
  return bytes;
}

it(`${clients} clients for ${seconds} s (seed ${seed}: MILLRACE_SEED=${seed} replays)`, { timeout: (seconds + 80) * 1000 }, async () => {
  const truth = await learnTruth(client, join(packageRoot, 'node_modules/vega-datasets/data/flights-200k.arrow'));
  const tally: Tally = { done: {}, refused: {}, wrong: [], ms: {} };
  let names = 0;
  const run = async (forMs: number) => {
    const until = performance.now() + forMs;
    await Promise.all(
      Array.from({ length: clients }, async (_, i) => {
        const mine = await connect({ url: daemon.url, transport: 'http' });
        const context: LoadContext = { url: daemon.url, client: mine, random: mulberry(seed * 1000 + i), truth, fresh: () => `fresh-${names++}` };
        try {
          await live(context, until, tally);
        } finally {
          await mine.close();
        }
      }),
    );
    expect(tally.wrong).toEqual([]);
    // What the last ones left behind is taken back by itself.
    await expect.poll(async () => pickQuiet(await held()), patient).toEqual({ scansOpen: 0, claimsOpen: 0, restScansOpen: 0, running: 0, datasets: 1 });
  };
  // The first third brings workers, buffers and caches to their size.
  await run((seconds * 1000) / 3);
  const before = await held();
  const bytesBefore = ownBytes();
  await run((seconds * 2000) / 3);
  await expect.poll(async () => (await held()).freeBytes, patient).toBe(before.freeBytes);
  await expect.poll(descriptors, patient).toBeLessThanOrEqual(before.descriptors + 4);
  await expect.poll(async () => (await held()).associations, patient).toBeLessThanOrEqual(before.associations);
  const grown = ownBytes() - bytesBefore;
  console.log(`load: ${JSON.stringify(tally.done)}, refused ${JSON.stringify(tally.refused)}, own memory ${(bytesBefore / 2 ** 20).toFixed(0)} MiB ${grown < 0 ? '-' : '+'} ${Math.abs(grown / 2 ** 20).toFixed(1)} MiB`);
  const at = (ms: readonly number[], q: number) => [...ms].sort((a, b) => a - b)[Math.floor((ms.length - 1) * q)]?.toFixed(0) ?? '-';
  const done = Object.values(tally.done).reduce((sum, n) => sum + n, 0);
  console.log(`load: ${(done / seconds).toFixed(1)} operations/s; ms p50/p99: ${Object.entries(tally.ms).map(([name, ms]) => `${name} ${at(ms, 0.5)}/${at(ms, 0.99)}`).join(', ')}`);
  expect(grown).toBeLessThan(growthBytesMax);
  for (const name of ['sql', 'library', 'leave']) expect(tally.done[name] ?? 0).toBeGreaterThan(0);
  expect(daemon.log()).not.toMatch(/request failed|invariant|unhandled/i);
});

const pickQuiet = ({ scansOpen, claimsOpen, restScansOpen, running, datasets }: Held) => ({ scansOpen, claimsOpen, restScansOpen, running, datasets });

function mulberry(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
