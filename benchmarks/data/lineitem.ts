// A lineitem-shaped table out of arithmetic and hashes: same rows for the same count, whatever the machine or thread count.
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { native } from '../../native/index.js';

/** Seven orders of 4, 1, 7, 3, 6, 2 and 5 lines repeat: 28 lines. Order within the block and line number, by position. */
const orderSizes = [4, 1, 7, 3, 6, 2, 5];
const orderOf = orderSizes.flatMap((size, order) => new Array<number>(size).fill(order));
const lineOf = orderSizes.flatMap((size) => Array.from({ length: size }, (_, line) => line + 1));

const adverbs = ['quickly', 'carefully', 'furiously', 'slyly', 'blithely', 'fluffily', 'ruthlessly', 'evenly'];
const adjectives = ['special', 'pending', 'unusual', 'express', 'final', 'regular', 'ironic', 'bold', 'even', 'silent'];
const nouns = ['requests', 'deposits', 'packages', 'accounts', 'instructions', 'theodolites', 'foxes', 'pinto beans', 'ideas', 'platelets', 'asymptotes', 'dependencies'];
const verbs = ['sleep', 'haggle', 'nag', 'wake', 'cajole', 'boost', 'detect', 'integrate', 'use', 'affix'];
const prepositions = ['among the', 'above the', 'across the', 'according to', 'after the', 'beyond the', 'along the'];

const list = (values: readonly (string | number)[]): string => `[${values.map((v) => (typeof v === 'number' ? v : `'${v}'`)).join(', ')}]`;
/** One of `values`, by bits of a hash. */
const pick = (values: readonly string[], hash: string, shift: number): string => `${list(values)}[1 + ((${hash} >> ${shift}) % ${values.length})::INTEGER]`;

/** SQL of the table with `rows` rows in order of l_orderkey, l_linenumber. 6,000,000 rows have TPC-H's key ranges of scale factor 1. */
export function lineitemSql(rows: number): string {
  const parts = Math.max(1, Math.round(rows / 30));
  const suppliers = Math.max(1, Math.round(rows / 600));
  return `
WITH lines AS (
  SELECT i, (i // 28) * 7 + ${list(orderOf)}[1 + (i % 28)::INTEGER] AS o, ${list(lineOf)}[1 + (i % 28)::INTEGER] AS line,
         hash(i) AS h, hash(i + 1000000000000) AS g
  FROM range(${rows}) t(i)
), dated AS (
  SELECT *, DATE '1992-01-01' + (hash(o + 2000000000000) % 2406)::INTEGER AS ordered, (1 + h % ${parts})::BIGINT AS part,
         (1 + (h >> 32) % 50)::INTEGER AS quantity
  FROM lines
), shipped AS (
  SELECT *, ordered + (1 + g % 121)::INTEGER AS ship FROM dated
), received AS (
  SELECT *, ship + (1 + (g >> 8) % 30)::INTEGER AS receipt FROM shipped
)
SELECT
  (o // 8) * 32 + o % 8 + 1 AS l_orderkey,
  part AS l_partkey,
  (part + (i % 4) * ${Math.max(1, Math.floor(suppliers / 4))}) % ${suppliers} + 1 AS l_suppkey,
  line::BIGINT AS l_linenumber,
  quantity::DECIMAL(15, 2) AS l_quantity,
  ((quantity * (90000 + (part // 10) % 20001 + 100 * (part % 1000)))::DECIMAL(18, 0) / 100)::DECIMAL(15, 2) AS l_extendedprice,
  (((g >> 16) % 11)::DECIMAL(15, 2) / 100)::DECIMAL(15, 2) AS l_discount,
  (((g >> 24) % 9)::DECIMAL(15, 2) / 100)::DECIMAL(15, 2) AS l_tax,
  CASE WHEN receipt > DATE '1995-06-17' THEN 'N' WHEN (g >> 32) % 2 = 0 THEN 'R' ELSE 'A' END AS l_returnflag,
  CASE WHEN ship > DATE '1995-06-17' THEN 'O' ELSE 'F' END AS l_linestatus,
  ship AS l_shipdate,
  ordered + (30 + (g >> 40) % 61)::INTEGER AS l_commitdate,
  receipt AS l_receiptdate,
  ${pick(['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'], 'g', 48)} AS l_shipinstruct,
  ${pick(['REG AIR', 'AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB'], 'g', 52)} AS l_shipmode,
  substr(concat_ws(' ', ${pick(adverbs, 'h', 3)}, ${pick(adjectives, 'h', 9)}, ${pick(nouns, 'h', 15)}, ${pick(verbs, 'h', 21)}, ${pick(prepositions, 'g', 5)},
         ${pick(adjectives, 'g', 11)}, ${pick(nouns, 'g', 19)}), 1 + ((g >> 27) % 5)::INTEGER, 10 + ((h >> 40) % 34)::INTEGER) AS l_comment
FROM received`;
}

/**
 * Writes the table as Parquet to `path` unless the file is there already. Deterministic: the caller may keep it.
 * About 30 s and 250 MB for 6,000,000 rows.
 */
export async function writeLineitem(path: string, rows = 6_000_000): Promise<void> {
  if (existsSync(path)) return;
  mkdirSync(dirname(path), { recursive: true });
  const db = native().openDuckDB({ memoryLimitBytes: 2 ** 31, threads: 2, locked: false });
  try {
    // Beside the target, so that a half-written file never has its name.
    const unfinished = `${path}.${process.pid}.tmp`;
    await db.query(`COPY (${lineitemSql(rows)}) TO '${unfinished.replaceAll("'", "''")}' (FORMAT parquet)`);
    renameSync(unfinished, path);
  } finally {
    db.close();
  }
}
