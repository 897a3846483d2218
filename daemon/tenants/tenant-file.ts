import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { TenantCaps } from '../../native/index.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { replaceFile } from '../replace-file.js';

/** Bounds of native/core/limits.h and Device::set_tenant; memoryBytes ends at the daemon's slotHeapBytesMax as well. */
export const capSchemas = {
  memoryBytes: z.coerce.number().int().min(1 << 20).max(2 ** 32),
  deadlineMs: z.coerce.number().int().min(1).max(600_000),
  compileMs: z.coerce.number().int().min(1).max(600_000),
  cpuPercent: z.coerce.number().int().min(1).max(100),
  outputBytes: z.coerce.number().int().min(1024).max(1 << 30),
  stackBytes: z.coerce.number().int().refine((bytes) => bytes === 0 || (bytes >= 65_536 && bytes <= 4 << 20), '0, or 64 KiB to 4 MiB'),
  moduleBytes: z.coerce.number().int().min(1).max(4 << 20),
} satisfies Record<keyof TenantCaps, z.ZodType>;

const entrySchema = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/, '1 to 64 letters, digits, "_", "-" or "."'),
  /** Those that are not the daemon's defaults. */
  caps: z.strictObject(capSchemas).partial(),
  /** SHA-256 of the kernels its slots may run; absent: any. */
  kernels: z.array(z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 in lower-case hex')).max(1000).optional(),
});
export type TenantEntry = z.output<typeof entrySchema>;

const fileSchema = z.strictObject({ version: z.literal(1), tenants: z.array(entrySchema).max(10_000) });

export const tenantFilePath = (dir: string): string => join(dir, 'tenants.json');

/** No file: every tenant has the daemon's defaults. @throws MillraceError MR_TENANT_FILE */
export function readTenantFile(path: string): TenantEntry[] {
  if (!existsSync(path)) return [];
  try {
    return fileSchema.parse(JSON.parse(readFileSync(path, 'utf8'))).tenants;
  } catch (cause) {
    throw new MillraceError('MR_TENANT_FILE', `The tenants in ${path} cannot be read: restore the file, or remove it and set them anew.`, { cause });
  }
}

/** Adds the tenant's entry or replaces it. @throws MillraceError MR_TENANT_FILE, MR_TENANT_INVALID, MR_TOKEN_BUSY */
export function setTenant(path: string, wish: unknown): TenantEntry {
  const parsed = entrySchema.safeParse(wish);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!; // a failed parse has at least one
    throw new MillraceError('MR_TENANT_INVALID', `${issue.path.join('.')}: ${issue.message}.`, { field: issue.path.join('.') });
  }
  change(path, (tenants) => [...tenants.filter(({ name }) => name !== parsed.data.name), parsed.data]);
  return parsed.data;
}

/** The tenant has the daemon's defaults again. @throws MillraceError MR_TENANT_NOT_FOUND, MR_TENANT_FILE, MR_TOKEN_BUSY */
export function removeTenant(path: string, name: string): void {
  change(path, (tenants) => {
    if (!tenants.some((tenant) => tenant.name === name)) throw new MillraceError('MR_TENANT_NOT_FOUND', `Nothing is set for a tenant '${name}'.`, { field: 'name' });
    return tenants.filter((tenant) => tenant.name !== name);
  });
}

function change(path: string, edit: (tenants: readonly TenantEntry[]) => readonly TenantEntry[]): void {
  replaceFile(path, () => `${JSON.stringify({ version: 1, tenants: edit(readTenantFile(path)) }, null, 2)}\n`);
}
