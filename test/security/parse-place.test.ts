// Untrusted modules are parsed and compiled where they run, never in the daemon: no path of imports leads from it to the code that does.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '../../native/index.js';

const parsers = ['module-check', 'module-code-check', 'module-reader', 'module-instrument', 'kernel-module', 'kernel'].map((name) => `pushdown/runtime/${name}.ts`);

/** Every file the entry reaches by imports that are more than types, with the file that imported it. */
function reached(entry: string): Map<string, string> {
  const from = new Map([[entry, '']]);
  for (const file of from.keys()) {
    const source = readFileSync(join(packageRoot, file), 'utf8');
    for (const [, path] of source.matchAll(/^(?:import|export)\s+(?!type\b)[^;'"]*?['"](\.[^'"]+)['"]/gm)) {
      const target = relative(packageRoot, resolve(packageRoot, dirname(file), path as string)).replace(/\.js$/, '.ts');
      if (existsSync(join(packageRoot, target)) && !from.has(target)) from.set(target, file);
    }
  }
  return from;
}

function wayTo(file: string, from: Map<string, string>): string {
  return file === '' ? '' : `${wayTo(from.get(file) ?? '', from)} -> ${file}`;
}

it('from the daemon no import leads to what parses or compiles modules; from the slot script one does', () => {
  const daemon = reached('daemon/main.ts');
  expect(daemon.size).toBeGreaterThan(50);
  expect(parsers.filter((p) => daemon.has(p)).map((p) => wayTo(p, daemon))).toEqual([]);
  const slot = reached('daemon/slots/slot-main.ts');
  expect(parsers.filter((p) => !slot.has(p))).toEqual([]);
});

it('the device core has no code that knows what a module looks like', () => {
  const walk = (dir: string): string[] => readdirSync(join(packageRoot, dir), { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? walk(join(dir, e.name)) : /\.(cc|h)$/.test(e.name) ? [join(dir, e.name)] : []));
  const files = walk('native/core').filter((f) => !f.startsWith('native/core/test/'));
  expect(files.length).toBeGreaterThan(50);
  expect(files.filter((f) => /0x6d736100|\\0asm|leb128|WebAssembly/i.test(readFileSync(join(packageRoot, f), 'utf8')))).toEqual([]);
});
