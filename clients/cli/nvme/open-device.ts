import { expectSuccess, statusName } from '../../../native/command-status.js';
import { native } from '../../../native/index.js';
import { type CommandFields, CommandQueue } from '../../../native/queue.js';
import { MillraceError } from '../../../pushdown/types/error.js';

export interface DeviceSettings {
  /** Socket of the device; absent: asked of the daemon at `url`. */
  readonly device?: string;
  readonly url: string;
  readonly token?: string;
}

const dataBytes = 16 << 20;
const entries = 64;
const queueOf = { admin: 0, io: 1 } as const;

/** An open device, one command after the other. */
export class NvmeDevice {
  constructor(readonly path: string, readonly queue: CommandQueue) {}

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

export async function withDevice<T>({ device, url, token }: DeviceSettings, run: (device: NvmeDevice) => Promise<T>): Promise<T> {
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

async function socketOf(url: string, token: string | undefined): Promise<string> {
  const { connect } = await import('../../node/connect.js');
  const client = await connect({ url, transport: 'http', ...(token === undefined ? {} : { token }) });
  try {
    return String((await client.status()).socketPath);
  } finally {
    await client.close();
  }
}
