import { inflateSync } from 'node:zlib';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { testProject } from '../../clients/cli/kernel/test-project.js';
import { readProject } from '../../clients/cli/kernel/project.js';
import { kernelParams, type KernelParams } from '../../clients/node/user/kernel-params.js';
import { packageRoot } from '../../native/index.js';
import type { Expr } from '../../pushdown/expr/expr.js';
import type { Value } from '../../pushdown/reference/value.js';
import type { LogicalType } from '../../pushdown/types/logical.js';
import { exampleKernel } from '../kernels/example.js';
import { hasClang, sayMissing } from '../kernels/toolchain.js';
import { batchesOf, columnsOf } from './batch.js';
import { localRows } from './local.js';

// Each example kernel against another implementation of the same thing, over several sizes of row group.
sayMissing('examples.test.ts');
const inC = new Set(['grep', 'knn', 'json_field']);
const long = process.env.MILLRACE_TEST === 'long';
const seed = 20_251_125;

/** Half a surrogate pair has no UTF-8: it becomes U+FFFD. */
const wellFormed = (text: string): string => Buffer.from(text, 'utf8').toString('utf8');

const modules = new Map<string, Promise<Uint8Array<ArrayBuffer>>>();
function moduleOf(name: string): Promise<Uint8Array<ArrayBuffer>> {
  let module = modules.get(name);
  if (!module) modules.set(name, (module = exampleKernel(name)));
  return module;
}

async function run(name: string, params: KernelParams, types: Readonly<Record<string, LogicalType['kind']>>, rows: readonly (readonly Value[])[], rowGroupRows: number): Promise<Value[][]> {
  const columns = columnsOf(types);
  return localRows([{ kind: 'kernel', name, params: kernelParams(params) }], columns, batchesOf(columns, rows, rowGroupRows), { [name]: await moduleOf(name) });
}

describe.each(['grep', 'knn', 'json_field', 'downscale', 'zscore', 'log_lines'])('%s', (name) => {
  it.skipIf(inC.has(name) && !hasClang)('passes its own cases', async () => {
    expect(await testProject(readProject(`${packageRoot}/kernels/${name}`), await moduleOf(name))).toBeGreaterThan(0);
  });
});

describe.skipIf(!hasClang)('grep, beside RegExp of JavaScript', () => {
  const atom = fc.oneof(fc.constantFrom('a', 'b', 'c', '.', '\\d', '\\w', '\\s', '\\D', '\\W', '[abc]', '[^ab]', '[a-c1-3]', 'é', '\\.', '-', '^', '$'));
  const pattern = fc.letrec<{ node: string }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 4 }, atom,
      fc.tuple(tie('node'), tie('node')).map(([a, b]) => a + b),
      fc.tuple(tie('node'), tie('node')).map(([a, b]) => `(?:${a}|${b})`),
      fc.tuple(tie('node'), fc.constantFrom('*', '+', '?', '{2}', '{1,3}', '{0,2}', '{2,}')).map(([a, q]) => `(${a})${q}`),
    ),
  })).node;
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '1', '3', ' ', '.', '-', 'é', 'ß', '😀', '_'), maxLength: 20 });

  it('finds what it finds, in random patterns and texts', { timeout: 300_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(pattern, fc.array(text, { minLength: 1, maxLength: 60 }), async (source, texts) => {
        const oracle = new RegExp(source, 'u');
        const got = await run('grep', { pattern: source }, { text: 'utf8' }, texts.map((t) => [t]), 17);
        expect(got.map(([t]) => t)).toEqual(texts.filter((t) => oracle.test(t)));
      }),
      { numRuns: long ? 5000 : 200, seed },
    );
  });

  it('takes linear time where backtracking takes for ever, also with more states than it keeps', async () => {
    const texts = [`${'a'.repeat(50_000)}!`, 'ab'.repeat(20_000)];
    expect(await run('grep', { pattern: '^(a+)+$' }, { text: 'utf8' }, texts.map((t) => [t]), 2)).toEqual([]);
    const random = Array.from({ length: 200 }, (_, i) => [Array.from({ length: 400 }, (_, j) => ((i * 7919 + j * j * 104729) >> 3) & 1 ? 'a' : 'b').join('')]);
    const oracle = /a[ab]{11}a/;
    expect(await run('grep', { pattern: oracle.source }, { text: 'utf8' }, random, 64)).toEqual(random.filter(([t]) => oracle.test(t!)));
  });

  it('says what is wrong with a pattern', async () => {
    for (const wrong of ['(a', 'a)', '[a', '*a', 'a**', 'a{3,1}', '\\', '\\q', '[ä]', 'a{2000}']) await expect(run('grep', { pattern: wrong }, { text: 'utf8' }, [['x']], 1), wrong).rejects.toMatchObject({ code: 'MR_KERNEL_KERNEL_ERROR' });
    await expect(run('grep', {}, { text: 'utf8' }, [['x']], 1)).rejects.toThrow('needs the parameter pattern');
  });

  it('is a function of SQL too', async () => {
    const columns = columnsOf({ text: 'utf8' });
    const rows = [['2024-01-31'], ['x'], [null], ['1999-12-01 ']];
    const predicate: Expr = { kind: 'call', name: 'grep.matches', args: [{ kind: 'column', name: 'text' }, { kind: 'literal', value: '^\\d{4}-\\d\\d-\\d\\d$', type: { kind: 'utf8' } }] };
    expect(await localRows([{ kind: 'filter', predicate }], columns, batchesOf(columns, rows, 2), { grep: await moduleOf('grep') })).toEqual([['2024-01-31']]);
  });
});

describe.skipIf(!hasClang)('knn, beside brute force', () => {
  const f = Math.fround;
  const row = (dimensions: number) => fc.array(fc.option(fc.float({ noNaN: true, min: -100, max: 100 }), { freq: 30 }), { minLength: dimensions, maxLength: dimensions });
  it.each(['l2', 'cosine'] as const)('finds the same neighbours, ties included (%s)', { timeout: 300_000 }, async (metric) => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 9 }).chain((d) => fc.tuple(fc.array(fc.integer({ min: -9, max: 9 }), { minLength: d, maxLength: d }), fc.array(row(d), { minLength: 1, maxLength: 300 }))), fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 200 }), async ([query, vectors], k, size) => {
        const norm = Math.sqrt(query.reduce((sum, q) => f(sum + f(f(q) * f(q))), 0));
        const distance = (v: readonly (number | null)[]): number => {
          if (v.includes(null)) return Number.NaN;
          let [sum, own] = [0, 0];
          v.forEach((x, i) => {
            const value = f(x!);
            if (metric === 'l2') sum = f(sum + f(f(value - query[i]!) * f(value - query[i]!)));
            else [sum, own] = [f(sum + f(value * query[i]!)), f(own + f(value * value))];
          });
          return metric === 'l2' ? Math.sqrt(sum) : 1 - sum / (norm * Math.sqrt(own));
        };
        const best = vectors.map((v, i) => [BigInt(i), distance(v)] as const).filter(([, d]) => !Number.isNaN(d)).sort((a, b) => a[1] - b[1] || Number(a[0] - b[0])).slice(0, k);
        const types = { id: 'int64', ...Object.fromEntries(query.map((_, i) => [`v${i}`, 'float32'])) } as Record<string, LogicalType['kind']>;
        expect(await run('knn', { query, k, metric }, types, vectors.map((v, i) => [BigInt(i), ...v.map((x) => (x === null ? null : f(x)))]), size)).toEqual(best.map((b) => [...b]));
      }),
      { numRuns: long ? 2000 : 40, seed },
    );
  });
});

describe.skipIf(!hasClang)('json_field, beside JSON.parse', () => {
  const get = (document: unknown, path: readonly (string | number)[]): unknown => path.reduce<unknown>((at, step) => (typeof at === 'object' && at !== null && (typeof step === 'number') === Array.isArray(at) && Object.hasOwn(at, step) ? (at as Record<string | number, unknown>)[step] : undefined), document);
  const key = fc.constantFrom('a', 'b', 'key', 'ü', 'x y', '__proto');
  const json = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof({ maxDepth: 4 }, fc.constant(null), fc.boolean(), fc.integer(), fc.string({ unit: 'grapheme', maxLength: 8 }), fc.string({ maxLength: 6 }), fc.array(tie('value'), { maxLength: 4 }), fc.dictionary(key, tie('value'), { maxKeys: 4 })),
  })).value;
  const path = fc.array(fc.oneof(key, fc.integer({ min: 0, max: 3 })), { minLength: 1, maxLength: 3 });
  const written = (steps: readonly (string | number)[]) => steps.map((s, i) => (typeof s === 'number' ? `[${s}]` : `${i === 0 ? '' : '.'}${s}`)).join('');

  it('finds the same values', { timeout: 300_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(json, { minLength: 1, maxLength: 40 }), path, fc.constantFrom(undefined, 1), fc.integer({ min: 1, max: 40 }), async (documents, steps, indent, size) => {
        const expected = documents.map((d) => get(d, steps)).map((v) => (v === undefined || v === null ? null : v));
        const got = await run('json_field', { path: written(steps) }, { json: 'utf8' }, documents.map((d) => [JSON.stringify(d, undefined, indent)]), size);
        // Strings are their characters, anything else its JSON.
        expect(got.map(([v], i) => (v === null || typeof expected[i] === 'string' ? v : (JSON.parse(String(v)) as unknown)))).toEqual(expected.map((v) => (typeof v === 'string' ? wellFormed(v) : v)));
      }),
      { numRuns: long ? 5000 : 200, seed },
    );
  });

  it('reads real documents', async () => {
    const movies = JSON.parse(readFileSync(`${packageRoot}/node_modules/vega-datasets/data/movies.json`, 'utf8')) as Record<string, unknown>[];
    const rows = movies.map((m) => [JSON.stringify(m)]);
    for (const field of ['Title', 'US Gross', 'Rotten Tomatoes Rating']) {
      const got = await run('json_field', { path: field }, { json: 'utf8' }, rows, 1000);
      expect(got.map(([v]) => v)).toEqual(movies.map((m) => (m[field] === null || m[field] === undefined ? null : String(m[field]))));
    }
  });
});

describe('downscale, beside means by hand', () => {
  interface Image { readonly width: number; readonly height: number; at(y: number, x: number): readonly [number, number, number] }
  function scaled({ width, height, at }: Image, factor: number): bigint[][] {
    const rows: bigint[][] = [];
    for (let oy = 0; oy * factor < height; oy++)
      for (let ox = 0; ox * factor < width; ox++) {
        const pixels: (readonly number[])[] = [];
        for (let y = oy * factor; y < Math.min(height, (oy + 1) * factor); y++) for (let x = ox * factor; x < Math.min(width, (ox + 1) * factor); x++) pixels.push(at(y, x));
        rows.push([oy, ox, ...[0, 1, 2].map((c) => Math.round(pixels.reduce((sum, p) => sum + p[c]!, 0) / pixels.length))].map(BigInt));
      }
    return rows;
  }
  const pixelRows = ({ width, height, at }: Image) => Array.from({ length: width * height }, (_, i) => [Math.floor(i / width), i % width, ...at(Math.floor(i / width), i % width)].map(BigInt));
  const types = { y: 'int32', x: 'int32', r: 'int32', g: 'int32', b: 'int32' } as const;

  it('gives several resolutions of a random image', async () => {
    const image: Image = { width: 61, height: 37, at: (y, x) => [(x * 31 + y * 17) % 256, (x * y) % 256, (x ^ y) % 256] };
    for (const factor of [1, 2, 5, 64]) for (const size of [61 * 37, 500]) expect(await run('downscale', { factor, width: 61, height: 37 }, types, pixelRows(image), size)).toEqual(scaled(image, factor));
  });

  it('and of a real one', { timeout: 120_000 }, async () => {
    const image = part(png(readFileSync(`${packageRoot}/docs/status.png`)), 320, 200);
    expect(await run('downscale', { factor: 8, width: image.width, height: image.height }, types, pixelRows(image), 8192)).toEqual(scaled(image, 8));
  });

  const part = (image: Image, width: number, height: number): Image => ({ ...image, width: Math.min(width, image.width), height: Math.min(height, image.height) });

  /** 8-bit RGB or RGBA, not interlaced. */
  function png(file: Buffer): Image {
    const [width, height, colour] = [file.readUInt32BE(16), file.readUInt32BE(20), file[25]];
    const parts: Buffer[] = [];
    for (let at = 8; at < file.length; at += file.readUInt32BE(at) + 12) if (file.toString('latin1', at + 4, at + 8) === 'IDAT') parts.push(file.subarray(at + 8, at + 8 + file.readUInt32BE(at)));
    const raw = inflateSync(Buffer.concat(parts));
    const bpp = colour === 6 ? 4 : 3;
    const stride = width * bpp;
    const out = Buffer.alloc(stride * height);
    for (let y = 0; y < height; y++)
      for (let i = 0; i < stride; i++) {
        const a = i >= bpp ? out[y * stride + i - bpp]! : 0;
        const b = y > 0 ? out[(y - 1) * stride + i]! : 0;
        const c = i >= bpp && y > 0 ? out[(y - 1) * stride + i - bpp]! : 0;
        const p = a + b - c;
        const paeth = Math.abs(p - a) <= Math.abs(p - b) && Math.abs(p - a) <= Math.abs(p - c) ? a : Math.abs(p - b) <= Math.abs(p - c) ? b : c;
        out[y * stride + i] = raw[y * (stride + 1) + 1 + i]! + [0, a, b, (a + b) >> 1, paeth][raw[y * (stride + 1)]!]!;
      }
    return { width, height, at: (y, x) => [out[y * stride + x * bpp]!, out[y * stride + x * bpp + 1]!, out[y * stride + x * bpp + 2]!] };
  }
});

describe('zscore, beside two passes', () => {
  it('finds the same rows and z, whatever the row groups', { timeout: 300_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof({ weight: 20, arbitrary: fc.double({ min: -1, max: 1, noNaN: true }) }, { weight: 1, arbitrary: fc.double({ min: -100, max: 100, noNaN: true }) }, { weight: 1, arbitrary: fc.constant(null) }), { minLength: 2, maxLength: 400 }), fc.constantFrom(1.5, 2, 3), fc.integer({ min: 1, max: 400 }), async (xs, threshold, size) => {
        const known = xs.filter((x) => x !== null);
        const mean = known.reduce((a, b) => a + b, 0) / known.length;
        const deviation = Math.sqrt(known.reduce((sum, x) => sum + (x - mean) ** 2, 0) / known.length);
        const z = (x: number) => (x - mean) / deviation;
        // Rounding may decide the ones at the very edge.
        fc.pre(known.length > 1 && deviation > 1e-6 && known.every((x) => Math.abs(Math.abs(z(x)) - threshold) > 1e-9));
        const expected = xs.flatMap((x, i) => (x !== null && Math.abs(z(x)) > threshold ? [[i, x, z(x)] as const] : []));
        const got = await run('zscore', { threshold }, { id: 'int64', x: 'float64' }, xs.map((x, i) => [BigInt(i), x]), size);
        expect(got.map(([id, x]) => [Number(id), x])).toEqual(expected.map(([i, x]) => [i, x]));
        for (const [i, [, , value]] of got.entries()) expect(value as number).toBeCloseTo(expected[i]![2], 6);
      }),
      { numRuns: long ? 3000 : 60, seed },
    );
  });

  it('says when it cannot know', async () => {
    const xs = Array.from({ length: 1000 }, (_, i) => [BigInt(i), i % 20 === 0 ? 100 : 0]);
    await expect(run('zscore', { threshold: 2, keep: 8 }, { id: 'int64', x: 'float64' }, xs, 1000)).rejects.toThrow('-16');
    expect(await run('zscore', { threshold: 2, keep: 64 }, { id: 'int64', x: 'float64' }, xs, 1000)).toHaveLength(50);
  });

  it('merges the candidates of hundreds of row groups', { timeout: 60_000 }, async () => {
    const rows = 150_000;
    const xs = Array.from({ length: rows }, (_, i) => [BigInt(i), i % 50_000 === 7 ? 1000 : (i * 7919) % 101]);
    expect((await run('zscore', { threshold: 8 }, { id: 'int64', x: 'float64' }, xs, 600)).map(([id]) => id)).toEqual([7n, 50_007n, 100_007n]);
  });
});

describe('log_lines, beside a regular expression and Date', () => {
  const oracle = /^([^ ]+) [^ ]+ ([^ ]+) \[(\d\d)\/(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)\] "([^ ]+) (.*?)" (\d{3}) (\d+|-)(?: .*)?$/s;
  function expected(line: string | null): Value[] {
    const m = line === null ? null : oracle.exec(line);
    const none = [false, null, null, null, null, null, null, null];
    if (!m) return none;
    const [, host, user, day, month, year, hour, minute, second, sign, zh, zm, method, request, status, bytes] = m as unknown as string[];
    const path = request!.includes(' ') ? request!.slice(0, request!.lastIndexOf(' ')) : request!;
    if (path === '' || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60 || Number(day) < 1 || Number(day) > 31 || Number(status) < 100) return none;
    const utc = Date.UTC(Number(year), 'JanFebMarAprMayJunJulAugSepOctNovDec'.indexOf(month!) / 3, Number(day), Number(hour), Number(minute), Number(second)) / 1000;
    const offset = (Number(zh) * 60 + Number(zm)) * 60 * (sign === '-' ? 1 : -1);
    return [true, host!, user === '-' ? null : user!, BigInt(utc + offset), method!, path, BigInt(status!), bytes === '-' ? null : BigInt(bytes!)];
  }
  const two = (max: number) => fc.integer({ min: 0, max }).map((n) => String(n).padStart(2, '0'));
  const line = fc.tuple(fc.constantFrom('10.0.0.1', '::1', 'host.example'), fc.constantFrom('-', 'frank', 'é'), fc.integer({ min: 1, max: 28 }), fc.constantFrom('Jan', 'Feb', 'Dec', 'Sep'), fc.integer({ min: 1970, max: 2099 }), two(24), two(60), two(61), fc.constantFrom('+0000', '-0730', '+1400'), fc.constantFrom('GET / HTTP/1.1', 'POST /a?b=c d HTTP/2', 'GET /x', 'PUT /q"q HTTP/1.0', ''), fc.constantFrom('200', '404', '99', '5000'), fc.constantFrom('0', '2326', '-', '', '12x'), fc.constantFrom('', ' "-" "agent \\" x"'))
    .map(([host, user, day, month, year, h, m, s, zone, request, status, bytes, rest]) => `${host} - ${user} [${String(day).padStart(2, '0')}/${month}/${year}:${h}:${m}:${s} ${zone}] "${request}" ${status} ${bytes}${rest}`);

  it('reads the same, right lines and wrong ones', { timeout: 300_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof({ weight: 8, arbitrary: line }, { weight: 1, arbitrary: fc.string() }, { weight: 1, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.tuple(line, fc.nat(60)).map(([l, n]) => l.slice(0, n)) }), { minLength: 1, maxLength: 80 }), fc.integer({ min: 1, max: 80 }), async (lines, size) => {
        expect(await run('log_lines', {}, { line: 'utf8' }, lines.map((l) => [l === null ? null : wellFormed(l)]), size)).toEqual(lines.map((l) => expected(l === null ? null : wellFormed(l))));
      }),
      { numRuns: long ? 3000 : 100, seed },
    );
  });

  it('takes a row group of the largest size', { timeout: 60_000 }, async () => {
    const lines = Array.from({ length: 131_072 }, (_, i) => `host-${i}.example.org - user${i % 100} [01/Jan/2024:00:00:00 +0000] "GET /a/long/path/to/something/${i} HTTP/1.1" 200 ${i}`);
    const got = await run('log_lines', {}, { line: 'utf8' }, lines.map((l) => [l]), lines.length);
    expect(got).toHaveLength(lines.length);
    for (const row of [0, 16_383, 16_384, 131_071]) expect(got[row]).toEqual(expected(lines[row]!));
  });
});
