// Functions of several modules in one kernel: each does what it does alone, wherever it lies.
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { withNote } from '../../clients/cli/kernel/build-project.js';
import type { Expr } from '../../pushdown/expr/expr.js';
import type { PlanOp } from '../../pushdown/plan/plan.js';
import { ModuleLinker } from '../../pushdown/user/link-modules.js';
import { readUserModule } from '../../pushdown/user/read-module.js';
import { assemblyScript } from '../kernels/assemblyscript.js';
import { assemble } from '../kernels/wat.js';
import { batchesOf, columnsOf } from './batch.js';
import { localRows } from './local.js';

const col = (name: string): Expr => ({ kind: 'column', name });
const call = (name: string, ...args: Expr[]): Expr => ({ kind: 'call', name, args });

/** Everything that names a place: memory of every width, bulk and vector instructions, the table, globals, block types, segments. */
const placesText = `(module (memory (export "memory") 2)
  (type $pair (func (param i32) (result i32 i32))) (type $unary (func (param i32) (result i32)))
  (table 5 funcref) (elem (i32.const 1) $double $negate) (elem func $negate) (elem (i32.const 3) funcref (ref.func $double) (ref.null func))
  (global $calls (mut i32) (i32.const 100)) (global $fixed i64 (i64.const 7)) (global $real (mut f64) (f64.const 0.5))
  (data (i32.const 16) "\\01\\02\\03\\04\\05\\06\\07\\08") (data $passive "abcdefgh") (data (i32.const 65536) "far")
  (func $double (type $unary) (i32.mul (local.get 0) (i32.const 2)))
  (func $negate (type $unary) (i32.sub (i32.const 0) (local.get 0)))
  (func (export "heap_top") (result i32) (i32.const 131072))
  (func (export "_initialize") (i32.store (i32.const 40) (i32.const 4242)))
  (func (export "indirect") (param i32 i32) (result i32) (call_indirect (type $unary) (local.get 1) (local.get 0)))
  (func (export "state") (param i32) (result i32) (global.set $calls (i32.add (global.get $calls) (local.get 0))) (i32.add (global.get $calls) (i32.load (i32.const 40))))
  (func (export "segment") (param i32) (result i64) (memory.init $passive (i32.const 200) (i32.const 1) (i32.const 5)) (i64.add (i64.load (i32.add (i32.const 16) (local.get 0))) (i64.add (i64.load offset=192 (i32.const 8)) (global.get $fixed))))
  (func (export "bulk") (param i32) (result i64) (memory.fill (i32.const 300) (local.get 0) (i32.const 9)) (memory.copy (i32.const 304) (i32.const 16) (i32.const 4)) (i64.load offset=1 (i32.const 300)))
  (func (export "widths") (param i32 f64) (result f64)
    (i32.store8 offset=400 (i32.const 0) (local.get 0)) (i32.store16 offset=402 (i32.const 0) (local.get 0)) (i64.store32 offset=404 (i32.const 0) (i64.extend_i32_s (local.get 0)))
    (f64.store offset=408 (i32.const 0) (local.get 1)) (f32.store offset=416 (i32.const 0) (f32.demote_f64 (local.get 1)))
    (f64.add (f64.add (f64.convert_i32_s (i32.load8_s offset=400 (i32.const 0))) (f64.convert_i32_u (i32.load16_u offset=402 (i32.const 0)))) (f64.add (f64.convert_i64_s (i64.load32_s offset=404 (i32.const 0))) (f64.add (f64.load offset=408 (i32.const 0)) (f64.promote_f32 (f32.load offset=416 (i32.const 0)))))))
  (func (export "vectors") (param i32) (result i32)
    (v128.store offset=448 (i32.const 0) (i32x4.splat (local.get 0))) (v128.store32_lane offset=452 2 (i32.const 0) (i32x4.add (v128.load offset=448 (i32.const 0)) (v128.const i32x4 1 2 3 4)))
    (i32.add (i32x4.extract_lane 1 (v128.load32_lane offset=16 1 (i32.const 0) (v128.load64_splat offset=452 (i32.const 0)))) (i32.load offset=452 (i32.const 0))))
  (func (export "blocks") (param i32) (result i32) (local.get 0) (block (type $pair) (local.set 0) (local.get 0) (i32.const 3)) (i32.add) (i32.add (memory.size)))
  (func (export "real") (param f64) (result f64) (global.set $real (f64.add (global.get $real) (f64.const 0.25))) (f64.mul (global.get $real) (local.get 0)))
  (func (export "past_table") (param i32) (result i32) (call_indirect (type $unary) (i32.const 1) (i32.add (local.get 0) (i32.const 5))))
  (func (export "null_entry") (param i32) (result i32) (call_indirect (type $unary) (i32.const 1) (i32.const 4)))
  (func (export "past_memory") (param i32) (result i32) (i32.load (i32.sub (i32.const 0) (local.get 0))))
  (func (export "offset_past") (param i32) (result i32) (i32.load offset=4294967295 (local.get 0)))
  (func (export "fill_past") (param i32) (result i32) (memory.fill (i32.sub (i32.const 0) (local.get 0)) (i32.const 1) (i32.const 8)) (i32.const 1))
  (func (export "copy_past") (param i32) (result i32) (memory.copy (i32.const 0) (i32.sub (i32.const -1) (local.get 0)) (i32.const 0)) (i32.const 1))
  (func (export "first_byte") (param i32 i32) (result i32) (if (result i32) (local.get 1) (then (i32.load8_u (local.get 0))) (else (i32.const -1)))))`;
const notes = JSON.stringify({ functions: { first_byte: '(utf8) -> i32' } });

let places: Uint8Array;
let other: Uint8Array;
let script: Uint8Array;
let third: Uint8Array;

beforeAll(async () => {
  places = withNote(await assemble(placesText), notes);
  // The same at other addresses, with another state, and a table of its own.
  other = withNote(await assemble(placesText.replace('(memory (export "memory") 2)', '(memory (export "memory") 5)').replace('i32.const 100', 'i32.const 100000').replace('"abcdefgh"', '"ABCDEFGH"')), notes);
  script = await assemblyScript(readFileSync(new URL('../../sdk/assemblyscript/template/kernel.ts', import.meta.url), 'utf8'));
  third = await assemblyScript('let n = 0; const names: string[] = ["zero", "one", "two"]; export function length(i: i32): i32 { n++; return (names[i % 3] + n.toString()).length; }\nexport function twice(x: f64): f64 { return x * 2; }');
});

const columns = columnsOf({ i: 'int32', x: 'float64', s: 'utf8' });
const rows = Array.from({ length: 400 }, (_, r) => [r % 17 === 0 ? null : BigInt(r % 9), r % 5 === 0 ? null : r / 8, r % 7 === 0 ? null : `${String.fromCharCode(97 + (r % 26))}${'é'.repeat(r % 3)}`]);
const functions: Record<string, Expr[]> = {
  indirect: [{ kind: 'literal', value: 2n, type: { kind: 'int32' } }, col('i')], state: [col('i')], segment: [col('i')], bulk: [col('i')], widths: [col('i'), col('x')], vectors: [col('i')], blocks: [col('i')], real: [col('x')], first_byte: [col('s')],
};
const select = (names: readonly string[]): PlanOp[] => [{ kind: 'project', columns: names.map((name) => ({ name, expr: call(name, ...functions[name.split('.')[1] ?? '']!) })) }];
const run = (ops: readonly PlanOp[], modules: Record<string, Uint8Array>, size = 100) => localRows(ops, columns, batchesOf(columns, rows, size), modules);

describe('a function gives what it gives alone', () => {
  it('behind modules before it, whatever it does', async () => {
    for (const name of Object.keys(functions)) {
      const alone = (await run(select([`p.${name}`]), { p: places })).map(([v]) => v);
      expect(alone.some((v) => v !== null), name).toBe(true);
      for (const before of [['o.bulk'], ['o.state', 'o.first_byte'], ['o.segment', 't.length']]) {
        const t: Record<string, Expr[]> = { ...functions, length: [col('i')] };
        const ops: PlanOp[] = [{ kind: 'project', columns: [...before, `p.${name}`].map((n) => ({ name: n, expr: call(n, ...t[n.split('.')[1]!]!) })) }];
        const together = await run(ops, { p: places, o: other, t: third });
        expect([name, before, together.map((row) => row.at(-1))]).toEqual([name, before, alone]);
      }
    }
  });

  it('and two copies that differ in one constant keep apart', async () => {
    const both = await run(select(['p.state', 'o.state', 'p.segment', 'o.segment']), { p: places, o: other });
    const [p, o] = [await run(select(['p.state', 'p.segment']), { p: places }), await run(select(['o.state', 'o.segment']), { o: other })];
    expect(both.map(([a, , c]) => [a, c])).toEqual(p);
    expect(both.map(([, b, , d]) => [b, d])).toEqual(o);
    expect(p).not.toEqual(o);
  });

  it('in filters, aggregates, groups and below a batch kernel of another module', async () => {
    const twice = call('t.twice', col('x'));
    const keep = call('k.keep', twice, col('i'));
    const kept = rows.filter(([i, x]) => i !== null && x !== null && 2 * Number(x) > Number(i));
    const modules = { k: script, t: third };
    expect(await run([{ kind: 'filter', predicate: keep }], modules)).toEqual(kept);
    expect(await run([{ kind: 'filter', predicate: keep }, { kind: 'aggregate', groupBy: [], aggregates: [{ name: 's', fn: 'sum', arg: twice }, { name: 'n', fn: 'count' }] }], modules)).toEqual([[kept.reduce((s, [, x]) => s + 2 * Number(x), 0), BigInt(kept.length)]]);
    const groups = await run([{ kind: 'aggregate', groupBy: [{ name: 'k', expr: keep }], aggregates: [{ name: 'n', fn: 'count', arg: twice }] }], modules);
    expect(new Map(groups.map(([k, n]) => [k, n])).get(1n)).toBe(BigInt(kept.length));
    const long = await run([{ kind: 'filter', predicate: call('t.twice', col('x')) }, { kind: 'filter', predicate: { kind: 'compare', op: 'gt', left: call('t.length', col('i')), right: { kind: 'literal', value: 0n, type: { kind: 'int32' } } } }, { kind: 'project', columns: [{ name: 'text', expr: col('s') }] }, { kind: 'kernel', name: 'k', params: 'least=2\n' }], modules);
    const texts = rows.filter(([i, x, s]) => i !== null && x !== null && x !== 0 && s !== null && [...(s as string)].length >= 2);
    expect(long).toEqual(texts.map(([, , s]) => [s, BigInt([...(s as string)].length)]));
  });

  it('and forgets what it did before each row group, also beside a batch kernel that keeps its state', async () => {
    const keeping = await assemblyScript(`${readFileSync(new URL('../../sdk/assemblyscript/template/kernel.ts', import.meta.url), 'utf8')}\nexport function reset(): void {}`);
    const project: PlanOp[] = [{ kind: 'project', columns: [{ name: 'text', expr: col('s') }] }];
    const counted: PlanOp[] = [{ kind: 'filter', predicate: { kind: 'compare', op: 'le', left: call('p.state', { kind: 'literal', value: 1n, type: { kind: 'int32' } }), right: { kind: 'literal', value: 4342n + 20n, type: { kind: 'int32' } } } }];
    // The first 20 rows of every 100.
    const expected = rows.filter((_, r) => r % 100 < 20).flatMap(([, , s]) => (s === null ? [] : [[s, BigInt([...(s as string)].length)]]));
    expect(await run([...counted, ...project, { kind: 'kernel', name: 'k', params: '' }], { k: keeping, p: places })).toEqual(expected);
  });
});

describe('what a module may not do alone it may not do behind others', () => {
  it('traps for entries, addresses and lengths outside what it has', async () => {
    const behind = (name: string) => run([{ kind: 'project', columns: [{ name: 'o', expr: call('o.bulk', col('i')) }, { name: 'p', expr: call(`p.${name}`, { kind: 'literal', value: 1n, type: { kind: 'int32' } }) }] }], { o: other, p: places });
    for (const [name, words] of [['past_table', /unreachable|TrapUnreachable/i], ['null_entry', /./], ['past_memory', /./], ['offset_past', /./], ['fill_past', /./], ['copy_past', /./]] as const)
      await expect(behind(name), name).rejects.toMatchObject({ message: expect.stringMatching(words) });
  });

  it('is refused where its segments reach past its table, and where all together are too much', async () => {
    const reaching = readUserModule(await assemble('(module (table 2 funcref) (elem (i32.const 1) $f $f) (func $f))'));
    const linker = new ModuleLinker(readUserModule(places));
    expect(() => linker.add(reaching)).toThrow(/reaches past its table/);
    const vast = await assemble('(module (memory 16000))');
    for (let i = 0; i < 4; i++) linker.add(readUserModule(vast));
    expect(() => linker.add(readUserModule(vast))).toThrow(/more than 4 GiB/);
    const many = new ModuleLinker();
    for (let i = 0; i < 64; i++) many.add(readUserModule(places));
    expect(() => many.add(readUserModule(places))).toThrow(expect.objectContaining({ code: 'MR_FUNCTION_MODULES' }));
  });
});
