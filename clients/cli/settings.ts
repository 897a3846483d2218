import { Option } from 'commander';
import type { Client } from '../node/client.js';
import type { ConnectOptions } from '../node/connect.js';

export interface ConnectSettings {
  readonly url: string;
  readonly token?: string;
  readonly transport: 'auto' | 'http' | 'shm';
}

export const urlOption = () => new Option('--url <url>', 'address of the daemon').env('MILLRACE_URL').default('http://127.0.0.1:4433');
export const tokenOption = () => new Option('--token <token>', 'bearer token, where the daemon wants one').env('MILLRACE_TOKEN');
export const transportOption = () => new Option('--transport <kind>', 'the way to the data').choices(['auto', 'http', 'shm']).default('auto');
export const pushdownOption = () => new Option('--pushdown <mode>', 'who runs the kernels').choices(['auto', 'always', 'never']).default('auto');

/** Connects, runs, closes. The client library is loaded here and not before: `--help` does not need it. */
export async function withClient<T>({ url, token, transport }: ConnectSettings, run: (client: Client) => Promise<T>): Promise<T> {
  const { connect } = await import('../node/connect.js');
  const options: ConnectOptions = { url, transport, ...(token === undefined ? {} : { token }) };
  const client = await connect(options);
  try {
    return await run(client);
  } finally {
    await client.close();
  }
}
