import type { DuckBatch, NativeDuckDB } from '../../native/index.js';
import type { EncodeColumn } from '../../native/encoder.js';
import type { DatasetColumnInfo } from '../../pushdown/types/dataset-info.js';
import { invariant } from '../../pushdown/types/error.js';
import type { PhysicalType } from '../../pushdown/types/physical.js';
import type { ColumnStatistics, Statistics } from './statistics.js';

/** How a column is stored: what the schema says of it and what the encoder needs. */
export interface StoredColumn {
  readonly info: DatasetColumnInfo;
  readonly encode: EncodeColumn;
  readonly expression: string;
}

export const dictionaryEntriesMax = 65_536;
/** Dictionaries are loaded whole by planners. */
export const dictionaryBytesMax = 16 << 20;

/** Width, dictionary and nullability of every column, decided once for the whole dataset. */
export async function decideColumns(db: NativeDuckDB, relation: string, { rows, columns }: Statistics): Promise<readonly StoredColumn[]> {
  const stored: StoredColumn[] = [];
  for (const column of columns) stored.push(await decideColumn(db, relation, rows, column));
  return stored;
}

async function decideColumn(db: NativeDuckDB, relation: string, rows: number, column: ColumnStatistics): Promise<StoredColumn> {
  const { source, nulls, bounds } = column;
  const common = { name: source.name, nullable: nulls > 0 };
  const make = (physical: PhysicalType, info: Partial<DatasetColumnInfo> = {}, encode: Partial<EncodeColumn> = {}): StoredColumn => ({
    info: { ...common, type: source.type, physical, nullCount: nulls, ...info },
    encode: { ...common, physical, ...encode },
    expression: source.expression,
  });
  switch (source.type.kind) {
    case 'bool': return make('bool');
    case 'float32': return make('f32');
    case 'float64': return make('f64');
    case 'utf8':
    case 'opaque': {
      const values = dictionaryPays(rows - nulls, column) ? await distinctValues(db, relation, source.expression) : undefined;
      if (!values) return make('utf8');
      const max = BigInt(values.entries - 1);
      const physical = values.entries <= 1 << 7 ? 'dict8' : values.entries <= 1 << 15 ? 'dict16' : 'dict32';
      return make(physical, { min: '0', max: String(max), dictionaryEntries: values.entries }, { min: 0n, max, dictionary: values.batches });
    }
    default:
      return bounds ? make(narrowest(bounds.min, bounds.max), { min: String(bounds.min), max: String(bounds.max) }, bounds) : make('i8');
  }
}

export function narrowest(min: bigint, max: bigint): PhysicalType {
  for (const [physical, bits] of [['i8', 8], ['i16', 16], ['i32', 32]] as const) if (BigInt.asIntN(bits, min) === min && BigInt.asIntN(bits, max) === max) return physical;
  return 'i64';
}

/** Every value of the column that is there, as utf8 batches in code order, and how many. */
export type DictionaryValues = { readonly entries: number; readonly batches: readonly DuckBatch[] };

/** Values repeat at least twice on average, are few enough, and small enough together. */
function dictionaryPays(values: number, { text }: ColumnStatistics): boolean {
  invariant(text, 'text has text statistics');
  return values > 0 && text.distinct * 2 <= values && text.distinct <= dictionaryEntriesMax && text.distinct * text.averageBytes <= dictionaryBytesMax;
}

/** All values, sorted by UTF-8 bytes (DuckDB's default collation is binary); undefined when there are too many after all. */
export async function distinctValues(db: NativeDuckDB, relation: string, expression: string): Promise<DictionaryValues | undefined> {
  const { batches } = await db.query(
    `SELECT v FROM (SELECT DISTINCT ${expression} AS v FROM ${relation} WHERE ${expression} IS NOT NULL LIMIT ${dictionaryEntriesMax + 1}) ORDER BY v`,
  );
  const entries = batches.reduce((sum, batch) => sum + batch.rows, 0);
  return entries > dictionaryEntriesMax || entries === 0 ? undefined : { entries, batches };
}
