import { randomUUID } from 'node:crypto';
import type { CommandSender } from '../../../native/command-sender.js';
import { expectSuccess, statusName } from '../../../native/command-status.js';
import { type DhchapSecret, parseDhchapSecret } from '../../../native/dhchap/secret.js';
import { native } from '../../../native/index.js';
import { type CommandFields, CommandQueue } from '../../../native/queue.js';
import { TcpHost } from '../../../native/tcp-host.js';
import { MillraceError } from '../../../pushdown/types/error.js';

export interface DeviceSettings {
  /** Socket of the device; absent: asked of the daemon at `url`. */
  readonly device?: string;
  /** HOST:PORT: over NVMe/TCP instead. */
  readonly tcp?: string;
  readonly nqn?: string;
  readonly hostnqn?: string;
  /** As nvme gen-dhchap-key prints them. */
  readonly dhchapSecret?: string;
  readonly dhchapCtrlSecret?: string;
  readonly url: string;
  readonly token?: string;
}

/** The daemon's --nvme-nqn where none was given. */
const defaultNqn = 'nqn.2026-11.dev.millrace:device0';
const dataBytes = 16 << 20;
const entries = 64;
const queueOf = { admin: 0, io: 1 } as const;

/** An open device, one command after the other. */
export class NvmeDevice {
  constructor(readonly path: string, readonly queue: CommandSender) {}

  /** Sends `data` with the command, gives back what `bytesBack` bytes of its data hold when it ended. Throws what a status other than Success means. */
  async run(which: 'admin' | 'io', fields: CommandFields, what: string, data?: Uint8Array, bytesBack = 0): Promise<{ readonly dw0: number; readonly dw1: number; readonly data: Uint8Array }> {
    const bytes = Math.max(data?.byteLength ?? 0, bytesBack);
    if (bytes === 0) return { ...expectStatus(await this.queue.send(queueOf[which], fields), what), data: new Uint8Array(0) };
    const region = await this.queue.acquire(bytes);
    try {
      if (data) region.view.set(data);
      else region.view.fill(0);
      const completion = expectStatus(await this.queue.send(queueOf[which], fields, region), what);
      return { ...completion, data: region.view.slice(0, bytesBack) };
    } finally {
      this.queue.release(region);
    }
  }
}

function expectStatus(completion: { readonly status: number; readonly dw0: number; readonly dw1: number }, what: string) {
  if (completion.status === 0) return completion;
  const name = `${statusName(completion.status)}, NVMe status 0x${completion.status.toString(16)}`;
  try {
    return expectSuccess(completion, what);
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    throw new MillraceError(error.code, `${error.message.replace(/\.$/, '')} (${name}).`, { cause: error });
  }
}

export async function withDevice<T>(settings: DeviceSettings, run: (device: NvmeDevice) => Promise<T>): Promise<T> {
  const { device, url, token, tcp } = settings;
  if (tcp !== undefined) {
    const { hostnqn, dhchapSecret, dhchapCtrlSecret } = settings;
    if (dhchapSecret !== undefined && hostnqn === undefined) throw new MillraceError('MR_USAGE', 'A secret is of one host: give its name with --hostnqn.', { field: 'hostnqn' });
    if (dhchapCtrlSecret !== undefined && dhchapSecret === undefined) throw new MillraceError('MR_USAGE', 'A controller proves who it is to hosts that do: give --dhchap-secret too.', { field: 'dhchapSecret' });
    const host = await TcpHost.connect({
      ...endpointOf(tcp), subsystemNqn: settings.nqn ?? defaultNqn, hostNqn: hostnqn ?? `nqn.2014-08.org.nvmexpress:uuid:${randomUUID()}`,
      ...(dhchapSecret === undefined ? {} : { secret: secretOf(dhchapSecret, 'dhchapSecret') }), ...(dhchapCtrlSecret === undefined ? {} : { controllerSecret: secretOf(dhchapCtrlSecret, 'dhchapCtrlSecret') }),
    });
    try {
      return await run(new NvmeDevice(tcp, host));
    } finally {
      host.close();
    }
  }
  const path = device ?? (await socketOf(url, token));
  let queue: CommandQueue;
  try {
    queue = new CommandQueue(native().attachDevice(path, { dataBytes, entries }), { entries });
  } catch (cause) {
    throw new MillraceError('MR_ATTACH', `The device at ${path} cannot be attached to: ${(cause as Error).message}.`, { cause });
  }
  try {
    return await run(new NvmeDevice(path, queue));
  } finally {
    queue.close();
  }
}

function secretOf(text: string, field: string): DhchapSecret {
  try {
    return parseDhchapSecret(text);
  } catch (cause) {
    throw new MillraceError('MR_USAGE', `${(cause as Error).message.replace(/^./, (letter) => letter.toUpperCase())}.`, { field, cause });
  }
}

function endpointOf(text: string): { address: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port < 1 || port > 65535) throw new MillraceError('MR_USAGE', `'${text}' is no host and port: write 127.0.0.1:4420 or [::1]:4420.`, { field: 'tcp' });
  return { address: match[1] ?? match[2] ?? '', port };
}

async function socketOf(url: string, token: string | undefined): Promise<string> {
  const { connect } = await import('../../node/connect.js');
  const client = await connect({ url, transport: 'http', ...(token === undefined ? {} : { token }) });
  try {
    return String((await client.status()).socketPath);
  } finally {
    await client.close();
  }
}
