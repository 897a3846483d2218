import { DuckDBInstance } from '@duckdb/node-api';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Expr } from '../../pushdown/expr/expr.js';
import { inferType } from '../../pushdown/expr/infer.js';
import { planSchema } from '../../pushdown/plan/schema.js';
import { sqlType } from '../../pushdown/plan/sql-type.js';
import { MillraceError } from '../../pushdown/types/error.js';
import type { LogicalType } from '../../pushdown/types/logical.js';

const types: LogicalType[] = [
  ...(['bool', 'int8', 'int16', 'int32', 'int64', 'uint8', 'uint16', 'uint32', 'float32', 'float64', 'date', 'utf8'] as const).map((kind) => ({ kind })),
  ...([[4, 1], [9, 2], [9, 0], [18, 3], [18, 0], [18, 10], [18, 18], [20, 4], [38, 0], [38, 10]] as const).map(([precision, scale]) => ({ kind: 'decimal' as const, precision, scale })),
  { kind: 'timestamp', utc: false },
  { kind: 'timestamp', utc: true },
];
const schema = { columns: types.map((type, i) => ({ name: `c${i}`, type, physical: 'i64' as const, nullable: true })) };
const column = (i: number): Expr => ({ kind: 'column', name: `c${i}` });
const pairs = types.flatMap((_, a) => types.map((_, b) => [a, b] as const));

let duckTypes: (sql: string[]) => Promise<string[]>;

beforeAll(async () => {
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  await connection.run(`create table t (${types.map((t, i) => `c${i} ${sqlType(t)}`).join(', ')})`);
  // One query per expression: those DuckDB refuses are part of the question.
  duckTypes = async (sql) => {
    const out: string[] = [];
    for (const s of sql) {
      try {
        const name = String((await (await connection.prepare(`select ${s} from t`)).run()).columnTypes()[0]);
        out.push(name === 'HUGEINT' ? 'DECIMAL(38,0)' : name);
      } catch {
        out.push('error');
      }
    }
    return out;
  };
});

function ours(expr: Expr): string {
  try {
    return sqlType(inferType(expr, schema));
  } catch (error) {
    if (error instanceof MillraceError) return 'error';
    throw error;
  }
}

describe('types are what DuckDB says', () => {
  for (const [op, sign] of [['add', '+'], ['sub', '-'], ['mul', '*'], ['div', '/'], ['mod', '%']] as const)
    it(`of ${op}`, async () => {
      const duck = await duckTypes(pairs.map(([a, b]) => `c${a} ${sign} c${b}`));
      for (const [i, [a, b]] of pairs.entries()) {
        // Intervals are no type of ours; everything else DuckDB types, so do we, and alike.
        const expected = duck[i] === 'INTERVAL' ? 'error' : duck[i];
        expect(`${sqlType(types[a]!)} ${sign} ${sqlType(types[b]!)}: ${ours({ kind: 'arith', op, left: column(a), right: column(b) })}`).toBe(`${sqlType(types[a]!)} ${sign} ${sqlType(types[b]!)}: ${expected}`);
      }
    });

  it('of coalesce, or refused by us', async () => {
    const duck = await duckTypes(pairs.map(([a, b]) => `coalesce(c${a}, c${b})`));
    for (const [i, [a, b]] of pairs.entries()) {
      const mine = ours({ kind: 'coalesce', args: [column(a), column(b)] });
      if (mine !== 'error') expect(`${sqlType(types[a]!)}, ${sqlType(types[b]!)}: ${mine}`).toBe(`${sqlType(types[a]!)}, ${sqlType(types[b]!)}: ${duck[i]}`);
    }
  });

  for (const fn of ['sum', 'min', 'max', 'avg', 'count'] as const)
    it(`of ${fn}`, async () => {
      const duck = await duckTypes(types.map((_, i) => `${fn}(c${i})`));
      for (const [i, type] of types.entries()) {
        let mine = 'error';
        try {
          mine = sqlType(planSchema({ dataset: 't', ops: [{ kind: 'aggregate', groupBy: [], aggregates: [{ name: 'x', fn, arg: column(i) }] }] }, schema).columns[0]!.type);
        } catch (error) {
          if (!(error instanceof MillraceError)) throw error;
        }
        if (mine !== 'error') expect(`${fn}(${sqlType(type)}): ${mine}`).toBe(`${fn}(${sqlType(type)}): ${duck[i]}`);
        else expect(type.kind === 'bool' || type.kind === 'date' || type.kind === 'timestamp' || type.kind === 'utf8').toBe(true);
      }
    });
});

describe('what is wrong with a plan is named', () => {
  const fails = (ops: Parameters<typeof planSchema>[0]['ops']) => {
    try {
      planSchema({ dataset: 't', ops }, schema);
    } catch (error) {
      if (error instanceof MillraceError) return `${error.code} ${error.at.field}`;
      throw error;
    }
    return 'fine';
  };
  it('operator and column', () => {
    expect(fails([{ kind: 'filter', predicate: column(3) }])).toBe('MR_PLAN_TYPE ops[0].predicate');
    expect(fails([{ kind: 'limit', count: 1, offset: 0 }, { kind: 'project', columns: [{ name: 'a', expr: { kind: 'column', name: 'nope' } }] }])).toBe('MR_PLAN_UNKNOWN_COLUMN ops[1].columns[0] "a" "nope"');
    expect(fails([{ kind: 'project', columns: [{ name: 'a', expr: column(1) }, { name: 'a', expr: column(2) }] }])).toBe('MR_PLAN_DUPLICATE_COLUMN ops[0].columns "a"');
    expect(fails([{ kind: 'topK', k: -1, orderBy: [{ expr: column(0), descending: false, nullsFirst: false }] }])).toBe('MR_PLAN_LIMIT ops[0].k');
    expect(fails([{ kind: 'aggregate', groupBy: [], aggregates: [] }])).toBe('MR_PLAN_EMPTY ops[0]');
    expect(fails([{ kind: 'aggregate', groupBy: [], aggregates: [{ name: 's', fn: 'sum', arg: column(11) }] }])).toBe('MR_PLAN_TYPE ops[0].aggregates[0] "s"');
  });
});
