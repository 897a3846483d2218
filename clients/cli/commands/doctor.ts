import { availableParallelism } from 'node:os';
import { type Check, degraded } from '../doctor/check.js';
import { daemonChecks, diskCheck } from '../doctor/daemon.js';
import { duckdbCheck, installChecks } from '../doctor/install.js';
import { thisMachine } from '../doctor/machine.js';
import { systemChecks } from '../doctor/system.js';
import { exitCodes } from '../exit-code.js';
import { printable } from '../output/table.js';
import { writeOut } from '../output/write.js';
import type { ConnectSettings } from '../settings.js';

export interface DoctorSettings extends ConnectSettings {
  readonly dir: string;
  readonly output?: 'table' | 'json';
}

/** Looks at the installation, the machine and the daemon. Resolves with the exit code: 1 when Millrace cannot run here. */
export async function doctor(settings: DoctorSettings, version: string): Promise<number> {
  const checks: Check[] = [...(await installChecks(version)), await duckdbCheck(), ...systemChecks(thisMachine(availableParallelism())), await diskCheck(settings.dir)];
  checks.push(...(URL.canParse(settings.url) ? await daemonChecks(settings, version) : [degraded('daemon', `'${settings.url}' is no address`, 'Write http://HOST:PORT.')]));
  const runs = checks.every((c) => c.state !== 'broken');
  const format = settings.output ?? (process.stdout.isTTY ? 'table' : 'json');
  await writeOut(format === 'json' ? `${JSON.stringify({ runs, checks })}\n` : text(checks, runs));
  return runs ? exitCodes.ok : exitCodes.error;
}

const marks = { ok: ' ok ', degraded: 'less', broken: 'FAIL' } as const;

function text(checks: readonly Check[], runs: boolean): string {
  const width = Math.max(...checks.map((c) => c.name.length));
  const lines = checks.flatMap((c) => [`[${marks[c.state]}] ${c.name.padEnd(width)}  ${printable(c.found)}`, ...(c.cost === undefined ? [] : [`${' '.repeat(width + 9)}${printable(c.cost)}`])]);
  const missing = checks.filter((c) => c.state === 'degraded').length;
  return `${lines.join('\n')}\n\n${runs ? `Millrace runs here${missing ? `; ${missing} of ${checks.length} checks say what is missing and what it costs` : ''}.` : 'Millrace does not run here.'}\n`;
}
