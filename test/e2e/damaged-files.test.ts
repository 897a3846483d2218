// Files cut short and with flipped bits at seeded places: a stable code, the daemon as it was, nothing half-written.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import zlib from 'node:zlib';
import { Field, Int32, List, Struct, Table, tableFromArrays, tableToIPC, Utf8, Utf8View, vectorFromArray } from 'apache-arrow';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Client, connect } from '../../clients/node/index.js';
import { native } from '../../native/index.js';
import type { MillraceError } from '../../pushdown/types/error.js';
import { errorCatalogue } from '../../pushdown/types/error-catalogue.js';
import type { SourceFormat } from '../../pushdown/types/source-options.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';
import { pssBytes, pssGrowthBytesMax } from './process-memory.js';

const long = process.env.MILLRACE_TEST === 'long';
const places = long ? 1_000 : 60;
const seed = long ? (Date.now() >>> 0) : 20_261_122;

let daemon: DaemonProcess;
let client: Client;
let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-damaged-'));
  daemon = await startDaemonProcess({ args: ['--slots', '1'] });
  client = await connect({ url: daemon.url, transport: 'http' });
});
afterAll(async () => {
  await client?.close();
  await daemon?.dispose();
  rmSync(dir, { recursive: true, force: true });
});

/** xorshift32 */
function random(state: number): () => number {
  let s = state || 1;
  return () => {
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    return (s >>> 0) / 2 ** 32;
  };
}

async function sound(): Promise<readonly (readonly [SourceFormat, Uint8Array])[]> {
  const path = join(dir, 'sound.parquet');
  const db = native().openDuckDB({ memoryLimitBytes: 256 << 20, threads: 1, locked: false });
  await db.query(`COPY (SELECT i, 'text ' || (i % 50) AS s, i / 3 AS f, [i, i + 1] AS l, DATE '2020-01-01' + (i % 900)::INTEGER AS d FROM range(2000) t(i)) TO '${path}' (FORMAT parquet)`);
  db.close();
  const csv = Buffer.from(`i,s,f\n${Array.from({ length: 500 }, (_, i) => `${i},"text, ${i % 50}",${i / 4}`).join('\n')}\n`);
  const json = Buffer.from(Array.from({ length: 500 }, (_, i) => JSON.stringify({ i, s: `text ${i}`, l: [i, { a: i }] })).join('\n'));
  const nested = new Table({
    l: vectorFromArray(Array.from({ length: 300 }, (_, i) => (i % 7 ? [{ a: i, b: `t${i}` }, null] : null)), new List(new Field('item', new Struct([new Field('a', new Int32(), true), new Field('b', new Utf8(), true)] as never), true))),
    v: vectorFromArray(Array.from({ length: 300 }, (_, i) => `a view longer than twelve bytes ${i}`), new Utf8View()),
  });
  return [['parquet', readFileSync(path)], ['arrow', tableToIPC(nested)], ['arrow', tableToIPC(tableFromArrays({ i: Int32Array.from({ length: 500 }, (_, i) => i), s: Array.from({ length: 500 }, (_, i) => `t${i % 9}`) }))], ['csv', csv], ['json', json], ['csv', zlib.gzipSync(csv)], ['json', zlib.gzipSync(json)]];
}

/** Uploads and staging databases that were left behind. */
const leftovers = (): readonly string[] => readdirSync(join(daemon.dir, 'tmp'));

it(`${places} damaged files (seed ${seed}) are refused with a code, or load what they still say`, async () => {
  const files = await sound();
  await client.put('kept', files[0]?.[1] ?? new Uint8Array());
  const known = new Set(Object.values(errorCatalogue).flat().map(({ code }) => code));
  const next = random(seed);
  const codes = new Map<string, number>();
  let pssAtHundred = 0;
  for (let i = 0; i < places; i++) {
    const [format, bytes] = files[i % files.length] ?? ['csv', new Uint8Array()];
    const at = Math.floor(next() * bytes.byteLength);
    const damaged = next() < 0.5 ? bytes.slice(0, at) : Uint8Array.from(bytes);
    if (damaged.byteLength === bytes.byteLength) damaged[at] = (damaged[at] ?? 0) ^ (1 << Math.floor(next() * 8));
    try {
      await client.put('damaged', damaged, { format });
      codes.set('loaded', (codes.get('loaded') ?? 0) + 1);
      await client.remove('damaged');
    } catch (error) {
      const { code, message } = error as MillraceError;
      expect(known, `place ${i}, ${format} at ${at}: ${code} ${message}`).toContain(code);
      expect(message.length).toBeLessThan(5_000);
      // A child that died, or met what it does not know, would be ours to mend: where, how and with which file it did is said.
      expect([code, code === 'MR_INGEST_FAILED' || code === 'MR_TABLE_INVALID' ? `seed ${seed}, place ${i}, ${format}, byte ${at}: ${message}` : '']).toEqual([code, '']);
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    if (i === Math.min(99, places >> 1)) pssAtHundred = pssBytes(daemon.pid);
  }
  expect([...codes.keys()].filter((code) => !/^(loaded|MR_(FILE_INVALID|TYPE_UNSUPPORTED|FILE_CHANGED|INGEST_MEMORY|ROW_TOO_LARGE))$/.test(code))).toEqual([]);
  expect(codes.get('MR_FILE_INVALID') ?? 0).toBeGreaterThan(places / 10);
  expect((await client.datasets()).map((d) => d.name)).toEqual(['kept']);
  expect(leftovers()).toEqual([]);
  expect((await client.sql('SELECT count(*) AS n, max(i) AS m FROM kept')).toRows()).toEqual([{ n: 2000n, m: 1999n }]);
  const grown = pssBytes(daemon.pid) - pssAtHundred;
  console.log(`damaged files: ${JSON.stringify(Object.fromEntries(codes))}; PSS of the daemon after the ${Math.min(100, places >> 1)}th ${(pssAtHundred / 1e6).toFixed(1)} MB, after the ${places}th ${grown < 0 ? '-' : '+'}${Math.abs(grown / 1e6).toFixed(1)} MB`);
  expect(grown).toBeLessThan(pssGrowthBytesMax);
}, long ? 1_800_000 : 60_000);
