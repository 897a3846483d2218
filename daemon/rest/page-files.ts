import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { packageRoot } from '../../native/index.js';
import { invariant } from '../../pushdown/types/error.js';

/** A file of a page as it is sent. */
export interface PageFile {
  readonly type: string;
  readonly bytes: Buffer;
  readonly etag: string;
}

const source = join(packageRoot, 'clients/pages');
const dist = join(packageRoot, 'dist');
/** Static, for effects only, dynamic: as tsc writes them. */
const importPattern = /^(?:import|export)\s[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|^import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm;

export function pageFile(name: string): PageFile {
  return fileOf(join(source, name), name.endsWith('.css') ? 'text/css; charset=utf-8' : name.endsWith('.svg') ? 'image/svg+xml' : 'text/html; charset=utf-8');
}

/**
 * The pages' own modules and everything they import, by path under dist: what a browser may fetch, and nothing else of the
 * package. As built; a module that needs Node or a package cannot be among them.
 */
export function pageModules(entries: readonly string[]): ReadonlyMap<string, PageFile> {
  const modules = new Map<string, PageFile>();
  const visit = (path: string): void => {
    if (modules.has(path)) return;
    const file = fileOf(join(dist, path), 'text/javascript; charset=utf-8');
    modules.set(path, file);
    for (const [, named, bare, lazy] of file.bytes.toString('utf8').matchAll(importPattern)) {
      const target = named ?? bare ?? lazy;
      invariant(target?.startsWith('.'), 'modules of pages import relative paths only');
      visit(relative(dist, join(dist, dirname(path), target)));
    }
  };
  for (const entry of entries) visit(`clients/pages/${entry}`);
  return modules;
}

function fileOf(path: string, type: string): PageFile {
  const bytes = readFileSync(path);
  return { type, bytes, etag: `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"` };
}
