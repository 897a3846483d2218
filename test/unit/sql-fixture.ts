// A small table with every type, nulls and awkward values, and a SqlEngine whose plans the reference interpreter runs.
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import type { PlanRun, PlanStats, SqlContext } from '../../clients/node/sql/context.js';
import { SqlEngine } from '../../clients/node/sql/sql-query.js';
import type { SqlPlan } from '../../clients/node/sql/sql-plan.js';
import { native } from '../../native/index.js';
import type { Plan } from '../../pushdown/plan/plan.js';
import { literalSql, quoteName } from '../../pushdown/plan/sql-expr.js';
import { sqlType } from '../../pushdown/plan/sql-type.js';
import { decodeBatch } from '../../pushdown/reference/decode.js';
import { encodeBatch } from '../../pushdown/reference/encode.js';
import { runReference } from '../../pushdown/reference/run.js';
import type { Value } from '../../pushdown/reference/value.js';
import type { Batch } from '../../pushdown/types/batch.js';
import type { LogicalType } from '../../pushdown/types/logical.js';
import type { PhysicalType } from '../../pushdown/types/physical.js';
import type { Column, DatasetSchema } from '../../pushdown/types/schema.js';

export interface Table {
  readonly schema: DatasetSchema;
  readonly rows: readonly (readonly Value[])[];
  readonly rowGroups: readonly Batch[];
}

const words = ['', 'apple', 'x', 'xylophone', 'a%b', "o'hara", 'grüße', 'Zebra', 'special requests', 'very special packages requests'];

function column(name: string, type: LogicalType, physical: PhysicalType, nullable: boolean, dictionary?: readonly string[]): Column {
  return { name, type, physical, nullable, ...(dictionary ? { dictionary } : {}) };
}

/** 600 rows in three row groups; deterministic. */
export function flightsLike(): Table {
  let state = 20_240_601;
  const next = (n: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % n;
  };
  const carriers = ['AA', 'DL', 'UA', 'WN'];
  const columns = [
    column('a', { kind: 'int32' }, 'i16', true),
    column('b', { kind: 'int64' }, 'i64', false),
    column('d', { kind: 'decimal', precision: 15, scale: 2 }, 'i32', true),
    column('s', { kind: 'utf8' }, 'utf8', true),
    column('carrier', { kind: 'utf8' }, 'dict8', false, carriers),
    column('dt', { kind: 'date' }, 'i16', false),
    column('ts', { kind: 'timestamp', utc: false }, 'i64', true),
    column('f', { kind: 'float64' }, 'f64', true),
    column('g', { kind: 'float32' }, 'f32', false),
    column('bo', { kind: 'bool' }, 'bool', true),
    column('si', { kind: 'int16' }, 'i8', false),
    column('tz', { kind: 'timestamp', utc: true }, 'i64', false),
  ];
  const row = (): Value[] => [
    next(9) === 0 ? null : BigInt(next(200) - 100),
    next(50) === 0 ? 9_007_199_254_740_993n : BigInt(next(1000)),
    next(11) === 0 ? null : BigInt(next(200_000) - 100_000),
    next(7) === 0 ? null : (words[next(words.length)] ?? ''),
    carriers[next(4)] ?? 'AA',
    BigInt(next(20_000)),
    next(13) === 0 ? null : 900_000_000_000_000n + BigInt(next(1_000_000)) * 100_000_001n,
    [null, Number.NaN, -0, 0][next(40)] ?? (next(4000) - 2000) / 16,
    (next(400) - 200) / 4,
    next(10) === 0 ? null : next(2) === 0,
    BigInt(next(60) - 30),
    900_000_000_000_000n + BigInt(next(1_000_000)),
  ];
  return tableOf('t', columns, Array.from({ length: 600 }, row), 250);
}

export function tableOf(name: string, columns: readonly Column[], rows: readonly (readonly Value[])[], rowGroupRowsMax: number): Table {
  const groups: (readonly Value[])[][] = [];
  for (let at = 0; at < rows.length; at += rowGroupRowsMax) groups.push(rows.slice(at, at + rowGroupRowsMax));
  return { schema: { name, columns, rows: rows.length, rowGroups: groups.length, rowGroupRowsMax }, rows, rowGroups: groups.map((g) => encodeBatch(columns, g)) };
}

/** The same rows in DuckDB proper: the judge. */
export async function judgeOf(tables: readonly Table[]): Promise<DuckDBConnection> {
  const connection = await (await DuckDBInstance.create(':memory:', { threads: '1' })).connect();
  for (const { schema, rows } of tables) {
    await connection.run(`CREATE TABLE ${quoteName(schema.name)} (${schema.columns.map((c) => `${quoteName(c.name)} ${sqlType(c.type)}`).join(', ')})`);
    for (let at = 0; at < rows.length; at += 200) {
      const tuples = rows.slice(at, at + 200).map((r) => `(${r.map((v, i) => literalSql(v, (schema.columns[i] as Column).type)).join(', ')})`);
      await connection.run(`INSERT INTO ${quoteName(schema.name)} VALUES ${tuples.join(', ')}`);
    }
  }
  return connection;
}

export interface Ran {
  readonly plan: SqlPlan;
  readonly names: readonly string[];
  readonly types: readonly string[];
  readonly rows: readonly (readonly Value[])[];
}

/** A SQL engine over tables; every plan it runs is noted in `plans`. */
export class Bench implements SqlContext {
  readonly plans: Plan[] = [];
  readonly engine = new SqlEngine(this);
  constructor(readonly tables: readonly Table[]) {}

  async datasets(): Promise<readonly DatasetSchema[]> {
    return this.tables.map((t) => t.schema);
  }

  openDuckDB: SqlContext['openDuckDB'] = (options) => native().openDuckDB(options);

  runPlan(plan: Plan): PlanRun {
    this.plans.push(plan);
    const table = this.tables.find((t) => t.schema.name === plan.dataset);
    if (!table) throw new Error(`no table ${plan.dataset}`);
    const stats: PlanStats = { linkBytes: 0, rowsScanned: table.rows.length, morselsDevice: 0, morselsHost: table.rowGroups.length, morselsPruned: 0, kernelMs: 0 };
    return { stats: () => stats, [Symbol.asyncIterator]: () => referenceBatches(plan, table) };
  }

  async run(sql: string): Promise<Ran> {
    const run = await this.engine.run(sql);
    const rows: Value[][] = [];
    for await (const batch of run) rows.push(...decodeBatch(batch));
    return { plan: run.plan, names: run.columns.map((c) => c.name), types: run.columns.map((c) => sqlType(c.type)), rows };
  }
}

async function* referenceBatches(plan: Plan, table: Table): AsyncGenerator<Batch> {
  const { columns, rows } = runReference(plan, table.schema, table.rowGroups);
  // Two batches, so that gathering them is tried; widths of results, since a sum may leave the storage type of its column.
  const cut = Math.ceil(rows.length / 2);
  if (cut > 0) yield encodeBatch(columns, rows.slice(0, cut));
  if (rows.length > cut) yield encodeBatch(columns, rows.slice(cut));
}
