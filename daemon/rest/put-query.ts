import { z } from 'zod';
import { type SourceOptions, sourceFormats } from '../../pushdown/types/source-options.js';
import { jobIdSchema } from './schemas.js';

const flag = z.enum(['0', '1', 'true', 'false']).transform((v) => v === '1' || v === 'true');
const typesMax = 4096;
const typesObject = z.record(z.string().min(1).max(1024), z.string().min(1).max(1024)).refine((types) => Object.keys(types).length <= typesMax, `up to ${typesMax} columns`);

/** `types` as JSON: an object of column name to DuckDB type. */
const types = z.string().max(1 << 20).transform((text, context): Record<string, string> => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    context.addIssue({ code: 'custom', message: 'must be a JSON object of column name to type' });
    return z.NEVER;
  }
  const parsed = typesObject.safeParse(value);
  if (parsed.success) return parsed.data;
  context.addIssue({ code: 'custom', message: parsed.error.issues[0]?.message ?? 'must be a JSON object of column name to type' });
  return z.NEVER;
});

/** How the body or the files of an upload become a dataset. */
export const putQuery = z.object({
  format: z.enum(sourceFormats).default('parquet'),
  /** An id to follow the load by: GET /v1/uploads/:id/progress. */
  upload: jobIdSchema.optional(),
  replace: flag.default(false),
  append: flag.default(false),
  types: types.optional(),
  delimiter: z.string().min(1).max(4).optional(),
  header: flag.optional(),
  nullText: z.string().max(256).optional(),
  quote: z.string().max(1).optional(),
});

export function sourceOptions({ types, delimiter, header, nullText, quote }: z.output<typeof putQuery>): SourceOptions {
  return {
    ...(types === undefined ? {} : { types }),
    ...(delimiter === undefined ? {} : { delimiter }),
    ...(header === undefined ? {} : { header }),
    ...(nullText === undefined ? {} : { nullText }),
    ...(quote === undefined ? {} : { quote }),
  };
}
