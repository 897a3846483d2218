import { z } from 'zod';

/** What crosses REST as JSON (docs/rest.md); every bound on numbers and lists stands here. */

const logicalType = z.discriminatedUnion('kind', [
  z.object({ kind: z.enum(['bool', 'int8', 'int16', 'int32', 'int64', 'uint8', 'uint16', 'uint32', 'float32', 'float64', 'date', 'utf8']) }),
  z.object({ kind: z.literal('decimal'), precision: z.number().int(), scale: z.number().int() }),
  z.object({ kind: z.literal('timestamp'), utc: z.boolean() }),
  z.object({ kind: z.literal('opaque'), sql: z.string() }),
]);

export const datasetInfoSchema = z.object({
  name: z.string(),
  version: z.number().int(),
  handle: z.number().int(),
  rows: z.number().int(),
  rowGroups: z.number().int(),
  rowGroupRowsMax: z.number().int(),
  storedBytes: z.number().int(),
  columns: z.array(
    z.object({
      name: z.string(),
      type: logicalType,
      physical: z.enum(['bool', 'i8', 'i16', 'i32', 'i64', 'i128', 'f32', 'f64', 'utf8', 'dict8', 'dict16', 'dict32']),
      nullable: z.boolean(),
      min: z.string().optional(),
      max: z.string().optional(),
      nullCount: z.number().int(),
      dictionaryEntries: z.number().int().optional(),
    }),
  ),
});

/** Caps of a tenant (docs/rest.md). */
export const capsSchema = z.object({ memoryBytes: z.number(), deadlineMs: z.number(), compileMs: z.number(), cpuPercent: z.number(), outputBytes: z.number(), stackBytes: z.number(), moduleBytes: z.number() });

/** rowGroup 'dictionary': the column's dictionary. */
export const verifyReportSchema = z.object({
  name: z.string(),
  version: z.number().int(),
  chunks: z.number().int(),
  bytes: z.number().int(),
  damaged: z.array(z.object({ column: z.string(), rowGroup: z.union([z.number().int(), z.literal('dictionary')]) })),
});

export const nameParams = z.object({ name: z.string().min(1).max(255) });
export const columnParams = nameParams.extend({ column: z.string().min(1).max(1024) });
export const idParams = z.object({ id: z.coerce.number().int().min(0).max(0xffffffff) });

/** Chosen by clients for a query or an upload, to follow and cancel it. */
export const jobIdSchema = z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/, '1 to 64 letters, digits, "_", "-" or "."');

export const columnsPerScanMax = 4096;
export const rowGroupsPerScanMax = 1 << 20;
export const programBytesMax = 16 << 20;

export const scanRequestSchema = z.strictObject({
  dataset: z.string().min(1).max(255),
  /** Refused with MR_DATASET_CHANGED when another version is published now. */
  version: z.number().int().min(0).optional(),
  program: z.number().int().min(0).optional(),
  columns: z.array(z.number().int().min(0)).max(columnsPerScanMax),
  rowGroups: z.array(z.number().int().min(0)).max(rowGroupsPerScanMax),
  deviceRuns: z.boolean(),
  outputBytesMax: z.number().int().min(0).max(0xffffffff).default(0),
  deadlineMs: z.number().int().min(0).max(600_000).default(0),
  limitRows: z.number().int().min(0).default(0),
  feed: z.enum(['resident', 'window']).optional(),
  /** The kernel keeps its state from row group to row group; held: not before a restore. */
  stream: z.enum(['run', 'held']).optional(),
});
export type ScanRequestBody = z.output<typeof scanRequestSchema>;

export const scanOpenedSchema = z.object({ scan: z.number().int() });
export const claimRequestSchema = z.strictObject({ morsels: z.number().int().min(1).max(rowGroupsPerScanMax) });
/** rows[i]: how many rows the host made of morsels[i]; counts toward limitRows. */
export const doneSchema = z.strictObject({ morsels: z.array(z.number().int().min(0).max(rowGroupsPerScanMax)).max(rowGroupsPerScanMax), rows: z.array(z.number().int().min(0).max(0xffffffff)).max(rowGroupsPerScanMax).optional() });
const morsels = z.array(z.number().int().min(0).max(rowGroupsPerScanMax)).max(rowGroupsPerScanMax);
export const returnSchema = z.union([z.strictObject({ morsels }), z.strictObject({ except: morsels })]);
/** The morsel the stream goes on with. */
export const restoreQuerySchema = z.object({ morsel: z.coerce.number().int().min(0).max(rowGroupsPerScanMax) });
export const kernelInfoSchema = z.object({ name: z.string(), digest: z.string(), bytes: z.number().int(), tenant: z.string(), pushedBy: z.string(), pushedAtMs: z.number().int() });
export const programLoadedSchema = z.object({ program: z.number().int(), digest: z.string() });

export const sqlTextBytesMax = 1 << 20;
const pushdown = z.enum(['auto', 'always', 'never']).default('auto');
/** Absent: as Accept says (answer-format.ts). */
const format = z.enum(['json', 'arrow', 'events']).optional();
export const sqlRequestSchema = z.strictObject({ sql: z.string().min(1).max(sqlTextBytesMax), pushdown, format, id: jobIdSchema.optional() });
export const explainRequestSchema = z.strictObject({ sql: z.string().min(1).max(sqlTextBytesMax), pushdown, analyze: z.boolean().default(false), id: jobIdSchema.optional() });
export const planRequestSchema = z.strictObject({ sql: z.string().min(1).max(sqlTextBytesMax), id: jobIdSchema.optional() });

export const frameContentType = 'application/vnd.millrace.frames';
