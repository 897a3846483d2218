import { ChunkRecord, DatasetHeader } from '../../pushdown/runtime/wire.gen.js';
import { ZoneMaps } from '../../pushdown/split/zone-map.js';
import { sqlType } from '../../pushdown/plan/sql-type.js';
import type { Value } from '../../pushdown/reference/value.js';
import type { LogicalType } from '../../pushdown/types/logical.js';
import type { PhysicalType } from '../../pushdown/types/physical.js';
import { invariant } from '../../pushdown/types/error.js';
import { decimalText, dateText, timestampText } from './result/value.js';
import type { DatasetView } from './scan/dataset-view.js';

/** A dataset as it lies on the device. Bounds are texts as rows show them; absent: unknown, or there is no value. */
export interface DatasetDescription {
  readonly name: string;
  readonly version: number;
  readonly rows: number;
  readonly rowGroupRowsMax: number;
  /** Bytes on the namespace. */
  readonly storedBytes: number;
  readonly columns: readonly ColumnDescription[];
  readonly rowGroups: readonly RowGroupDescription[];
}

export interface ColumnDescription {
  readonly name: string;
  /** As SQL writes it. */
  readonly type: string;
  readonly physical: PhysicalType;
  readonly nullable: boolean;
  readonly nullCount: number;
  /** Of its chunks, before padding to blocks and without its dictionary. */
  readonly bytes: number;
  readonly dictionaryEntries?: number;
}

export interface RowGroupDescription {
  readonly rows: number;
  readonly bytes: number;
  /** One per column of the dataset. */
  readonly zones: readonly ZoneDescription[];
}

export interface ZoneDescription {
  readonly nullCount: number;
  readonly hasNan: boolean;
  readonly bytes: number;
  readonly min?: string;
  readonly max?: string;
  /** min and max are the first bytes of texts. */
  readonly prefixes?: true;
}

/** Reads zone maps and chunk sizes out of a dataset's layout. */
export async function describeDataset(view: DatasetView): Promise<DatasetDescription> {
  const { info, layout } = view;
  const schema = await view.schemaFor({ dataset: info.name, ops: [] });
  const maps = new ZoneMaps(layout.bytes, schema);
  const records = new DataView(layout.bytes.buffer, layout.bytes.byteOffset, layout.bytes.byteLength);
  const bytesOf = (column: number, rowGroup: number) => Number(records.getBigUint64(DatasetHeader.bytes + (column * layout.rowGroups + rowGroup) * ChunkRecord.bytes + ChunkRecord.usedBytes, true));
  const rowGroups = Array.from({ length: layout.rowGroups }, (_, g): RowGroupDescription => {
    const zones = schema.columns.map(({ type }, c): ZoneDescription => {
      const { nullCount, hasNan, bounds } = maps.at(c, g);
      const shown = bounds && { min: boundText(type, bounds.min, bounds.prefixes), max: boundText(type, bounds.max, bounds.prefixes), ...(bounds.prefixes ? { prefixes: true as const } : {}) };
      return { nullCount, hasNan, bytes: bytesOf(c, g), ...shown };
    });
    return { rows: layout.rows(g), bytes: zones.reduce((sum, z) => sum + z.bytes, 0), zones };
  });
  const columns = info.columns.map(({ name, type, physical, nullable, nullCount, dictionaryEntries }, c): ColumnDescription => ({
    name, type: sqlType(type), physical, nullable, nullCount,
    bytes: rowGroups.reduce((sum, g) => sum + (g.zones[c]?.bytes ?? 0), 0),
    ...(dictionaryEntries === undefined ? {} : { dictionaryEntries }),
  }));
  return { name: info.name, version: info.version, rows: info.rows, rowGroupRowsMax: info.rowGroupRowsMax, storedBytes: info.storedBytes, columns, rowGroups };
}

function boundText(type: LogicalType, value: Value, prefix: boolean): string {
  if (prefix) {
    invariant(typeof value === 'bigint', 'a prefix is eight bytes as a number');
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(value);
    // Zero fill and a character cut in two say nothing.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: zeros are what is looked for
    return bytes.toString('utf8').replace(/[\u0000\ufffd]+$/, '');
  }
  if (typeof value !== 'bigint') return String(value);
  switch (type.kind) {
    case 'decimal': return decimalText(value, type.scale);
    case 'date': return dateText(value);
    case 'timestamp': return timestampText(value, type.utc);
    default: return String(value);
  }
}
