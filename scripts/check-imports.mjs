// A folder is a layer and imports go one way. Fails with the offending line.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const may = {
  pushdown: [],
  'device-sim': ['pushdown', 'native'],
  native: ['pushdown'],
  daemon: ['pushdown', 'native', 'device-sim'],
  'clients/node': ['pushdown', 'native'],
  'clients/worker': ['pushdown', 'native', 'clients/node'],
  'clients/pages': ['pushdown', 'native', 'clients/node'],
  'clients/cli': ['pushdown', 'native', 'clients/node'],
  benchmarks: ['pushdown', 'native', 'device-sim', 'daemon', 'clients/node', 'clients/cli'],
};
const layerOf = (path) => Object.keys(may).find((l) => path === l || path.startsWith(`${l}/`));
const walk = (dir) => (existsSync(join(root, dir)) ? readdirSync(join(root, dir), { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? walk(join(dir, e.name)) : e.name.endsWith('.ts') ? [join(dir, e.name)] : [])) : []);
let bad = 0;
for (const layer of Object.keys(may))
  for (const file of walk(layer)) {
    const own = layerOf(file);
    readFileSync(join(root, file), 'utf8').split('\n').forEach((line, i) => {
      const from = /(?:from|import\()\s*['"](\.[^'"]+)['"]/.exec(line)?.[1];
      const bare = /(?:from|import\()\s*['"]([^.'"][^'"]*)['"]/.exec(line)?.[1];
      if (own === 'pushdown' && bare) { console.error(`${file}:${i + 1}: pushdown imports nothing (${bare})`); bad++; }
      if (!from) return;
      const target = layerOf(relative(root, resolve(root, dirname(file), from)));
      if (target && target !== own && !may[own].includes(target)) { console.error(`${file}:${i + 1}: ${own} may not import ${target}`); bad++; }
    });
  }
process.exit(bad ? 1 : 0);
