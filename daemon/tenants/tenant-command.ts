// `millrace tenant ...` on the daemon's side: edits the tenant file of a data directory; a running daemon follows.
import { parseArgs } from 'node:util';
import { MillraceError } from '../../pushdown/types/error.js';
import { dataFolder } from '../data-folder.js';
import { capSchemas, readTenantFile, removeTenant, setTenant, tenantFilePath } from './tenant-file.js';

const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
const capNames = Object.keys(capSchemas);
const usage = `tenant set NAME --dir DIR [${capNames.map((name) => `--${kebab(name)} N`).join('] [')}] [--kernels SHA256,...] | tenant rm NAME --dir DIR | tenant ls --dir DIR`;

function run(args: readonly string[]): string {
  const { values, positionals } = parsed(args);
  const [verb, name] = positionals;
  if (values.dir === undefined) throw new MillraceError('MR_USAGE', `--dir is missing: ${usage}`, { field: 'dir' });
  const path = tenantFilePath(values.dir);
  if (verb === 'ls' && name === undefined) return readTenantFile(path).map((entry) => `${JSON.stringify(entry)}\n`).join('');
  if (verb === 'rm' && name !== undefined) {
    removeTenant(path, name);
    return '';
  }
  if (verb !== 'set' || name === undefined) throw new MillraceError('MR_USAGE', usage);
  dataFolder(values.dir);
  const caps = Object.fromEntries(capNames.filter((cap) => values[kebab(cap)] !== undefined).map((cap) => [cap, values[kebab(cap)]]));
  return `${JSON.stringify(setTenant(path, { name, caps, ...(values.kernels === undefined ? {} : { kernels: values.kernels.split(',').map((digest) => digest.trim().replace(/^sha256:/, '').toLowerCase()) }) }))}\n`;
}

function parsed(args: readonly string[]): { values: Record<string, string | undefined>; positionals: string[] } {
  try {
    const options = Object.fromEntries(['dir', 'kernels', ...capNames.map(kebab)].map((name) => [name, { type: 'string' as const }]));
    const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options });
    return { values: values as Record<string, string | undefined>, positionals };
  } catch (cause) {
    throw new MillraceError('MR_USAGE', `${cause instanceof Error ? cause.message : String(cause)} ${usage}`, { cause });
  }
}

try {
  process.stdout.write(run(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof MillraceError)) throw error;
  process.stderr.write(`millrace: ${error.message} (${error.code})\n`);
  process.exitCode = error.code === 'MR_USAGE' || error.code === 'MR_CONFIG' || error.code === 'MR_TENANT_INVALID' ? 2 : 1;
}
