// `millrace token ...` on the daemon's side: edits the token file of a data directory; a running daemon follows.
import { parseArgs } from 'node:util';
import { MillraceError } from '../../../pushdown/types/error.js';
import { dataFolder } from '../../data-folder.js';
import { addToken, readTokenFile, removeToken, tokenFilePath } from './token-file.js';

const usage = 'token add NAME --dir DIR --tenant T [--datasets a,b] [--write] [--rate N] | token rm NAME --dir DIR | token ls --dir DIR';

function run(args: readonly string[]): string {
  const { values, positionals } = parsed(args);
  const [verb, name] = positionals;
  if (values.dir === undefined) throw new MillraceError('MR_USAGE', `--dir is missing: ${usage}`, { field: 'dir' });
  const path = tokenFilePath(values.dir);
  if (verb === 'ls' && name === undefined)
    return readTokenFile(path).map(({ sha256: _, ...entry }) => `${JSON.stringify(entry)}\n`).join('');
  if (verb === 'rm' && name !== undefined) {
    removeToken(path, name);
    return '';
  }
  if (verb !== 'add' || name === undefined || values.tenant === undefined) throw new MillraceError('MR_USAGE', usage);
  dataFolder(values.dir);
  return `${addToken(path, {
    name, tenant: values.tenant, write: values.write ?? false,
    ...(values.datasets === undefined ? {} : { datasets: values.datasets.split(',').map((dataset) => dataset.trim()) }),
    ...(values.rate === undefined ? {} : { requestsPerMinute: Number(values.rate) }),
  }, new Date())}\n`;
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args], allowPositionals: true,
      options: { dir: { type: 'string' }, tenant: { type: 'string' }, datasets: { type: 'string' }, rate: { type: 'string' }, write: { type: 'boolean' } },
    });
  } catch (cause) {
    throw new MillraceError('MR_USAGE', `${cause instanceof Error ? cause.message : String(cause)} ${usage}`, { cause });
  }
}

try {
  process.stdout.write(run(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof MillraceError)) throw error;
  process.stderr.write(`millrace: ${error.message} (${error.code})\n`);
  process.exitCode = error.code === 'MR_USAGE' || error.code === 'MR_CONFIG' || error.code === 'MR_TOKEN_INVALID' ? 2 : 1;
}
