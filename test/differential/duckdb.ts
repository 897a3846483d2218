import { type DuckDBConnection, DuckDBDateValue, DuckDBDecimalValue, DuckDBInstance, DuckDBTimestampTZValue, DuckDBTimestampValue, type DuckDBValue } from '@duckdb/node-api';
import type { Plan } from '../../pushdown/plan/plan.js';
import { planSchema } from '../../pushdown/plan/schema.js';
import { planSql } from '../../pushdown/plan/sql.js';
import { literalSql, quoteName } from '../../pushdown/plan/sql-expr.js';
import { sqlType } from '../../pushdown/plan/sql-type.js';
import type { Rows } from '../../pushdown/reference/run.js';
import type { Value } from '../../pushdown/reference/value.js';
import type { LogicalType } from '../../pushdown/types/logical.js';
import type { Data } from './data.js';
import type { Executor } from './executor.js';

/** DuckDB over a native table with the same rows in the same order. */
export class DuckExecutor implements Executor {
  readonly name = 'DuckDB';
  readonly rule = 'sql';
  #loaded: Data | undefined;
  private constructor(readonly connection: DuckDBConnection) {}

  static async open(): Promise<DuckExecutor> {
    const connection = await (await DuckDBInstance.create(':memory:', { threads: '1' })).connect();
    await connection.run("SET TimeZone = 'UTC'");
    return new DuckExecutor(connection);
  }

  async run(plan: Plan, data: Data): Promise<Rows> {
    await this.load(data);
    const { columns } = planSchema(plan, data.schema);
    const reader = await this.connection.runAndReadAll(planSql(plan, data.schema, 't'));
    return { columns, rows: reader.getRows().map((row) => row.map((v, i) => canonicalOf(v, columns[i]!.type))) };
  }

  /** Makes table t of the data, unless it is there already. */
  async load(data: Data): Promise<void> {
    if (this.#loaded === data) return;
    const { columns } = data.schema;
    await this.connection.run(`CREATE OR REPLACE TABLE t (${columns.map((c) => `${quoteName(c.name)} ${sqlType(c.type)}`).join(', ')})`);
    const rows = data.values.flat();
    for (let at = 0; at < rows.length; at += 500) {
      const tuples = rows.slice(at, at + 500).map((row) => `(${row.map((v, i) => literalSql(v, columns[i]!.type)).join(', ')})`);
      await this.connection.run(`INSERT INTO t VALUES ${tuples.join(', ')}`);
    }
    this.#loaded = data;
  }
}

function canonicalOf(v: DuckDBValue, type: LogicalType): Value {
  if (v === null || typeof v === 'boolean' || typeof v === 'string') return v;
  if (typeof v === 'number') return type.kind === 'float32' || type.kind === 'float64' ? v : BigInt(v);
  if (typeof v === 'bigint') return v;
  if (v instanceof DuckDBDecimalValue) return v.value;
  if (v instanceof DuckDBDateValue) return BigInt(v.days);
  if (v instanceof DuckDBTimestampValue || v instanceof DuckDBTimestampTZValue) return v.micros;
  throw new Error(`no canonical form of ${String(v)} as ${type.kind}`);
}
