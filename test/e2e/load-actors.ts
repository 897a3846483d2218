import { request } from 'node:http';
import { readFileSync } from 'node:fs';
import { tableFromIPC } from 'apache-arrow';
import { avg, type Client, col, count, max } from '../../clients/node/index.js';
import { duckRows, textRows } from './flights.js';

/** What a load run counts; `wrong` must stay empty. */
export interface Tally {
  readonly done: Record<string, number>;
  /** Refusals the daemon may give under load, by code. */
  readonly refused: Record<string, number>;
  readonly wrong: string[];
  /** Milliseconds of what was done. */
  readonly ms: Record<string, number[]>;
}

export interface LoadContext {
  readonly url: string;
  readonly client: Client;
  /** 0..1, seeded. */
  readonly random: () => number;
  readonly truth: Truth;
  /** A name nobody else uses. */
  readonly fresh: () => string;
}

const statements = [
  'SELECT origin, count(*) AS n, max(delay) AS worst FROM flights GROUP BY origin ORDER BY n DESC, origin LIMIT 20',
  'SELECT count(*) AS n, min(distance) AS near, max(distance) AS far FROM flights WHERE delay > 60',
  "SELECT delay, distance FROM flights WHERE origin = 'SFO' AND delay > 400 ORDER BY delay, distance",
  'SELECT destination, sum(delay) AS s FROM flights WHERE distance BETWEEN 500 AND 800 GROUP BY destination ORDER BY s DESC, destination LIMIT 5',
  'SELECT a.origin AS o, a.n AS n FROM (SELECT origin, count(*) AS n FROM flights GROUP BY origin) a JOIN (SELECT destination, count(*) AS n FROM flights GROUP BY destination) b ON a.origin = b.destination AND a.n > b.n ORDER BY 2 DESC, 1 LIMIT 7',
];
const longStatement = 'SELECT delay, distance FROM flights WHERE delay > 90';

export interface Truth {
  readonly rows: ReadonlyMap<string, string>;
  readonly longRows: number;
  readonly uploadRows: string;
  readonly file: Buffer;
}

const canonical = (rows: readonly (readonly unknown[])[]): string => rows.map((row) => row.map(String).join('|')).join('\n');

export async function learnTruth(client: Client, file: string): Promise<Truth> {
  const rows = new Map<string, string>();
  for (const sql of statements) rows.set(sql, canonical(await duckRows(sql)));
  const [[long = 0] = []] = await duckRows(`SELECT count(*) FROM (${longStatement})`);
  await client.put('learnt', file);
  const uploadRows = canonical((await client.dataset('learnt').agg({ n: count(), worst: max('delay') }).collect()).toCanonicalRows());
  await client.remove('learnt');
  return { rows, longRows: Number(long), uploadRows, file: readFileSync(file) };
}

const pick = <T>(random: () => number, from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
const pushdowns = ['auto', 'always', 'never'] as const;

/** One piece of a client's life each. A thrown text is a wrong answer. */
export const actors: Readonly<Record<string, { readonly weight: number; act(context: LoadContext): Promise<void> }>> = {
  sql: {
    weight: 8,
    async act({ url, random, truth }) {
      const sql = pick(random, statements);
      const pushdown = pick(random, pushdowns);
      const { status, body } = await post(url, '/v1/sql', { sql, pushdown });
      expectStatus(status, body);
      const lines = body.toString().trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
      if (!lines.at(-1)?.summary) throw new WrongAnswer(`no summary under ${sql}`);
      const got = canonical(textRows(lines.slice(0, -1)));
      if (got !== truth.rows.get(sql)) throw new WrongAnswer(`${sql} (${pushdown})\n${got}\ninstead of\n${truth.rows.get(sql)}`);
    },
  },
  arrow: {
    weight: 2,
    async act({ url, random, truth }) {
      const { status, body } = await post(url, '/v1/sql', { sql: longStatement, pushdown: pick(random, pushdowns), format: 'arrow' });
      expectStatus(status, body);
      const { numRows } = tableFromIPC(body);
      if (numRows !== truth.longRows) throw new WrongAnswer(`${numRows} rows of ${truth.longRows} in an Arrow answer`);
    },
  },
  library: {
    weight: 4,
    async act({ client, random, truth }) {
      const result = await client.dataset('flights').filter(col('delay').gt(90)).agg({ n: count(), mean: avg(col('delay')) }).collect({ pushdown: pick(random, pushdowns) });
      const [[n] = []] = result.toCanonicalRows();
      if (Number(n) !== truth.longRows) throw new WrongAnswer(`${String(n)} rows of ${truth.longRows} over scans`);
    },
  },
  slowReader: {
    weight: 1,
    async act({ url, random, truth }) {
      const { status, body } = await post(url, '/v1/sql', { sql: longStatement }, { pauseMs: 1 + random() * 10 });
      expectStatus(status, body);
      const rows = body.toString().split('\n').length - 2;
      if (rows !== truth.longRows) throw new WrongAnswer(`${rows} rows of ${truth.longRows} to a slow reader`);
    },
  },
  leave: {
    weight: 3,
    async act({ url, random }) {
      await post(url, '/v1/sql', { sql: longStatement, pushdown: pick(random, pushdowns) }, { leaveAfterMs: random() * 80 });
    },
  },
  abandonScan: {
    weight: 2,
    async act({ url, random }) {
      const { status, body } = await post(url, '/v1/scans', { dataset: 'flights', columns: [0, 1], rowGroups: [0, 1, 2, 3], deviceRuns: false });
      expectStatus(status, body);
      const { scan } = JSON.parse(body.toString()) as { scan: number };
      // Some of it claimed, the connection dropped in the middle; nobody closes it.
      await post(url, `/v1/scans/${scan}/claims`, { morsels: 3 }, { leaveAfterMs: random() * 5 });
    },
  },
  cancel: {
    weight: 1,
    async act({ url, random, fresh }) {
      const id = fresh();
      const running = post(url, '/v1/sql', { sql: 'SELECT count(*) AS n FROM flights a, flights b WHERE a.delay + b.delay = 12345678', id });
      await new Promise((resolve) => setTimeout(resolve, random() * 60));
      let ended = false;
      void running.finally(() => { ended = true; });
      // Until it is known there: the two requests come in any order.
      while (!ended && (await send(url, 'DELETE', `/v1/queries/${id}`)).status === 404) await new Promise((resolve) => setTimeout(resolve, 20));
      const { status, body } = await running;
      if (status === 200) throw new WrongAnswer('a cancelled query was answered');
      expectStatus(status, body, ['MR_CANCELLED']);
    },
  },
  upload: {
    weight: 1,
    async act({ client, fresh, truth }) {
      const name = fresh();
      await client.put(name, truth.file, { format: 'arrow' });
      try {
        const got = canonical((await client.dataset(name).agg({ n: count(), worst: max('delay') }).collect()).toCanonicalRows());
        if (got !== truth.uploadRows) throw new WrongAnswer(`${got} instead of ${truth.uploadRows} in an upload`);
      } finally {
        await client.remove(name);
      }
    },
  },
};

export class WrongAnswer extends Error {}
class Refused extends Error {
  constructor(readonly code: string) { super(code); }
}

/** A full daemon may say so. */
const fullness = ['MR_TOO_MANY_QUERIES', 'MR_TOO_MANY_SCANS', 'MR_TOO_MANY_REQUESTS', 'MR_TOO_MANY_PROGRAMS'];

function expectStatus(status: number, body: Buffer, also: readonly string[] = []): void {
  if (status === 200) return;
  const { code = 'no code' } = JSON.parse(body.toString()) as { code?: string };
  if (fullness.includes(code) || also.includes(code)) throw new Refused(code);
  throw new WrongAnswer(`${status} ${body.toString().slice(0, 300)}`);
}

/** Does one thing after the other until the time is over. */
export async function live(context: LoadContext, untilMs: number, tally: Tally): Promise<void> {
  const deck = Object.entries(actors).flatMap(([name, { weight }]) => Array.from({ length: weight }, () => name));
  while (performance.now() < untilMs && tally.wrong.length === 0) {
    const name = pick(context.random, deck);
    const started = performance.now();
    try {
      await actors[name]?.act(context);
      (tally.ms[name] ??= []).push(performance.now() - started);
      tally.done[name] = (tally.done[name] ?? 0) + 1;
    } catch (error) {
      const code = error instanceof Refused ? error.code : (error as { code?: string }).code;
      if (code !== undefined && (error instanceof Refused || fullness.includes(code))) tally.refused[code] = (tally.refused[code] ?? 0) + 1;
      else tally.wrong.push(`${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
  }
}

interface Reading { readonly pauseMs?: number; readonly leaveAfterMs?: number }

const post = (url: string, path: string, json: object, reading: Reading = {}) => send(url, 'POST', path, json, reading);

/** One request over a connection of its own. Leaving early resolves with status 0. */
function send(url: string, method: string, path: string, json?: object, { pauseMs, leaveAfterMs }: Reading = {}): Promise<{ status: number; body: Buffer }> {
  return new Promise((resolve, reject) => {
    let left = false;
    const outgoing = request(new URL(path, url), { method, agent: false, headers: json ? { 'content-type': 'application/json' } : {} }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => {
        parts.push(part);
        if (pauseMs === undefined) return;
        response.pause();
        setTimeout(() => response.resume(), pauseMs);
      });
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts) }));
      response.once('error', (error) => (left ? resolve({ status: 0, body: Buffer.alloc(0) }) : reject(error)));
    });
    outgoing.once('error', (error) => (left ? resolve({ status: 0, body: Buffer.alloc(0) }) : reject(error)));
    outgoing.end(json && JSON.stringify(json));
    if (leaveAfterMs !== undefined)
      setTimeout(() => {
        left = true;
        outgoing.destroy();
        resolve({ status: 0, body: Buffer.alloc(0) });
      }, leaveAfterMs);
  });
}
