import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { MillraceError } from '../../../pushdown/types/error.js';

export const languages = ['assemblyscript', 'c', 'rust'] as const;
export type Language = (typeof languages)[number];

export const projectFile = 'millrace.json';

const schema = z.strictObject({
  name: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, 'letters, digits and "_", not beginning with a digit'),
  lang: z.enum(languages),
  source: z.string().min(1),
  /** Memory the module declares, pages of 64 KiB: data, stack and heap. */
  memoryPages: z.number().int().min(1).max(1024).default(16),
  /** Scalar functions whose types WebAssembly does not tell: "(utf8, f64) -> bool". */
  functions: z.record(z.string(), z.string()).default({}),
});

/** A kernel's project: millrace.json in its folder. */
export interface KernelProject extends z.output<typeof schema> {
  readonly dir: string;
}

/** @throws MillraceError MR_KERNEL_PROJECT */
export function readProject(dir: string): KernelProject {
  const path = join(dir, projectFile);
  if (!existsSync(path)) throw new MillraceError('MR_KERNEL_PROJECT', `${dir} has no ${projectFile}: make a project with millrace kernel init --lang assemblyscript NAME.`);
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new MillraceError('MR_KERNEL_PROJECT', `${path} is not JSON: ${(cause as Error).message}.`, { cause });
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw new MillraceError('MR_KERNEL_PROJECT', `${path}: ${parsed.error.issues.map((i) => `${i.path.join('.') || 'it'}: ${i.message}`).join('; ')}.`);
  return { ...parsed.data, dir };
}

/** Where the built module lies. */
export const builtPath = ({ dir, name }: KernelProject): string => join(dir, 'build', `${name}.wasm`);
