import { statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { MillraceError } from '../../../pushdown/types/error.js';
import { bytesText } from '../bytes.js';
import { type ConnectSettings, withClient } from '../settings.js';
import { type Check, broken, degraded, ok } from './check.js';

interface SlotStatus { readonly jail?: readonly string[]; readonly jailMissing?: readonly string[] }

/** The daemon at the address, if one is there, and what its slots are jailed by; otherwise whether its port is free. */
export async function daemonChecks(settings: ConnectSettings, version: string): Promise<Check[]> {
  const { origin, hostname, port } = new URL(settings.url);
  try {
    return await withClient(settings, async (client) => {
      const status = await client.status();
      const same = status.version === version;
      const found = `${origin}: version ${String(status.version)}, up ${Math.round(Number(status.uptimeSeconds))} s`;
      const slots = ((status.device as { slots?: readonly SlotStatus[] } | undefined)?.slots ?? []).filter((s) => s.jail !== undefined);
      return [same ? ok('daemon', found) : degraded('daemon', found, `The command line is version ${version}: restart the daemon from the same installation.`), ...(slots.length > 0 ? [jailCheck(slots)] : []), ...nvmeTcpCheck((status.device as { nvmeTcp?: NvmeTcpStatus } | undefined)?.nvmeTcp), ...cpuShareCheck((status.device as { cpuShare?: string } | undefined)?.cpuShare)];
    });
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    if (error.code !== 'MR_CONNECT') return [degraded('daemon', `${origin}: ${error.message} (${error.code})`, 'Queries to this address fail.')];
    return [ok('daemon', `none at ${origin}`), await portCheck(hostname, Number(port || 80))];
  }
}

interface NvmeTcpStatus { readonly address: string; readonly port: number; readonly nqn: string; readonly authentication: boolean; readonly hosts: number }

function nvmeTcpCheck(door: NvmeTcpStatus | undefined): Check[] {
  return door ? [ok('NVMe/TCP', `${door.nqn} at ${door.address}:${door.port}, ${door.hosts} hosts, ${door.authentication ? 'each proves who it is' : 'without secrets'}`)] : [];
}

function jailCheck(slots: readonly SlotStatus[]): Check {
  const missing = [...new Set(slots.flatMap((s) => s.jailMissing ?? []))];
  const found = [...new Set(slots.flatMap((s) => s.jail ?? []))].join(' ');
  return missing.length === 0 ? ok('slot jail', found) : degraded('slot jail', found, `Not in force: ${missing.join(', ')}. The layers that are still hold; this machine does not offer these.`);
}

function cpuShareCheck(by: string | undefined): Check[] {
  if (!by) return [];
  return [by.startsWith('cgroup') ? ok('cpu share of slots', by) : degraded('cpu share of slots', by, 'No cgroup with a CPU quota may be made: capped slots are stopped and continued instead, so their work comes in bursts. Run as root or in a delegated scope.')];
}

async function portCheck(host: string, port: number): Promise<Check> {
  const local = host === 'localhost' || host.startsWith('127.') || host === '[::1]';
  if (!local) return degraded('port', `${host}:${port} does not answer`, 'Queries to this address fail: start the daemon there, or open the port.');
  const code = await new Promise<string | undefined>((resolve) => {
    const server = createServer().once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'unknown')).listen(port, host.replace(/^\[|\]$/g, ''), () => server.close(() => resolve(undefined)));
  });
  return code === undefined ? ok('port', `${port} is free`) : degraded('port', `${port} cannot be listened on (${code})`, 'serve needs another --port.');
}

const slowFileSystems = new Map([[0x6969, 'NFS'], [0xff534d42, 'CIFS'], [0x65735546, 'FUSE'], [0x01021997, '9p']]);
const volatileFileSystems = new Map([[0x01021994, 'tmpfs'], [0x858458f6, 'ramfs']]);

/** Where data would lie. */
export async function diskCheck(dir: string): Promise<Check> {
  try {
    const { type, bavail, bsize } = await statfs(dir);
    const free = bavail * bsize;
    const kind = slowFileSystems.get(type) ?? volatileFileSystems.get(type);
    const found = `${dir}: ${bytesText(free)} free${kind ? `, ${kind}` : ''}`;
    if (free < 2 ** 30) return degraded('disk', found, 'Loading ends with MR_NO_SPACE when it is full: make room or choose another --dir.');
    if (slowFileSystems.has(type)) return degraded('disk', found, 'A network or user-space file system: reads and fsync are slow, and other machines may change the file under the daemon.');
    return volatileFileSystems.has(type) ? degraded('disk', found, 'Data is gone after a restart of the machine, and it takes memory.') : ok('disk', found);
  } catch (error) {
    return broken('disk', `${dir}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`, 'The daemon cannot keep its data there: choose another --dir.');
  }
}
