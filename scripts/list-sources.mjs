// Prints the C++ sources below the given folders, tests left out, for binding.gyp.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const walk = (dir) => !existsSync(dir) ? [] : readdirSync(dir, { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? (e.name === 'test' ? [] : walk(join(dir, e.name))) : e.name.endsWith('.cc') ? [join(dir, e.name)] : []));
console.log(process.argv.slice(2).flatMap(walk).sort().join('\n'));
