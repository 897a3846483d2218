import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { MillraceError } from '../../../pushdown/types/error.js';
import { replaceFile } from '../../replace-file.js';

export const tokensMax = 10_000;
const nameSchema = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/, '1 to 64 letters, digits, "_", "-" or "."');

/** A token as it lies on disk: what it may do and the SHA-256 of 256 random bits, never the token. */
export const tokenEntrySchema = z.strictObject({
  name: nameSchema,
  tenant: nameSchema,
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Absent: all. */
  datasets: z.array(z.string().min(1).max(128)).min(1).max(10_000).optional(),
  write: z.boolean(),
  requestsPerMinute: z.number().int().min(1).max(1_000_000).optional(),
  created: z.string(),
});
export type TokenEntry = z.output<typeof tokenEntrySchema>;
export type TokenWish = Omit<TokenEntry, 'sha256' | 'created'>;

const fileSchema = z.strictObject({ version: z.literal(1), tokens: z.array(tokenEntrySchema).max(tokensMax) });

export const tokenFilePath = (dir: string): string => join(dir, 'tokens.json');
export const hashOfToken = (token: string): string => createHash('sha256').update(token, 'utf8').digest('hex');

/** No file: no tokens. @throws MillraceError MR_TOKEN_FILE */
export function readTokenFile(path: string): TokenEntry[] {
  if (!existsSync(path)) return [];
  try {
    return fileSchema.parse(JSON.parse(readFileSync(path, 'utf8'))).tokens;
  } catch (cause) {
    throw new MillraceError('MR_TOKEN_FILE', `The tokens in ${path} cannot be read: restore the file, or remove it and add them anew.`, { cause });
  }
}

/** Adds one and gives the token: it is shown this once. @throws MillraceError MR_TOKEN_FILE, MR_TOKEN_EXISTS, MR_TOKEN_INVALID, MR_TOKEN_BUSY */
export function addToken(path: string, wish: TokenWish, now: Date): string {
  const token = `mr_${randomBytes(32).toString('base64url')}`;
  const parsed = tokenEntrySchema.safeParse({ ...wish, sha256: hashOfToken(token), created: now.toISOString() });
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!; // a failed parse has at least one
    throw new MillraceError('MR_TOKEN_INVALID', `${issue.path.join('.')}: ${issue.message}.`, { field: issue.path.join('.') });
  }
  change(path, (tokens) => {
    if (tokens.some(({ name }) => name === wish.name)) throw new MillraceError('MR_TOKEN_EXISTS', `Token '${wish.name}' exists: remove it first or choose another name.`, { field: 'name' });
    if (tokens.length >= tokensMax) throw new MillraceError('MR_TOKEN_INVALID', `There are ${tokensMax} tokens already: remove some.`);
    return [...tokens, parsed.data];
  });
  return token;
}

/** @throws MillraceError MR_TOKEN_NOT_FOUND, MR_TOKEN_FILE, MR_TOKEN_BUSY */
export function removeToken(path: string, name: string): void {
  change(path, (tokens) => {
    if (!tokens.some((token) => token.name === name)) throw new MillraceError('MR_TOKEN_NOT_FOUND', `There is no token '${name}'.`, { field: 'name' });
    return tokens.filter((token) => token.name !== name);
  });
}

function change(path: string, edit: (tokens: readonly TokenEntry[]) => readonly TokenEntry[]): void {
  replaceFile(path, () => `${JSON.stringify({ version: 1, tokens: edit(readTokenFile(path)) }, null, 2)}\n`);
}
