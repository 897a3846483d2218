import { ChunkRecord, DatasetHeader } from '../runtime/wire.gen.js';
import type { Value } from '../reference/value.js';
import { invariant } from '../types/error.js';
import type { Column, Schema } from '../types/schema.js';

/** What is known of one column in one row group. */
export interface ZoneMap {
  readonly rows: number;
  readonly nullCount: number;
  /** NaN counts as above everything and is not in min and max. */
  readonly hasNan: boolean;
  /** Of the values that are neither NULL nor NaN. Absent: unknown. */
  readonly bounds?: {
    readonly min: Value;
    readonly max: Value;
    /** min and max are the first eight bytes of texts (big endian, zero filled) instead of values. */
    readonly prefixes: boolean;
  };
}

const flag = { bounds: 1, nan: 2, inexact: 4 } as const;

/** Reads zone maps out of a dataset's layout: DatasetHeader, then ChunkRecord[columns][rowGroups] (native/wire/scan.def). */
export class ZoneMaps {
  readonly rowGroups: number;
  readonly #view: DataView;

  constructor(
    layout: Uint8Array,
    readonly schema: Schema,
  ) {
    this.#view = new DataView(layout.buffer, layout.byteOffset, layout.byteLength);
    this.rowGroups = this.#view.getUint32(DatasetHeader.rowGroups, true);
    invariant(this.#view.getUint32(DatasetHeader.columns, true) === schema.columns.length, 'the layout is of this schema');
    invariant(layout.byteLength >= DatasetHeader.bytes + schema.columns.length * this.rowGroups * ChunkRecord.bytes, 'the layout is complete');
  }

  at(column: number, rowGroup: number): ZoneMap {
    const record = DatasetHeader.bytes + (column * this.rowGroups + rowGroup) * ChunkRecord.bytes;
    const u32 = (offset: number) => this.#view.getUint32(record + offset, true);
    const flags = u32(ChunkRecord.zoneFlags);
    const zone = { rows: u32(ChunkRecord.rows), nullCount: u32(ChunkRecord.nullCount), hasNan: (flags & flag.nan) !== 0 };
    const schemaColumn = this.schema.columns[column];
    if ((flags & flag.bounds) === 0 || !schemaColumn) return zone;
    const min = boundAt(this.#view, record + ChunkRecord.minBits, schemaColumn);
    const max = boundAt(this.#view, record + ChunkRecord.maxBits, schemaColumn);
    return min === undefined || max === undefined ? zone : { ...zone, bounds: { min, max, prefixes: schemaColumn.physical === 'utf8' } };
  }
}

/** undefined: a dictionary code whose text is not loaded. */
function boundAt(view: DataView, at: number, { physical, dictionary }: Column): Value | undefined {
  switch (physical) {
    case 'f32':
    case 'f64':
      return view.getFloat64(at, true);
    case 'bool':
      return view.getBigInt64(at, true) !== 0n;
    case 'dict8':
    case 'dict16':
    case 'dict32':
      return dictionary?.[Number(view.getBigInt64(at, true))];
    case 'utf8':
      return view.getBigUint64(at, true);
    default:
      return view.getBigInt64(at, true);
  }
}
