// Scalar functions that give text: what they give is what SQL's own functions give, and what lies about where it is ends as a known fault.
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildProject, withNote } from '../../clients/cli/kernel/build-project.js';
import { readProject } from '../../clients/cli/kernel/project.js';
import { testProject } from '../../clients/cli/kernel/test-project.js';
import { packageRoot } from '../../native/index.js';
import type { Expr } from '../../pushdown/expr/expr.js';
import type { PlanOp } from '../../pushdown/plan/plan.js';
import { assemblyScript } from '../kernels/assemblyscript.js';
import { hasClang, hasRust, sayMissing } from '../kernels/toolchain.js';
import { assemble } from '../kernels/wat.js';
import { batchesOf, columnsOf } from './batch.js';
import { libraryOf, localRows } from './local.js';
import { resolvePlan } from '../../clients/node/user/resolve-plan.js';
import { schemaOver } from '../../clients/node/scan/over-batches.js';
import { compilePlan } from '../../pushdown/wasm/compile-plan.js';

sayMissing('text-functions.test.ts');
const long = process.env.MILLRACE_TEST === 'long';

const col = (name: string): Expr => ({ kind: 'column', name });
const call = (name: string, ...args: Expr[]): Expr => ({ kind: 'call', name, args });
const text = (value: string): Expr => ({ kind: 'literal', value, type: { kind: 'utf8' } });
const number = (value: bigint): Expr => ({ kind: 'literal', value, type: { kind: 'int32' } });

/** upper() works in one buffer, which each call overwrites; the others give parts of what they were given, and lies. */
const source = `(module (memory (export "memory") 8)
  (func $pack (param i32 i32) (result i64) (i64.or (i64.extend_i32_u (local.get 0)) (i64.shl (i64.extend_i32_u (local.get 1)) (i64.const 32))))
  (func (export "upper") (param $at i32) (param $n i32) (result i64) (local $i i32) (local $c i32)
    (loop $next (if (i32.lt_u (local.get $i) (local.get $n)) (then
      (local.set $c (i32.load8_u (i32.add (local.get $at) (local.get $i))))
      (if (i32.lt_u (i32.sub (local.get $c) (i32.const 97)) (i32.const 26)) (then (local.set $c (i32.sub (local.get $c) (i32.const 32)))))
      (i32.store8 (i32.add (i32.const 1024) (local.get $i)) (local.get $c)) (local.set $i (i32.add (local.get $i) (i32.const 1))) (br $next))))
    (call $pack (i32.const 1024) (local.get $n)))
  (func (export "same") (param i32 i32) (result i64) (call $pack (local.get 0) (local.get 1)))
  (func (export "tail") (param $at i32) (param $n i32) (param $from i32) (result i64)
    (if (i32.gt_u (local.get $from) (local.get $n)) (then (local.set $from (local.get $n))))
    (call $pack (i32.add (local.get $at) (local.get $from)) (i32.sub (local.get $n) (local.get $from))))
  (func (export "second") (param i32 i32 i32 i32) (result i64) (call $pack (local.get 2) (local.get 3)))
  (func (export "stars") (param $n i32) (result i64) (memory.fill (i32.const 2048) (i32.const 42) (local.get $n)) (call $pack (i32.const 2048) (local.get $n)))
  (func (export "at") (param i32 i32) (result i64) (call $pack (local.get 0) (local.get 1)))
  (func (export "before") (param i32 i32) (result i64) (call $pack (i32.sub (local.get 0) (i32.const 1)) (local.get 1)))
  (func (export "past") (param i32 i32) (result i64) (call $pack (local.get 0) (i32.add (local.get 1) (i32.const 1))))
  (func (export "between") (param i32 i32 i32 i32) (result i64) (call $pack (local.get 0) (i32.add (i32.sub (local.get 2) (local.get 0)) (local.get 3))))
  (func (export "traps") (param i32 i32) (result i64) unreachable))`;
const functions = {
  upper: '(utf8) -> utf8', same: '(utf8) -> utf8', tail: '(utf8, i32) -> utf8', second: '(utf8, utf8) -> utf8', stars: '(i32) -> utf8',
  at: '(i32, i32) -> utf8', before: '(utf8) -> utf8', past: '(utf8) -> utf8', between: '(utf8, utf8) -> utf8', traps: '(utf8) -> utf8',
};

let t: Uint8Array;
let other: Uint8Array;
let template: Uint8Array;
beforeAll(async () => {
  template = await assemblyScript(readFileSync(join(packageRoot, 'sdk/assemblyscript/template/kernel.ts'), 'utf8'));
  t = withNote(await assemble(source), JSON.stringify({ functions }));
  other = withNote(await assemblyScript(`
    import { giveText, textOf } from './millrace';
    export { heap_top } from './millrace';
    export function reversed(at: usize, bytes: i32): u64 { return giveText(textOf(at, bytes).split('').reverse().join('')); }`), JSON.stringify({ functions: { reversed: '(utf8) -> utf8' } }));
});

const columns = columnsOf({ i: 'int32', s: 'utf8', r: 'utf8' });
const words = ['', 'a', 'pear', 'Apple', 'über', 'kiwi kiwi kiwi', 'x'.repeat(100)];
const rows = Array.from({ length: 900 }, (_, n) => [BigInt(n % 12), n % 10 === 0 ? null : `${words[n % words.length]}${n % 4}`, n % 15 === 0 ? null : words[(n * 3) % words.length]!]);
const run = (ops: readonly PlanOp[], size = 200) => localRows(ops, columns, batchesOf(columns, rows, size), { t, o: other });

/** The same in DuckDB: every function here is one of its own or a macro of them. */
async function sql(statement: string): Promise<unknown[][]> {
  const db = await (await DuckDBInstance.create(':memory:')).connect();
  try {
    await db.run('CREATE TABLE t (n INTEGER, i INTEGER, s VARCHAR, r VARCHAR)');
    const literal = (v: unknown) => (v === null ? 'NULL' : typeof v === 'bigint' ? String(v) : `'${String(v)}'`);
    await db.run(`INSERT INTO t VALUES ${rows.map((row, n) => `(${n}, ${row.map(literal).join(', ')})`).join(', ')}`);
    for (const macro of ["up(x) AS translate(x, 'abcdefghijklmnopqrstuvwxyz', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ')"]) await db.run(`CREATE MACRO ${macro}`);
    return (await db.runAndReadAll(statement)).getRows().map((row) => row.map((v) => (typeof v === 'number' ? BigInt(v) : v)));
  } finally {
    db.closeSync();
  }
}

const project = (...exprs: Expr[]): PlanOp => ({ kind: 'project', columns: exprs.map((expr, i) => ({ name: `c${i}`, expr })) });
const compare = (op: 'eq' | 'lt' | 'ge', left: Expr, right: Expr): Expr => ({ kind: 'compare', op, left, right });
const upper = (x: Expr) => call('t.upper', x);

describe('a function that gives text', () => {
  it('fills columns, from its own memory and from its arguments, with every size of row group', async () => {
    const expected = await sql('SELECT up(s), s, substr(s, 3), r, repeat(\'*\', i), reverse(r) FROM t ORDER BY n');
    for (const size of [900, 64, 7]) {
      const s = columns; // two-byte characters are cut by tail, so it gets ASCII only
      expect(s.length).toBe(3);
      const ours = await run([project(upper(col('s')), call('t.same', col('s')), call('t.tail', col('s'), number(2n)), call('t.second', text('no'), col('r')), call('t.stars', col('i')), call('o.reversed', col('r')))], size);
      expect(ours.map((row) => row.filter((_, c) => c !== 2))).toEqual(expected.map((row) => row.filter((_, c) => c !== 2)));
      const ascii = (v: unknown) => v === null || !/[^ -~]/.test(v as string);
      expect(ours.map((row) => row[2]).filter((_, n) => ascii(rows[n]![1]))).toEqual(expected.map((row) => row[2]).filter((_, n) => ascii(rows[n]![1])));
    }
  });

  it('is compared, matched, looked up and passed on, each result for itself', async () => {
    const cases: [Expr, string][] = [
      [compare('lt', upper(col('s')), upper(col('r'))), 'up(s) < up(r)'],
      [compare('eq', upper(col('s')), col('s')), 'up(s) = s'],
      [{ kind: 'like', arg: upper(col('s')), pattern: '%PE%', negated: false }, "up(s) LIKE '%PE%'"],
      [{ kind: 'like', arg: upper(col('s')), pattern: '_P%', negated: true }, "up(s) NOT LIKE '_P%'"],
      [{ kind: 'in', arg: upper(col('r')), values: [text('PEAR'), text('A')], negated: false }, "up(r) IN ('PEAR', 'A')"],
      [{ kind: 'isNull', arg: upper(col('r')), negated: false }, 'up(r) IS NULL'],
      [compare('ge', { kind: 'coalesce', args: [upper(col('s')), call('o.reversed', col('r')), text('-')] }, text('K')), "coalesce(up(s), reverse(r), '-') >= 'K'"],
      [compare('eq', call('t.second', upper(col('s')), upper(col('r'))), call('t.same', upper(col('r')))), 'up(s) IS NOT NULL AND up(r) = up(r)'],
      [compare('lt', call('o.reversed', upper(col('s'))), upper(call('o.reversed', col('r')))), 'reverse(up(s)) < up(reverse(r))'],
    ];
    for (const [predicate, where] of cases) {
      const ours = await run([{ kind: 'filter', predicate }]);
      expect([where, ours]).toEqual([where, await sql(`SELECT i, s, r FROM t WHERE ${where} ORDER BY n`)]);
      expect(ours.length, where).toBeGreaterThan(0);
    }
  });

  it('goes to rows that are kept: the k best, and aggregates over its columns', async () => {
    const best = await run([{ kind: 'project', columns: [{ name: 'u', expr: upper(col('s')) }, { name: 'i', expr: col('i') }] }, { kind: 'topK', k: 5, orderBy: [{ expr: col('i'), descending: true, nullsFirst: false }] }]);
    expect(best).toEqual(await sql('SELECT up(s), i FROM t ORDER BY i DESC, n LIMIT 5'));
    const counted = await run([{ kind: 'aggregate', groupBy: [], aggregates: [{ name: 'n', fn: 'count', arg: upper(col('s')) }] }]);
    expect(counted).toEqual(await sql('SELECT count(up(s)) FROM t'));
    // A batch kernel takes it as a column, here the template's: texts of so many characters at least.
    const taken = await localRows([{ kind: 'project', columns: [{ name: 'text', expr: upper(call('o.reversed', col('r'))) }] }, { kind: 'kernel', name: 'k', params: 'least=5\n' }], columns, batchesOf(columns, rows, 200), { t, o: other, k: template });
    expect(taken).toEqual(await sql('SELECT up(reverse(r)), length(r)::INTEGER FROM t WHERE length(r) >= 5 ORDER BY n'));
    const stars = await run([{ kind: 'filter', predicate: compare('ge', call('t.stars', col('i')), text('**********')) }]);
    expect(stars).toEqual(await sql("SELECT i, s, r FROM t WHERE i >= 10 ORDER BY n"));
  });

  it('is made by the scan where it is grouped by, and grouped above', async () => {
    const groups: PlanOp = { kind: 'aggregate', groupBy: [{ name: 'u', expr: upper(col('s')) }], aggregates: [{ name: 'n', fn: 'count' }, { name: 'm', fn: 'min', arg: upper(col('r')) }, { name: 'i', fn: 'sum', arg: col('i') }] };
    const { plan, modules } = await resolvePlan({ dataset: 't', ops: [{ kind: 'filter', predicate: compare('ge', col('i'), number(3n)) }, groups] }, libraryOf({ t }));
    const compiled = compilePlan(plan, schemaOver('t', columns, batchesOf(columns, rows, 200), modules));
    expect(compiled.rest.map((op) => op.kind)).toEqual(['aggregate']);
    expect(JSON.stringify(compiled.rest)).not.toContain('call');
    expect(compiled.scan.output.map((c) => c.type.kind)).toEqual(['utf8', 'utf8', 'int32']);
  });

  it('may be empty or as long as 256 KiB, and is a fault beyond', async () => {
    const one = columnsOf({ n: 'int32' });
    const stars = (n: number) => localRows([project(call('t.stars', col('n')))], one, batchesOf(one, [[BigInt(n)]], 1), { t });
    for (const n of [0, 1, 65, 262_144]) expect((await stars(n)).map(([v]) => (v as string).length)).toEqual([n]);
    await expect(stars(262_145)).rejects.toMatchObject({ message: expect.stringMatching(/longer than 256 KiB/) });
  });
});

/** The same function in each language of the SDK: ASCII letters upper, the rest as it is, `!` behind. */
const shouts = {
  assemblyscript: [true, 'kernel.ts', `
    import { giveText, textOf } from './millrace';
    export { heap_top } from './millrace';
    export function shout(at: usize, bytes: i32): u64 {
      let out = '';
      const given = textOf(at, bytes);
      for (let i = 0; i < given.length; i++) { const c = given.charCodeAt(i); out += String.fromCharCode(c >= 97 && c <= 122 ? c - 32 : c); }
      return giveText(out + '!');
    }`],
  c: [hasClang, 'kernel.c', `
    #include "millrace.h"
    static char out[4096];
    uint64_t MR_EXPORT(shout)(const char *at, int bytes) {
      for (int i = 0; i < bytes; i++) out[i] = at[i] >= 'a' && at[i] <= 'z' ? at[i] - 32 : at[i];
      out[bytes] = '!';
      return mr_give_text(out, bytes + 1);
    }`],
  rust: [hasRust, 'kernel.rs', `
    #![allow(dead_code)]
    mod millrace;
    static mut OUT: Vec<u8> = Vec::new();
    #[no_mangle]
    pub unsafe extern "C" fn shout(at: *const u8, bytes: usize) -> u64 {
        let out = &mut *std::ptr::addr_of_mut!(OUT);
        out.clear();
        out.extend(std::slice::from_raw_parts(at, bytes).iter().map(|b| b.to_ascii_uppercase()));
        out.push(b'!');
        millrace::give_text(out)
    }`],
} as const;

describe.each(Object.entries(shouts))('in %s', (lang, [there, file, code]) => {
  it.skipIf(!there)('the SDK has what it takes', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'millrace-text-'));
    try {
      const support = { assemblyscript: 'assemblyscript/millrace.ts', c: 'c/millrace.h', rust: 'rust/millrace.rs' }[lang as keyof typeof shouts];
      copyFileSync(join(packageRoot, 'sdk', support), join(dir, support.split('/')[1]!));
      writeFileSync(join(dir, file), code);
      writeFileSync(join(dir, 'millrace.json'), JSON.stringify({ name: 'shouting', lang, source: file, memoryPages: 40, functions: { shout: '(utf8) -> utf8' } }));
      mkdirSync(join(dir, 'test'));
      writeFileSync(join(dir, 'test/kernel.json'), JSON.stringify([{ call: 'shout', args: ['größer'], expect: 'GRößER!' }, { call: 'shout', args: [null], expect: null }]));
      const { wasm } = await buildProject(readProject(dir), join(dir, 'kernel.wasm'));
      expect(await testProject(readProject(dir), wasm)).toBe(2);
      // First in the kernel, where it is as its compiler made it, and behind another module, where all of its code reads anew.
      const expected = await sql("SELECT up(s) || '!', up(s) FROM t ORDER BY n");
      const [shout, up] = [call('k.shout', col('s')), upper(col('s'))];
      const run = (...exprs: Expr[]) => localRows([project(...exprs)], columns, batchesOf(columns, rows, 300), { t, k: wasm });
      expect(await run(shout, up)).toEqual(expected);
      expect(await run(up, shout)).toEqual(expected.map(([a, b]) => [b, a]));
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

describe('a text that lies elsewhere', () => {
  const mib = 8 * 65_536;
  const given = (expr: Expr, modules: Record<string, Uint8Array> = { t }, ops: (e: Expr) => PlanOp = (e) => project(e)) => localRows([ops(expr)], columns, batchesOf(columns, rows, 200), modules);
  const violation = { message: expect.stringMatching(/AbiViolation: a function gave a text that lies neither/) };

  it('is a violation wherever it begins and ends, in columns and in filters, alone and behind another module', async () => {
    const lies = [
      call('t.before', col('s')), call('t.past', col('s')), call('t.between', col('s'), col('r')),
      ...[[mib, 1], [mib - 1, 2], [-1, 1], [-1, -1], [0, mib + 1], [1, -1], [mib + 4096, 16]].map(([at, bytes]) => call('t.at', number(BigInt(at!)), number(BigInt(bytes!)))),
    ];
    for (const lie of lies) {
      const told = JSON.stringify(lie, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v));
      await expect(given(lie), told).rejects.toMatchObject(violation);
      await expect(given(compare('eq', lie, text('x')), { t }, (predicate) => ({ kind: 'filter', predicate })), told).rejects.toMatchObject(violation);
      await expect(localRows([project(call('o.reversed', col('r')), lie)], columns, batchesOf(columns, rows, 200), { t, o: other }), told).rejects.toMatchObject(violation);
    }
    // All of its own memory is a module's to give.
    expect((await given(call('t.at', number(BigInt(mib - 3)), number(3n))))[0]).toEqual(['\0\0\0']);
    expect((await given(call('t.at', number(BigInt(mib)), number(0n))))[0]).toEqual(['']);
  });

  it('is decided exactly: any address and length, with a module before it and without', async () => {
    const pairs = columnsOf({ a: 'int32', b: 'int32' });
    const edges = [0, 1, 2, mib - 1, mib, mib + 1, 262_144, 262_145, 2 ** 31 - 1, -(2 ** 31), -1, -2];
    const word = fc.oneof(fc.constantFrom(...edges), fc.integer(), fc.integer({ min: 0, max: mib + 100 }));
    const lie = call('t.at', col('a'), col('b'));
    await fc.assert(fc.asyncProperty(word, word, fc.boolean(), async (a, b, behind) => {
      const plan = project(lie, ...(behind ? [call('o.reversed', text('ab'))] : []));
      // The function first named is in the first module: named last it lies behind the other.
      const ops: PlanOp[] = behind ? [{ ...plan, columns: plan.kind === 'project' ? plan.columns.toReversed() : [] } as PlanOp] : [plan];
      const ended = await localRows(ops, pairs, batchesOf(pairs, [[BigInt(a), BigInt(b)]], 1), { t, o: other }).then((out) => (out[0]!.at(behind ? 1 : 0) as string).length, (error: Error) => error.message);
      const inside = (a >>> 0) + (b >>> 0) <= mib;
      if (!inside) expect(ended).toMatch(/AbiViolation/);
      else if (b >>> 0 > 262_144) expect(ended).toMatch(/OutputLimit/);
      else expect(ended).toBe(b);
    }), { numRuns: long ? 3000 : 150, ...(long ? {} : { seed: 20_251_126 }) });
  });

  it('does not hide a trap, and NULL is not passed', async () => {
    await expect(given(call('t.traps', col('s')))).rejects.toMatchObject({ message: expect.stringMatching(/TrapUnreachable/) });
    const none = columnsOf({ s: 'utf8' });
    expect(await localRows([project(call('t.traps', col('s')))], none, batchesOf(none, [[null], [null]], 2), { t })).toEqual([[null], [null]]);
  });
});
