import { expect, test } from 'vitest';
import { isNumeric } from '../../pushdown/expr/common-type.js';
import type { Expr } from '../../pushdown/expr/expr.js';
import { findColumn } from '../../pushdown/expr/infer.js';
import type { Plan } from '../../pushdown/plan/plan.js';
import { decodeBatch } from '../../pushdown/reference/decode.js';
import { runReference } from '../../pushdown/reference/run.js';
import type { Value } from '../../pushdown/reference/value.js';
import { compileKernel } from '../../pushdown/runtime/kernel-module.js';
import { KernelFault } from '../../pushdown/runtime/kernel-fault.js';
import { KernelInstance, loadedBytes } from '../../pushdown/runtime/kernel.js';
import { GuestFault } from '../../pushdown/runtime/wire.gen.js';
import { MillraceError } from '../../pushdown/types/error.js';
import type { Column } from '../../pushdown/types/schema.js';
import { Lowering } from '../../pushdown/wasm/lower.js';
import { compileUngrouped, type UngroupedPartial } from '../../pushdown/wasm/ungrouped/compile-ungrouped.js';
import { Unsupported } from '../../pushdown/wasm/unsupported.js';
import { type Data, randomData } from '../differential/data.js';
import { type Scope, randomNumber, randomPredicate } from '../differential/random-expr.js';
import { Random } from '../differential/random.js';

const long = process.env.MILLRACE_TEST === 'long';
const firstSeed = Number(process.env.MILLRACE_SEED ?? (long ? Date.now() % 2 ** 31 : 1));
const cases = process.env.MILLRACE_SEED ? Number(process.env.MILLRACE_CASES ?? 1) : long ? 20_000 : 600;

interface Wanted {
  readonly kind: UngroupedPartial['kind'];
  readonly arg: Expr | undefined;
}

function partialOf({ kind, arg }: Wanted, index: number, lowering: Lowering): UngroupedPartial {
  const name = `p${index}`;
  const counter: Column = { name, type: { kind: 'int64' }, physical: 'i64', nullable: false };
  if (!arg) return { kind, node: undefined, column: counter };
  const source = arg.kind === 'column' ? findColumn(arg.name, lowering.schema) : undefined;
  const node = source ? lowering.stored(source) : lowering.lower(arg);
  if (kind === 'count') return { kind, node, column: counter };
  if (kind === 'sum') {
    if (node.rep === 'f64' || node.rep === 'f32') return { kind, node, column: { ...counter, type: { kind: 'float64' }, physical: 'f64' } };
    const bound = node.range && (-node.range.min > node.range.max ? -node.range.min : node.range.max);
    const narrow = bound !== undefined && bound * 1_000_000n < 2n ** 63n;
    return { kind, node, column: { ...counter, physical: narrow ? 'i64' : 'i128' } };
  }
  const physical = source ? source.physical : node.rep;
  return { kind, node, column: { name, type: node.type, physical, nullable: false, ...(source?.dictionary && { dictionary: source.dictionary }) } };
}

function randomWanted(random: Random, scope: Scope): Wanted[] {
  const some = Array.from({ length: random.int(1, 4) }, (): Wanted => {
    const kind = random.pick(['count', 'sum', 'sum', 'min', 'max'] as const);
    const any: Expr = { kind: 'column', name: random.pick(scope.columns).name };
    if (kind !== 'sum') return { kind, arg: any };
    const numeric = scope.columns.filter((c) => isNumeric(c.type));
    const arg = random.chance(0.5) ? randomNumber(random, scope, 2) : undefined;
    return arg ? { kind, arg } : numeric.length > 0 ? { kind, arg: { kind: 'column', name: random.pick(numeric).name } } : { kind: 'count', arg: any };
  });
  return [{ kind: 'rows', arg: undefined }, ...some];
}

/** Per row group what a kernel should say: the reference's aggregates, with 0 for NULL. */
function expectedOf(data: Data, predicate: Expr | undefined, wanted: readonly Wanted[]): (Value[] | undefined)[] {
  const aggregates = wanted.map(({ kind, arg }, i) => ({ name: `p${i}`, fn: kind === 'rows' ? ('count' as const) : kind, ...(arg && { arg }) }));
  const plan: Plan = { dataset: 't', ops: [...(predicate ? [{ kind: 'filter' as const, predicate }] : []), { kind: 'aggregate', groupBy: [], aggregates }] };
  return data.rowGroups.map((group) => {
    const row = runReference(plan, data.schema, [group]).rows[0];
    return row?.[0] === 0n ? undefined : [...(row ?? [])];
  });
}

test(`ungrouped partials equal the reference interpreter, seeds ${firstSeed}..${firstSeed + cases - 1}`, () => {
  let unsupported = 0;
  for (let seed = firstSeed; seed < firstSeed + cases; seed++) {
    const random = new Random(seed);
    const data = randomData(random);
    const scope: Scope = { columns: data.schema.columns, sample: () => null };
    const predicate = random.chance(0.7) ? randomPredicate(random, scope, 2) : undefined;
    const wanted = randomWanted(random, scope);
    const where = `MILLRACE_SEED=${seed} node scripts/test.mjs test/property/wasm-ungrouped.test.ts`;
    try {
      const lowering = new Lowering(data.schema);
      const partials = wanted.map((w, i) => partialOf(w, i, lowering));
      const scan = compileUngrouped(partials, predicate, lowering, data.schema);
      const kernel = compileKernel(scan.wasm);
      const inputs = data.rowGroups.map((g) => ({ rows: g.rows, data: scan.inputColumns.map((c) => g.data[c]!) }));
      const instance = new KernelInstance(kernel, { windowBytes: Math.max(64, ...inputs.map((b) => loadedBytes(b.data))), inputColumns: scan.inputColumns.length });
      const expected = expectedOf(data, predicate, wanted);
      inputs.forEach((input, g) => {
        const out = [...instance.runMorsel(input.rows, instance.loadBatch(input.data))].flatMap((o) => {
          // A dictionary code over no value need not exist.
          const columns = scan.output.map((c) => (c.dictionary?.length === 0 ? { ...c, dictionary: [''] } : c));
          return decodeBatch({ rows: o.rows, columns, data: o.data });
        });
        expect(out.length, where).toBe(expected[g] ? 1 : 0);
        expected[g]?.forEach((value, i) => {
          if (value === null) return;
          expect(Object.is(out[0]?.[i], value), `${where}: partial ${i} of row group ${g} is ${String(out[0]?.[i])}, not ${String(value)}`).toBe(true);
        });
      });
    } catch (error) {
      if (error instanceof Unsupported) unsupported++;
      else if (isOverflow(error)) continue;
      else throw new Error(`${where}: ${String(error)}`, { cause: error });
    }
  }
  expect(unsupported).toBeLessThan(cases / 5);
});

function isOverflow(error: unknown): boolean {
  if (error instanceof MillraceError) return error.code === 'MR_ARITHMETIC_OVERFLOW';
  return error instanceof KernelFault && error.fault === GuestFault.ArithmeticOverflow;
}
