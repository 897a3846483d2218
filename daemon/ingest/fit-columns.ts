import type { NativeDuckDB } from '../../native/index.js';
import type { DatasetColumnInfo } from '../../pushdown/types/dataset-info.js';
import { type PhysicalType, valueBytes } from '../../pushdown/types/physical.js';
import { datasetColumn } from './column-type.js';
import { type DictionaryValues, dictionaryBytesMax, dictionaryEntriesMax, distinctValues, narrowest, type StoredColumn } from './decide.js';
import type { Extended } from './protocol.js';
import { readCells } from './result-cell.js';
import { type ColumnStatistics, gatherStatisticsOf, type Statistics } from './statistics.js';

export interface Fitted {
  readonly statistics: Statistics;
  readonly columns: readonly StoredColumn[];
  /** Of a dataset that is extended: columns whose dictionary got values. */
  readonly rewritten?: readonly number[];
}
export interface Unfit {
  readonly unfit: { readonly column: string; readonly reason: string };
}

/**
 * New rows as row groups of a dataset that stays as it is: readers rely on one width, one dictionary and one kind of validity
 * buffer per column, so whatever the new rows would change there means that all of it is written anew.
 */
export async function fitColumns(db: NativeDuckDB, relation: string, { columns, dictionaries }: Extended): Promise<Fitted | Unfit> {
  const statistics = await gatherStatisticsOf(db, relation, columns.map(({ name, type }) => datasetColumn(name, type)));
  const stored: StoredColumn[] = [];
  const rewritten: number[] = [];
  for (const [i, base] of columns.entries()) {
    const found = statistics.columns[i] as ColumnStatistics;
    const unfit = (reason: string): Unfit => ({ unfit: { column: base.name, reason } });
    if (found.nulls > 0 && !base.nullable) return unfit('it has its first NULL, for which every row group needs a bitmap');
    const wider = found.bounds && widerThan(base.physical, found.bounds);
    if (wider) return unfit(`its values need ${wider} instead of ${base.physical}`);
    const values = dictionaries[i];
    let dictionary: DictionaryValues | undefined;
    if (values) {
      const grown = await grownDictionary(db, relation, found, base, values);
      if (typeof grown === 'string') return unfit(grown);
      dictionary = grown;
      if (grown.entries !== values.length) rewritten.push(i);
    }
    stored.push(storedLike(base, found, dictionary));
  }
  return { statistics, columns: stored, rewritten };
}

function storedLike(base: DatasetColumnInfo, { source, nulls, bounds }: ColumnStatistics, dictionary: DictionaryValues | undefined): StoredColumn {
  const { name, type, physical, nullable } = base;
  const codes = dictionary && { min: 0n, max: BigInt(dictionary.entries - 1) };
  const range = codes ?? bounds;
  return {
    info: { name, type, physical, nullable, nullCount: nulls, ...(range ? { min: String(range.min), max: String(range.max) } : {}), ...(dictionary ? { dictionaryEntries: dictionary.entries } : {}) },
    encode: { name, physical, nullable, ...(range ?? {}), ...(dictionary ? { dictionary: dictionary.batches } : {}) },
    expression: source.expression,
  };
}

/** The width the values need where it is more than the column has. */
function widerThan(physical: PhysicalType, { min, max }: { readonly min: bigint; readonly max: bigint }): PhysicalType | undefined {
  const needed = narrowest(min, max);
  return (valueBytes[needed] ?? 0) > (valueBytes[physical] ?? 0) ? needed : undefined;
}

/** The dictionary with the new rows' values, which may only come behind all others: codes keep what they mean and their order. Text says why not. */
async function grownDictionary(db: NativeDuckDB, relation: string, { source }: ColumnStatistics, { physical }: DatasetColumnInfo, values: readonly string[]): Promise<DictionaryValues | string> {
  const found = await distinctValues(db, relation, source.expression);
  // None at all, or too many.
  if (!found && readCells(await db.query(`SELECT 1 FROM ${relation} WHERE ${source.expression} IS NOT NULL LIMIT 1`)).length > 0) return 'it has too many different values for a dictionary';
  const known = new Set(values);
  const fresh = (found ? readCells({ columns: [{ name: 'v', format: 'u' }], batches: found.batches }) : []).map(([value]) => String(value)).filter((value) => !known.has(value));
  const all = [...values, ...fresh].map((value) => Buffer.from(value, 'utf8'));
  const last = all[values.length - 1];
  const first = all[values.length];
  if (first && last && Buffer.compare(first, last) <= 0) return 'it has values that sort between those of its dictionary';
  const codes = 2 ** (8 * (valueBytes[physical] ?? 0) - 1);
  if (all.length > Math.min(codes, dictionaryEntriesMax)) return `it has more different values than ${physical} counts`;
  const bytes = Buffer.concat(all);
  if (bytes.byteLength > dictionaryBytesMax) return 'its dictionary becomes too large';
  const offsets = new Int32Array(all.length + 1);
  for (const [i, value] of all.entries()) offsets[i + 1] = (offsets[i] ?? 0) + value.byteLength;
  return { entries: all.length, batches: [{ rows: all.length, buffers: [null, new Uint8Array(offsets.buffer), bytes] }] };
}
