import { exactBounds } from '../../pushdown/reference/cast.js';
import { encodeBatch } from '../../pushdown/reference/encode.js';
import { type Value, compareText } from '../../pushdown/reference/value.js';
import type { Batch } from '../../pushdown/types/batch.js';
import type { LogicalType } from '../../pushdown/types/logical.js';
import type { PhysicalType } from '../../pushdown/types/physical.js';
import type { Column, DatasetSchema } from '../../pushdown/types/schema.js';
import type { Random } from './random.js';

/** A dataset both as values and as the row groups a device would hold. */
export interface Data {
  readonly schema: DatasetSchema;
  /** Per row group, per row. */
  readonly values: readonly (readonly (readonly Value[])[])[];
  readonly rowGroups: readonly Batch[];
}

export function dataOf(columns: readonly Column[], values: Data['values']): Data {
  const rows = values.reduce((n, g) => n + g.length, 0);
  const rowGroupRowsMax = Math.max(1, ...values.map((g) => g.length));
  return { schema: { name: 't', columns, rows, rowGroups: values.length, rowGroupRowsMax }, values, rowGroups: values.map((g) => encodeBatch(columns, g)) };
}

const logicalTypes: readonly LogicalType[] = [
  ...(['bool', 'int8', 'int16', 'int32', 'int64', 'uint8', 'uint16', 'uint32', 'float32', 'float64', 'float64', 'date', 'utf8', 'utf8', 'utf8'] as const).map((kind) => ({ kind })),
  ...([[4, 1], [9, 2], [12, 2], [15, 2], [18, 0], [18, 6]] as const).map(([precision, scale]) => ({ kind: 'decimal' as const, precision, scale })),
  { kind: 'timestamp', utc: false },
  { kind: 'timestamp', utc: true },
];

/** Random schema and rows: nulls, NaN, -0, empty strings, extremes, empty and one-row row groups, all-null columns, dictionaries. */
export function randomData(random: Random): Data {
  const groups = random.chance(0.03) ? 0 : random.pick([1, 1, 2, 3, 5]);
  const big = random.chance(0.1);
  const sizes = Array.from({ length: groups }, () => (big ? random.int(200, 3000) : random.pick([0, 1, 7, 16, 33, 64, random.int(1, 130), random.int(1, 130)])));
  const columnCount = random.int(3, 9);
  const makers = Array.from({ length: columnCount }, (_, i) => columnMaker(random, `c${i}`, sizes));
  const rows = sizes.map((n, g) => Array.from({ length: n }, (_, r) => makers.map((m) => m.values[g]![r]!)));
  return dataOf(makers.map((m) => m.column), rows);
}

interface MadeColumn {
  readonly column: Column;
  readonly values: readonly (readonly Value[])[];
}

function columnMaker(random: Random, name: string, sizes: readonly number[]): MadeColumn {
  const type = random.pick(logicalTypes);
  const value = valueMaker(random, type);
  const nullShare = random.pick([0, 0, 0, 0, 0.1, 0.1, 0.5, random.chance(0.3) ? 1 : 0.02]);
  const values = sizes.map((n) => Array.from({ length: n }, () => (random.chance(nullShare) ? null : value())));
  const present = values.flat().filter((v) => v !== null);
  const nullable = nullShare > 0;
  if (type.kind === 'utf8') {
    if (!random.chance(0.6)) return { column: { name, type, physical: 'utf8', nullable }, values };
    const dictionary = [...new Set(present as string[])].sort(compareText);
    const bounds = dictionary.length > 0 ? { min: 0n, max: BigInt(dictionary.length - 1) } : {};
    return { column: { name, type, physical: dictionary.length <= 128 ? random.pick(['dict8', 'dict16', 'dict32']) : 'dict32', nullable, dictionary, ...bounds }, values };
  }
  if (type.kind === 'bool') return { column: { name, type, physical: 'bool', nullable }, values };
  if (type.kind === 'float32' || type.kind === 'float64') return { column: { name, type, physical: type.kind === 'float32' ? 'f32' : 'f64', nullable }, values };
  const exact = present as bigint[];
  const min = exact.reduce<bigint | undefined>((m, v) => (m === undefined || v < m ? v : m), undefined);
  const max = exact.reduce<bigint | undefined>((m, v) => (m === undefined || v > m ? v : m), undefined);
  const bounds = min === undefined || max === undefined ? {} : { min, max };
  return { column: { name, type, physical: storage(random, min ?? 0n, max ?? 0n), nullable, ...bounds }, values };
}

function storage(random: Random, min: bigint, max: bigint): PhysicalType {
  const widths: PhysicalType[] = ['i8', 'i16', 'i32', 'i64'];
  const fits = widths.filter((_, i) => BigInt.asIntN(8 << i, min) === min && BigInt.asIntN(8 << i, max) === max);
  return random.chance(0.8) ? fits[0]! : random.pick(fits);
}

const words = ['', 'a', 'ab', 'abc', 'b', 'special', 'specialrequests', 'x special y requests z', 'Straße', '日本', '💩', 'a%b', 'a_b', 'a\0b', 'zzzzzzzzzzzzzzzzzzzzzzzz', "it's"];

function valueMaker(random: Random, type: LogicalType): () => Value {
  switch (type.kind) {
    case 'bool':
      return () => random.chance(0.5);
    case 'utf8': {
      const some = words.slice(0, random.int(1, words.length));
      return random.chance(0.7) ? () => random.pick(some) : () => random.pick(some) + String(random.int(0, 500));
    }
    case 'float32':
    case 'float64': {
      const round = type.kind === 'float32' ? Math.fround : (v: number) => v;
      const wild = random.chance(0.3);
      const few = random.chance(0.3);
      return () => {
        if (wild && random.chance(0.3)) return random.pick([NaN, -0, 0, Infinity, -Infinity, round(1e-30), round(3e38), 5e-324 > 0 && type.kind === 'float64' ? 5e-324 : 0]);
        return few ? round(random.int(-3, 3) / 2) : round((random.u32() / 2 ** 32 - 0.5) * 10 ** random.int(0, 6));
      };
    }
    default: {
      const { min, max } = sensibleBounds(type);
      const span = random.pick([1n, 5n, 100n, 1000n, 30000n, 10n ** 7n, max - min]);
      const low = random.chance(0.6) ? (min > -span / 2n ? min : -span / 2n) : random.big(min, max - (span > max - min ? max - min : span));
      const high = low + span > max ? max : low + span;
      const extremes = random.chance(0.15);
      return () => (extremes && random.chance(0.2) ? random.pick([min, max]) : random.big(low, high));
    }
  }
}

/** What DuckDB's own parser and calendar take: dates and timestamps have infinities and casts near the ends. */
function sensibleBounds(type: LogicalType): { min: bigint; max: bigint } {
  if (type.kind === 'date') return { min: -100_000n, max: 100_000n };
  if (type.kind === 'timestamp') return { min: -(10n ** 16n), max: 10n ** 16n };
  return exactBounds(type);
}
