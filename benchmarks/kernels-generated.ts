import { join } from 'node:path';
import { col, count, date, decimal, type DatasetQuery, lit, type QueryResult, sum } from '../clients/node/index.js';
import { NativePeer } from './harness/native-peer.js';
import { compareWithC, integers, pushed, type Setting, storedColumns } from './kernels-compare.js';

/** "Within 1.5x of native". */
const nativeTarget = 1 / 1.5;
const revenue = col('l_extendedprice').mul(lit(1).sub(col('l_discount')));

/** Kernels made for a query, over lineitem; the C reads the same columns in the same widths. */
export async function generated(setting: Setting): Promise<void> {
  const { db, scratch } = setting;
  const { folder, types } = await storedColumns(db, 'lineitem', ['l_orderkey', 'l_partkey', 'l_quantity', 'l_extendedprice', 'l_discount', 'l_tax', 'l_returnflag', 'l_linestatus', 'l_shipdate'], scratch);
  const defines = { T_shipdate: types.l_shipdate!, T_discount: types.l_discount!, T_quantity: types.l_quantity!, T_price: types.l_extendedprice!, T_tax: types.l_tax!, T_partkey: types.l_partkey!, T_orderkey: types.l_orderkey! };
  const beside = (name: string, source: string, args: readonly string[], query: DatasetQuery, hash: (result: QueryResult) => string) =>
    compareWithC(setting, name, pushed(query, hash), (compiler) => NativePeer.build(compiler, join(folder, source), [`benchmarks/native/${source}.c`], { defines, args: [folder, ...args] }), nativeTarget);
  const rows = db.dataset('lineitem');
  const q6 = rows.filter(col('l_shipdate').ge(date('1994-01-01')).and(col('l_shipdate').lt(date('1995-01-01')), col('l_discount').between(decimal('0.05'), decimal('0.07')), col('l_quantity').lt(24))).agg({ revenue: sum(col('l_extendedprice').mul(col('l_discount'))) });
  await beside('Q6', 'q6', [], q6, (r) => String(r.toCanonicalRows()[0]?.[0]));
  const q1 = rows.filter(col('l_shipdate').le(date('1998-09-02'))).groupBy('l_returnflag', 'l_linestatus').agg({ quantity: sum(col('l_quantity')), price: sum(col('l_extendedprice')), discounted: sum(revenue), charge: sum(revenue.mul(lit(1).add(col('l_tax')))), n: count() });
  const codes: Readonly<Record<string, number>> = { A: 0, N: 1, R: 2, F: 0, O: 1 };
  await beside('Q1, its sums', 'q1', [], q1, (r) => r.toCanonicalRows().map(([flag, status, ...sums]) => [codes[String(flag)]! * 2 + codes[String(status)]!, sums] as const).sort(([a], [b]) => a - b).map(([code, sums]) => `${code}:${sums.join(',')};`).join(''));
  const keys = Number((await db.sql('SELECT max(l_partkey) AS k FROM lineitem')).toRows()[0]?.k);
  for (const percent of [1, 10, 50]) {
    const below = Math.round((keys * percent) / 100);
    const query = rows.filter(col('l_partkey').lt(below)).select('l_orderkey', 'l_extendedprice', 'l_discount', 'l_shipdate');
    await beside(`filter ${percent} %`, 'filter', [String(below)], query, checksums);
  }
}

/** Rows and the sum of each column, modulo 2^64. */
function checksums(result: QueryResult): string {
  const sums = result.columns.map((column, c) => result.batches.reduce((sum, batch) => {
    let part = 0;
    // Below 2^53: 32 bits times the rows of a batch.
    for (const value of integers(batch.data[c]!.data, column.physical, batch.rows)) part += Number(value);
    return BigInt.asUintN(64, sum + BigInt(part));
  }, 0n));
  return `${result.rows}:${sums.join(',')}`;
}
