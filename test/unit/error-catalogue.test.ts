// The catalogue against the sources, both ways, and against its page.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { problemOf } from '../../daemon/rest/problem.js';
import { packageRoot } from '../../native/index.js';
import { guestFaultName } from '../../native/command-status.js';
import { GuestFault } from '../../pushdown/runtime/wire.gen.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { catalogued, errorCatalogue, errorCodes } from '../../pushdown/types/error-catalogue.js';

const folders = ['pushdown', 'native', 'daemon', 'clients', 'device-sim'];
const catalogueFile = 'pushdown/types/error-catalogue.ts';

/** Codes as whole string literals: what is thrown, or compared with what is thrown. */
function codesInSources(): Map<string, string> {
  const found = new Map<string, string>();
  const walk = (folder: string): void => {
    for (const item of readdirSync(join(packageRoot, folder), { withFileTypes: true })) {
      const path = `${folder}/${item.name}`;
      if (item.isDirectory()) walk(path);
      else if (/\.(ts|cc|h|mjs)$/.test(item.name) && path !== catalogueFile)
        for (const [, code = ''] of readFileSync(join(packageRoot, path), 'utf8').matchAll(/(?:'|"|`)(MR_[A-Z0-9]+(?:_[A-Z0-9]+)*)(?:'|"|`)/g)) found.set(code, path);
    }
  };
  for (const folder of folders) if (readdirSync(packageRoot).includes(folder)) walk(folder);
  // The one family that is put together: MR_KERNEL_ and the fault's name.
  for (const value of Object.values(GuestFault))
    if (value !== GuestFault.None) found.set(`MR_KERNEL_${guestFaultName(value).replace(/(?<!^)[A-Z]/g, (c) => `_${c}`).toUpperCase()}`, 'native/wire/queue.def');
  return found;
}

describe('the error catalogue', () => {
  const sources = codesInSources();

  it(`has every code the sources throw (else: add it to ${catalogueFile}, then npm run build && npm run errors)`, () => {
    expect([...sources].filter(([code]) => !catalogued(code)).map(([code, path]) => `${code} in ${path}`)).toEqual([]);
  });

  it('has none that nothing throws', () => {
    expect(errorCodes().filter((code) => !sources.has(code))).toEqual([]);
  });

  it('has each code once, with words', () => {
    const all = Object.values(errorCatalogue).flat();
    expect(new Set(all.map(({ code }) => code)).size).toBe(all.length);
    for (const { code, httpStatus, meaning, whatToDo } of all) {
      expect([code, /^MR_[A-Z0-9_]+$/.test(code), httpStatus >= 400 && httpStatus < 600]).toEqual([code, true, true]);
      for (const text of [meaning, whatToDo]) expect(text).toMatch(/^\S.{5,}\.$/s);
    }
  });

  it('is what docs/errors.md shows', () => {
    const rows = [...readFileSync(join(packageRoot, 'docs/errors.md'), 'utf8').matchAll(/^\| (MR_\w+) \| (\d+) \| (.*) \| (.*) \|$/gm)].map((match) => match.slice(1));
    expect(rows).toEqual(Object.values(errorCatalogue).flat().map((e) => [e.code, String(e.httpStatus), e.meaning.replaceAll('|', '\\|'), e.whatToDo.replaceAll('|', '\\|')]));
  });

  it('gives the status of an error whose thrower named none', () => {
    for (const code of errorCodes()) expect(problemOf(new MillraceError(code, 'x')).status).toBe(catalogued(code)?.httpStatus);
  });
});
