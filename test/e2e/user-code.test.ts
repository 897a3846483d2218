import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, col, connect, count, max, type QueryResult, sum, udf } from '../../clients/node/index.js';
import type { PlanExecution } from '../../clients/node/scan/execute.js';
import { withNote } from '../../clients/cli/kernel/build-project.js';
import { planJson } from '../../pushdown/plan/plan-json.js';
import { assemblyScript } from '../kernels/assemblyscript.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';
import { flightsPath } from './flights.js';

const modes = ['never', 'always', 'auto'] as const;
const transports = ['http', 'shm'] as const;

/** Per row group: rows, sum and largest value of a column; merged: the same of all, and of how many row groups. */
const stateful = `
import { Batch, Columns, Type, NOTHING } from './millrace';
export { heap_top } from './millrace';
const input = new Columns(); input.add('x', Type.F64);
const partial = new Columns();
const n = partial.add('n', Type.I64); const total = partial.add('total', Type.F64); const most = partial.add('most', Type.F64);
const result = new Columns();
const rn = result.add('n', Type.I64); const rtotal = result.add('total', Type.F64); const rmost = result.add('most', Type.F64); const groups = result.add('groups', Type.I32);
let rows: i64 = 0; let s: f64 = 0; let m: f64 = -Infinity; let g: i32 = 0;
export function input_schema(): usize { return input.schema(); }
export function schema(): usize { return partial.schema(); }
export function result_schema(): usize { return result.schema(); }
export function process(input: usize, output: usize): i32 {
  const batch = new Batch(input); const x = batch.column(0);
  for (let row = 0; row < batch.rows; row++) { if (x.isNull(row)) continue; rows++; s += x.f64(row); m = max(m, x.f64(row)); }
  return NOTHING;
}
export function finish(output: usize): i32 { n.pushI64(rows); total.pushF64(s); most.pushF64(m); return partial.give(output); }
export function merge(input: usize, output: usize): i32 {
  const batch = new Batch(input);
  for (let row = 0; row < batch.rows; row++) { rows += batch.column(0).i64(row); s += batch.column(1).f64(row); m = max(m, batch.column(2).f64(row)); g++; }
  return NOTHING;
}
export function finish_merge(output: usize): i32 { rn.pushI64(rows); rtotal.pushF64(s); rmost.pushF64(m); groups.pushI32(g); return result.give(output); }
`;

let daemon: DaemonProcess;
let rowsTotal: bigint;
const clients = new Map<string, Client>();
const client = (): Client => clients.get('http')!;

beforeAll(async () => {
  daemon = await startDaemonProcess();
  for (const transport of transports) clients.set(transport, await connect({ url: daemon.url, transport }));
  await client().put('flights', flightsPath);
  const template = readFileSync(new URL('../../sdk/assemblyscript/template/kernel.ts', import.meta.url), 'utf8');
  await client().pushKernel('shapes', await assemblyScript(template));
  await client().pushKernel('late', await assemblyScript('export function late(delay: f64, distance: f64): f64 { return distance > 500 ? delay * 2.0 : delay; }\nexport function far(distance: i32): bool { return distance > 1000; }'));
  await client().pushKernel('traps', await assemblyScript('export function traps(a: f64, b: f64): bool { if (a > 0) unreachable(); return b > 0; }'));
  await client().pushKernel('words', withNote(await assemblyScript(`
    import { giveBytes, giveText, textOf } from './millrace';
    export { heap_top } from './millrace';
    export function upper(at: usize, bytes: i32): u64 { return giveText(textOf(at, bytes).toUpperCase()); }
    export function liar(at: usize, bytes: i32): u64 { return giveBytes(at - 1, bytes); }`, 400), JSON.stringify({ functions: { upper: '(utf8) -> utf8', liar: '(utf8) -> utf8' } })));
  rowsTotal = (await client().sql('SELECT count(*) AS n FROM flights')).toRows()[0]!.n as bigint;
  await client().pushKernel('spread', await assemblyScript(stateful));
});
afterAll(async () => {
  for (const each of clients.values()) await each.close();
  await daemon.dispose();
});

async function everywhere(run: (client: Client, pushdown: (typeof modes)[number]) => Promise<QueryResult>): Promise<QueryResult> {
  const results: QueryResult[] = [];
  for (const transport of transports)
    for (const pushdown of modes) {
      const result = await run(clients.get(transport)!, pushdown);
      if (pushdown === 'never') expect(result.stats.morselsDevice).toBe(0);
      if (pushdown === 'always') expect(result.stats.morselsHost).toBe(0);
      results.push(result);
    }
  for (const result of results.slice(1)) expect(result.toCanonicalRows()).toEqual(results[0]!.toCanonicalRows());
  return results[0]!;
}

describe('functions of a pushed kernel', () => {
  it('run in filters, columns and aggregates of the builder', async () => {
    const query = (c: Client) => c.dataset('flights').filter(udf('late.far', col('distance'))).groupBy('origin').agg({ n: count(), late: sum(udf('late.late', col('delay'), col('distance'))) });
    const ours = await everywhere((c, pushdown) => query(c).collect({ pushdown }));
    const truth = await client().dataset('flights').filter(col('distance').gt(1000)).groupBy('origin').agg({ n: count(), late: sum(col('delay').cast('float64').mul(2)) }).collect({ pushdown: 'never' });
    expect(ours.toCanonicalRows()).toEqual(truth.toCanonicalRows());
    expect(ours.rows).toBeGreaterThan(10);
  });

  it('run in SQL, also below what DuckDB does above', async () => {
    const sql = (text: string) => everywhere((c, pushdown) => c.sql(text, { pushdown }));
    const pairs = [
      ['SELECT origin, count(*) AS n, sum(late.late(delay, distance)) AS s FROM flights WHERE late.far(distance) GROUP BY origin ORDER BY origin', 'SELECT origin, count(*) AS n, sum(delay * 2.0::DOUBLE) AS s FROM flights WHERE distance > 1000 GROUP BY origin ORDER BY origin'],
      ['SELECT count(*) AS n FROM flights WHERE LATE(delay, distance) > 100', 'SELECT count(*) AS n FROM flights WHERE CASE WHEN distance > 500 THEN delay * 2.0 ELSE delay END > 100'],
      ['SELECT count(*) AS n FROM flights WHERE late(delay, distance) = 100 OR late(delay, 0) BETWEEN 3 AND 4', 'SELECT count(*) AS n FROM flights WHERE CASE WHEN distance > 500 THEN delay * 2.0 ELSE delay END = 100 OR delay BETWEEN 3 AND 4'],
      ['SELECT delay, late(delay, distance) AS l FROM flights WHERE delay > 800 AND NOT late.far(distance) ORDER BY l, delay', 'SELECT delay, CASE WHEN distance > 500 THEN delay * 2.0 ELSE delay END AS l FROM flights WHERE delay > 800 AND distance <= 1000 ORDER BY l, delay'],
      ['SELECT late(max(delay), max(distance)) AS m FROM flights', 'SELECT CASE WHEN max(distance) > 500 THEN max(delay) * 2.0 ELSE max(delay) END AS m FROM flights'],
      ['SELECT origin, late(max(delay), 501) AS d FROM flights GROUP BY origin HAVING late.far(max(distance)) ORDER BY d, origin LIMIT 5', 'SELECT origin, max(delay) * 2.0 AS d FROM flights GROUP BY origin HAVING max(distance) > 1000 ORDER BY d, origin LIMIT 5'],
      ['SELECT max(late(delay, distance)) AS m FROM flights', 'SELECT max(CASE WHEN distance > 500 THEN delay * 2.0 ELSE delay END) AS m FROM flights'],
    ] as const;
    for (const [ours, plain] of pairs) {
      const rows = (await sql(ours)).toRows();
      expect(rows.length).toBeGreaterThan(0);
      expect(rows.map((r) => Object.values(r).map(Number))).toEqual((await client().sql(plain)).toRows().map((r) => Object.values(r).map(Number)));
    }
  });

  it('run where only the SQL engine of the host is: in ON, over windows, in set operations and subqueries', async () => {
    const f = 'late.late(delay, distance)';
    const some = '(SELECT origin, delay, distance FROM flights WHERE delay > 700)';
    // The function, and what SQL says instead of it.
    const queries: ((late: (delay: string, distance: string) => string, far: (distance: string) => string) => string)[] = [
      (late) => `SELECT count(*) AS n, sum(a.distance) AS s FROM ${some} a JOIN ${some} b ON ${late('a.delay', 'b.distance')} > 2 * b.delay`,
      (late, far) => `SELECT a.origin AS o, count(b.delay) AS n FROM ${some} a LEFT JOIN ${some} b ON a.origin = b.origin AND ${late('a.delay', 'a.distance')} < b.distance AND ${far('b.distance')} GROUP BY o ORDER BY o`,
      (late) => `SELECT count(*) AS n FROM flights a JOIN (SELECT DISTINCT CAST(delay AS DOUBLE) AS d FROM flights WHERE delay > 500) b ON ${late('a.delay', 'a.distance')} = b.d`,
      (late, far) => `SELECT count(*) AS n FROM flights a JOIN (SELECT DISTINCT origin FROM flights WHERE delay > 900) b USING (origin) WHERE ${far('a.distance')} AND ${late('a.delay', 'a.distance')} > 100`,
      (late) => `SELECT max(${late('m', 'distance')}) AS most FROM (SELECT max(delay) OVER (PARTITION BY origin) AS m, distance FROM flights WHERE delay > 300)`,
      (late, far) => `SELECT count(*) AS n FROM (SELECT ${late('delay', 'distance')} AS x FROM ${some} UNION ALL SELECT ${late('distance', 'delay')} FROM ${some} WHERE ${far('distance')})`,
      (_, far) => `SELECT count(*) AS n FROM ${some} a WHERE a.origin IN (SELECT b.origin FROM ${some} b WHERE ${far('b.distance')})`,
    ];
    for (const query of queries) {
      const ours = await everywhere((c, pushdown) => c.sql(query((a, b) => f.replace('delay', a).replace('distance', b), (d) => `late.far(${d})`), { pushdown }));
      const truth = await client().sql(query((a, b) => `(CASE WHEN ${b} > 500 THEN ${a} * 2.0::DOUBLE ELSE ${a} END)`, (d) => `(${d} > 1000)`));
      expect(ours.toRows().map((r) => Object.values(r).map(String))).toEqual(truth.toRows().map((r) => Object.values(r).map(String)));
    }
    const { plan } = await client().explainSql(queries[0]!((a, b) => `late(${a}, ${b})`, String));
    expect(plan[0]?.info).toMatch(/asks the host for late$/);
  });

  it('run beside what no kernel does in the builder, where DuckDB asks for their rows', async () => {
    // More separate values than any kernel takes.
    const odd = Array.from({ length: 5000 }, (_, i) => 2 * i + 1);
    const query = (c: Client) => c.dataset('flights').filter(col('delay').gt(300)).filter(udf('shapes.keep', col('delay'), col('distance')).in(odd)).select('delay', 'distance');
    expect((await query(client()).explain()).plan.some((row) => /IN with more than 4096/.test(row.info))).toBe(true);
    const ours = await everywhere((c, pushdown) => query(c).collect({ pushdown }));
    const truth = await client().dataset('flights').filter(col('delay').gt(300)).filter(col('delay').gt(col('distance'))).select('delay', 'distance').collect();
    expect(ours.rows).toBeGreaterThan(0);
    // DuckDB makes a join of so long a list, and a join gives its rows in no order.
    const sorted = (rows: QueryResult) => rows.toCanonicalRows().map(String).sort();
    expect(sorted(ours)).toEqual(sorted(truth));
  });

  it('are pushed into the scans below a join where one dataset has all they need', async () => {
    const run = await client().sqlEngine.run("SELECT count(*) AS n FROM flights a JOIN (SELECT DISTINCT origin FROM flights WHERE delay > 900) b ON a.origin = b.origin AND late.far(a.distance)", { pushdown: 'always' });
    for await (const _ of run);
    expect(run.plan.kind === 'scans' && run.plan.scans.map((s) => planJson(s.plan)).join()).toMatch(/"kind":"call","name":"late.far"/);
  });

  it('that fail on the host end the statement with the fault and nothing else', async () => {
    const failing = "SELECT count(*) AS n FROM (SELECT delay, origin FROM flights WHERE delay > 900) a JOIN (SELECT delay, origin FROM flights WHERE delay > 900) b ON a.origin = b.origin AND traps(a.delay, b.delay)";
    for (const transport of transports) {
      await expect(clients.get(transport)!.sql(failing)).rejects.toMatchObject({ code: 'MR_KERNEL_TRAP_UNREACHABLE', message: expect.stringContaining('traps') });
      expect((await clients.get(transport)!.sql(failing.replace('traps', 'late'))).rows).toBe(1);
    }
    const response = await fetch(new URL('/v1/sql', daemon.url), { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ sql: failing }) });
    expect([response.status, await response.json()]).toEqual([422, expect.objectContaining({ code: 'MR_KERNEL_TRAP_UNREACHABLE' })]);
  });

  it('give text too: in columns, filters, groups and joins, in slots and on the host', async () => {
    const pairs: [string, string][] = [
      ['SELECT words.upper(origin) AS o, delay FROM flights WHERE delay > 900 AND words.upper(origin) < words.upper(destination) ORDER BY o, delay', 'SELECT origin AS o, delay FROM flights WHERE delay > 900 AND origin < destination ORDER BY o, delay'],
      ['SELECT words.upper(lower(origin)) AS o, count(*) AS n FROM flights WHERE delay > 300 GROUP BY o ORDER BY o', 'SELECT origin AS o, count(*) AS n FROM flights WHERE delay > 300 GROUP BY o ORDER BY o'],
      ["SELECT count(*) AS n FROM flights WHERE words.upper(origin) LIKE 'A%' AND words.upper(destination) IN ('ATL', 'LAX')", "SELECT count(*) AS n FROM flights WHERE origin LIKE 'A%' AND destination IN ('ATL', 'LAX')"],
      ['SELECT min(words.upper(origin)) AS a, max(words.upper(destination)) AS b FROM flights', 'SELECT min(origin) AS a, max(destination) AS b FROM flights'],
      ['SELECT words.upper(origin) AS o, delay FROM flights ORDER BY delay DESC, o, distance LIMIT 20', 'SELECT origin AS o, delay FROM flights ORDER BY delay DESC, o, distance LIMIT 20'],
      ['SELECT count(*) AS n FROM flights a JOIN (SELECT DISTINCT lower(origin) AS o FROM flights WHERE delay > 900) b ON words.upper(b.o) = a.origin', 'SELECT count(*) AS n FROM flights a JOIN (SELECT DISTINCT origin AS o FROM flights WHERE delay > 900) b ON b.o = a.origin'],
      ['SELECT count(*) AS n FROM flights WHERE late.far(distance) AND words.upper(origin) < destination', 'SELECT count(*) AS n FROM flights WHERE distance > 1000 AND origin < destination'],
    ];
    for (const [ours, plain] of pairs) {
      const result = await everywhere((c, pushdown) => c.sql(ours, { pushdown }));
      expect([ours, result.toRows().map((r) => Object.values(r).map(String))]).toEqual([ours, (await client().sql(plain)).toRows().map((r) => Object.values(r).map(String))]);
    }
    const grouped = await everywhere((c, pushdown) => c.dataset('flights').filter(col('delay').gt(300)).groupBy({ o: udf('words.upper', col('origin')) }).agg({ n: count(), d: max(udf('words.upper', col('destination'))), s: sum(col('delay')) }).collect({ pushdown }));
    const truth = await client().dataset('flights').filter(col('delay').gt(300)).groupBy({ o: col('origin') }).agg({ n: count(), d: max(col('destination')), s: sum(col('delay')) }).collect();
    const sorted = (rows: QueryResult) => rows.toCanonicalRows().map(String).sort();
    expect(sorted(grouped)).toEqual(sorted(truth));
  });

  it('that lie about where their text is end as a violation, in slots and on the host, and nobody else notices', async () => {
    for (const transport of transports)
      for (const pushdown of modes) {
        await expect(clients.get(transport)!.sql('SELECT words.liar(origin) AS o FROM flights WHERE delay > 300', { pushdown })).rejects.toMatchObject({ code: 'MR_KERNEL_ABI_VIOLATION', message: expect.stringContaining('neither in the memory') });
        expect((await clients.get(transport)!.sql('SELECT count(*) AS n FROM flights WHERE words.upper(origin) = origin', { pushdown })).toRows()).toEqual([{ n: rowsTotal }]);
      }
    await expect(client().sql('SELECT count(*) AS n FROM (SELECT DISTINCT origin FROM flights) a JOIN (SELECT DISTINCT origin FROM flights) b ON words.liar(a.origin) = b.origin')).rejects.toMatchObject({ code: 'MR_KERNEL_ABI_VIOLATION' });
  });

  it('are refused where nobody knows them', async () => {
    await expect(client().sql('SELECT nobody(delay) FROM flights')).rejects.toMatchObject({ code: 'MR_SQL_BIND' });
    await expect(client().sql('SELECT late.nothing(delay) FROM flights')).rejects.toMatchObject({ code: 'MR_SQL_BIND' });
    await expect(client().dataset('flights').filter(udf('nobody', col('delay'))).collect()).rejects.toMatchObject({ code: 'MR_KERNEL_NOT_FOUND' });
  });

  it('over REST: the query worker finds them', async () => {
    const response = await fetch(new URL('/v1/sql', daemon.url), { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ sql: 'SELECT count(*) AS n FROM flights WHERE late.far(distance)' }) });
    const [row] = (await response.text()).split('\n');
    expect(JSON.parse(row!)).toEqual({ n: Number((await client().sql('SELECT count(*) AS n FROM flights WHERE distance > 1000')).toRows()[0]!.n) });
  });
});

describe('batch kernels of a pushed module', () => {
  it('give columns of their own, the same on the device, the host and both', async () => {
    const ours = await everywhere((c, pushdown) => c.dataset('flights').filter(col('delay').gt(300)).select('origin').kernel('shapes', { least: 3 }).collect({ pushdown }));
    const truth = await client().dataset('flights').filter(col('delay').gt(300)).select('origin').collect();
    expect(ours.toRows()).toEqual(truth.toRows().filter((r) => String(r.origin).length >= 3).map((r) => ({ text: r.origin, length: String(r.origin).length })));
    expect(ours.rows).toBeGreaterThan(1000);
  });

  it('keep state per row group and merge it in their order', async () => {
    const ours = await everywhere((c, pushdown) => c.dataset('flights').select({ x: col('distance') }).kernel('spread').collect({ pushdown }));
    const info = await client().info('flights');
    const [truth] = (await client().sql('SELECT count(distance) AS n, sum(distance) AS total, max(distance) AS most FROM flights')).toRows();
    expect(ours.toRows()).toEqual([{ n: BigInt(truth!.n as bigint), total: Number(truth!.total), most: Number(truth!.most), groups: info.rowGroups }]);
  });

  it('are one module with one digest, whoever runs it', async () => {
    const status = async () => ((await client().status()) as { device: { executes: number } }).device.executes;
    const before = await status();
    const digests: string[] = [];
    for (const pushdown of modes) {
      const stream = client().dataset('flights').select({ x: col('distance') }).kernel('spread').stream({ pushdown }) as PlanExecution;
      for await (const _ of stream);
      digests.push(createHash('sha256').update(stream.prepared!.compiled.scan.wasm).digest('hex'));
    }
    expect(new Set(digests).size).toBe(1);
    expect(await status()).toBeGreaterThan(before);
  });

  it('are explained with what they run and where', async () => {
    const { plan } = await client().dataset('flights').select('origin').kernel('shapes', { least: 3 }).explain();
    const line = plan.find((row) => row.op === 'Kernel');
    expect(line?.info).toMatch(/shapes \(least=3\), module sha256:[0-9a-f]{64} \(exact: in the scan kernel/);
  });
});

describe('stored kernels', () => {
  it('have a name, a digest, a size and an owner; the name is taken until it is replaced or removed', async () => {
    const wasm = await assemblyScript('export function one(x: f64): f64 { return x + 1; }');
    const two = await assemblyScript('export function one(x: f64): f64 { return x + 2; }');
    const info = await client().pushKernel('plus', wasm);
    expect(info).toMatchObject({ name: 'plus', bytes: wasm.length, digest: createHash('sha256').update(wasm).digest('hex'), pushedBy: 'local' });
    await expect(client().pushKernel('PLUS', two)).rejects.toMatchObject({ code: 'MR_KERNEL_EXISTS' });
    const query = () => client().sql('SELECT sum(plus(distance) - distance) / count(*) AS d FROM flights');
    expect((await query()).toRows()).toEqual([{ d: 1 }]);
    await client().pushKernel('plus', two, { replace: true });
    expect((await query()).toRows()).toEqual([{ d: 2 }]);
    expect((await client().kernels()).map((k) => k.name)).toEqual(['late', 'plus', 'shapes', 'spread', 'traps', 'words']);
    expect(await client().describeKernel('plus')).toMatchObject({ functions: ['one(float64) -> float64'] });
    await client().removeKernel('plus');
    await expect(client().kernelInfo('plus')).rejects.toMatchObject({ code: 'MR_KERNEL_NOT_FOUND' });
    await expect(client().pushKernel('no name', wasm)).rejects.toMatchObject({ code: 'MR_KERNEL_NAME' });
  });

  it('may be anything: what is no module is refused by who uses it', async () => {
    await client().pushKernel('noise', new Uint8Array([1, 2, 3, 4]));
    await expect(client().dataset('flights').select('origin').kernel('noise').collect()).rejects.toMatchObject({ code: 'MR_KERNEL_MODULE_REJECTED' });
    await client().removeKernel('noise');
  });

  it('survive the daemon', async () => {
    const other = await startDaemonProcess();
    try {
      const first = await connect({ url: other.url, transport: 'http' });
      await first.pushKernel('kept', await assemblyScript('export function kept(x: f64): f64 { return x; }'));
      await first.close();
      await other.kill();
      const again = await startDaemonProcess({ dir: other.dir });
      const second = await connect({ url: again.url, transport: 'http' });
      expect((await second.kernels()).map((k) => k.name)).toEqual(['kept']);
      await second.close();
      await again.stop();
    } finally {
      await other.dispose();
    }
  });
});
