import { z } from 'zod';
import type { DatasetColumnInfo } from '../../pushdown/types/dataset-info.js';

const plain = <K extends string>(kind: K) => z.strictObject({ kind: z.literal(kind) });
const logicalType = z.discriminatedUnion('kind', [
  plain('bool'), plain('int8'), plain('int16'), plain('int32'), plain('int64'), plain('uint8'), plain('uint16'), plain('uint32'),
  plain('float32'), plain('float64'), plain('date'), plain('utf8'),
  z.strictObject({ kind: z.literal('decimal'), precision: z.int().min(1).max(18), scale: z.int().min(0).max(18) }),
  z.strictObject({ kind: z.literal('timestamp'), utc: z.boolean() }),
  z.strictObject({ kind: z.literal('opaque'), sql: z.string().min(1).max(65_536) }),
]);
const count = z.int().min(0);
const bound = z.string().regex(/^-?\d{1,20}$/);

const column = z.strictObject({
  name: z.string().min(1).max(1024),
  type: logicalType,
  physical: z.enum(['bool', 'i8', 'i16', 'i32', 'i64', 'f32', 'f64', 'utf8', 'dict8', 'dict16', 'dict32']),
  nullable: z.boolean(),
  min: bound.optional(),
  max: bound.optional(),
  nullCount: count,
  dictionaryEntries: count.optional(),
});

/** Columns of a stored dataset, as an ingest child sends them and as the catalog keeps them (JSON). 1 to 4096 columns. */
export const columnsSchema = z.array(column).min(1).max(4096).transform((columns): readonly DatasetColumnInfo[] =>
  columns.map(({ min, max, dictionaryEntries, ...rest }) => ({
    ...rest,
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
    ...(dictionaryEntries === undefined ? {} : { dictionaryEntries }),
  })),
);
