import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../../native/index.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import { type Language, projectFile } from './project.js';

const sources = { assemblyscript: 'kernel.ts', c: 'kernel.c', rust: 'kernel.rs' } as const satisfies Record<Language, string>;
const support = { assemblyscript: 'millrace.ts', c: 'millrace.h', rust: 'millrace.rs' } as const satisfies Record<Language, string>;
/** What the templates' functions take and give. */
const functions = { keep: '(f64, f64) -> bool' };

/** A folder with a kernel that builds, its test, and the SDK's one file, which is the project's own from now on. @throws MillraceError MR_KERNEL_PROJECT */
export function initProject(dir: string, name: string, lang: Language): void {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(name)) throw new MillraceError('MR_KERNEL_PROJECT', `'${name}' is no name for a kernel: letters, digits and "_", not beginning with a digit. SQL calls it so.`, { field: 'name' });
  if (existsSync(dir) && readdirSync(dir).length > 0) throw new MillraceError('MR_KERNEL_PROJECT', `${dir} exists and is not empty.`);
  const sdk = join(packageRoot, 'sdk');
  mkdirSync(join(dir, 'test'), { recursive: true });
  cpSync(join(sdk, lang, 'template'), dir, { recursive: true });
  cpSync(join(sdk, lang, support[lang]), join(dir, support[lang]));
  cpSync(join(sdk, 'template-test.json'), join(dir, 'test', 'kernel.json'));
  writeFileSync(join(dir, '.gitignore'), 'build/\nnode_modules/\n');
  writeFileSync(join(dir, projectFile), `${JSON.stringify({ name, lang, source: sources[lang], memoryPages: 16, functions }, null, 2)}\n`);
  if (lang !== 'assemblyscript') return;
  const { devDependencies } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { devDependencies: Record<string, string> };
  writeFileSync(join(dir, 'package.json'), `${JSON.stringify({ name, private: true, type: 'module', devDependencies: { assemblyscript: devDependencies.assemblyscript } }, null, 2)}\n`);
}
