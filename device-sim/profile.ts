import { readdirSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { MillraceError } from '../pushdown/types/error.js';
import { type Figure, figuresOf } from './figure.js';
import { flashNames, memoryNames, powerNames, unitNames } from './model-names.js';
import { pointSchema } from './point.js';

const sourceIds = z.array(z.string().min(1)).min(1);
const bytes = z.number().int().min(1).max(Number.MAX_SAFE_INTEGER);

const mediaSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('flash'), figures: figuresOf(flashNames) }),
  z.strictObject({ kind: z.literal('units'), figures: figuresOf(unitNames) }),
  z.strictObject({ kind: z.literal('memory'), figures: figuresOf(memoryNames) }),
]);

/** A device description. What is absent is not modelled: the machine's real speed. */
export const profileSchema = z
  .strictObject({
    name: z.string().regex(/^[a-z][a-z0-9-]{0,63}$/, 'lower case letters, digits and hyphens'),
    description: z.string().min(1),
    link: z.strictObject({ bytesPerSecond: bytes, latencyNs: z.number().int().min(0).max(10_000_000_000), sources: sourceIds }).optional(),
    core: z.strictObject({ count: z.number().int().min(1).max(64), factor: z.number().min(1).max(1000), clockHz: z.number().positive().optional(), sources: sourceIds }).optional(),
    memory: z.strictObject({ bytes: bytes.min(16 << 20), sources: sourceIds }).optional(),
    /** Size of the device a simulation runs on; a live device is as large as its namespace. */
    simulatedBytes: bytes.optional(),
    media: mediaSchema.optional(),
    power: figuresOf(powerNames).optional(),
    /** Published figures the model is held against (benchmark `model`). */
    points: z.array(pointSchema).default([]),
    sources: z.record(z.string(), z.string().min(1)),
  })
  .superRefine((profile, context) => {
    const figures: (Figure | undefined)[] = [...Object.values(profile.media?.figures ?? {}), ...Object.values(profile.power ?? {})];
    const named = [
      ...(profile.link?.sources ?? []), ...(profile.core?.sources ?? []), ...(profile.memory?.sources ?? []),
      ...figures.flatMap((figure) => figure?.source ?? []), ...profile.points.map((point) => point.source),
    ];
    for (const id of named) if (!Object.hasOwn(profile.sources, id)) context.addIssue({ code: 'custom', path: ['sources'], message: `source '${id}' is named but not listed` });
  });

export type DeviceProfile = z.output<typeof profileSchema>;

const fileBytesMax = 1 << 20;

const builtInNames = (dir: string): string => readdirSync(dir).flatMap((file) => (file.endsWith('.json') ? [file.slice(0, -5)] : [])).sort().join(', ');

/** The profiles this package brings are named without a path; anything with a slash or a dot is a file. */
export function loadProfile(nameOrFile: string, builtInDir: string): DeviceProfile {
  const builtIn = /^[a-z][a-z0-9-]*$/.test(nameOrFile);
  const path = builtIn ? `${builtInDir}/${nameOrFile}.json` : nameOrFile;
  let value: unknown;
  try {
    const text = readFileSync(path, 'utf8');
    if (text.length > fileBytesMax) throw new Error('it is larger than 1 MiB');
    value = JSON.parse(text);
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const reason = missing ? (builtIn ? `there is no such profile: choose ${builtInNames(builtInDir)}; a file of your own needs its path, e.g. ./mine.json` : 'there is no such file') : (cause as Error).message;
    throw new MillraceError('MR_CONFIG', `profile: '${nameOrFile}' cannot be read: ${reason}.`, { field: 'profile', cause });
  }
  const parsed = profileSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!; // a failed parse has at least one
  const at = issue.path.length > 0 ? `${issue.path.join('.')}: ` : '';
  throw new MillraceError('MR_CONFIG', `profile: '${nameOrFile}' is no device profile: ${at}${issue.message}.`, { field: `profile.${issue.path.join('.')}`, cause: parsed.error });
}
