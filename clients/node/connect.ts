import { existsSync } from 'node:fs';
import { native } from '../../native/index.js';
import { CommandQueue } from '../../native/queue.js';
import { compilePlan } from '../../pushdown/wasm/compile-plan.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { Client } from './client.js';
import { HttpKv } from './kv/http-kv.js';
import type { KvTransport } from './kv/key-value.js';
import { DatasetViews } from './scan/dataset-view.js';
import type { ModelledLink } from './scan/link-model.js';
import { HostEngines } from './sql/host-engines.js';
import { HttpTransport } from './transport/http-transport.js';
import { moduleDigest, sha256Hex } from './transport/module-digest.js';
import { RestClient } from './transport/rest-client.js';
import { type OnBehalfOf, ShmTransport } from './transport/shm-transport.js';
import type { Transport } from './transport/transport.js';
import { UserCodeLibrary } from './user/user-code.js';

export interface ConnectOptions {
  /** http://HOST:PORT of the daemon. */
  readonly url: string;
  /** Bearer token, where the daemon wants one. */
  readonly token?: string;
  /** auto: shared memory when the daemon is on this machine and lets this user attach, HTTP otherwise. */
  readonly transport?: 'auto' | 'http' | 'shm';
  /** Shared-memory region of this client: results and chunks under way. Pages are used only as needed. */
  readonly sharedBytes?: number;
  /** Ceiling of each DuckDB on the host (operators no kernel takes), and of the rows one SQL statement brings to it. */
  readonly hostMemoryBytes?: number;
  /** This client runs beside the device for somebody else (query worker): its data does not cross a modelled link. */
  readonly besideDevice?: boolean;
  /** Ticket to attach with, instead of asking the daemon for one. */
  readonly ticket?: string;
  /** Whom a scan is for, where the ticket says that this client may act for others. */
  readonly onBehalfOf?: () => OnBehalfOf;
}

const sharedBytesDefault = 256 << 20;
const sharedEntries = 256;
const hostMemoryBytesDefault = 2 ** 30;
const apiVersion = 1;

interface DaemonStatus {
  readonly api: number;
  readonly version: string;
  readonly socketPath: string;
  readonly model?: { readonly link?: ModelledLink };
}

/** Connects to a daemon. Throws MR_CONNECT, MR_URL, MR_API_VERSION; with transport shm also MR_ATTACH_*. */
export async function connect(urlOrOptions: string | ConnectOptions): Promise<Client> {
  const options: ConnectOptions = typeof urlOrOptions === 'string' ? { url: urlOrOptions } : urlOrOptions;
  const rest = new RestClient(daemonUrl(options.url), options.token);
  const hostMemoryBytes = options.hostMemoryBytes ?? hostMemoryBytesDefault;
  const engines = new HostEngines(() => native().openDuckDB({ memoryLimitBytes: hostMemoryBytes, threads: 2, locked: true }));
  try {
    const status = await rest.json<DaemonStatus>('/v1/status');
    if (status.api !== apiVersion) throw new MillraceError('MR_API_VERSION', `The daemon (${status.version}) speaks REST version ${status.api}, this client ${apiVersion}: install matching versions.`);
    const transports = new Transports(rest, options, status.socketPath);
    await transports.get();
    const link = status.model?.link;
    return new Client(rest, { views: new DatasetViews(rest), userCode: new UserCodeLibrary(rest, sha256Hex, options.onBehalfOf && (() => options.onBehalfOf?.().kernels)), compile: compilePlan, engines, hostMemoryBytes, openDuckDB: (config) => native().openDuckDB(config), transport: () => transports.get(), kvTransport: () => transports.keyValue(), ...(link && !options.besideDevice ? { link } : {}) }, async () => {
      await transports.close();
      engines.close();
      rest.close();
    });
  } catch (error) {
    rest.close();
    throw error;
  }
}

function daemonUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'http:') throw new MillraceError('MR_URL', `'${text}' is not the address of a daemon: write http://HOST:PORT.`, { field: 'url' });
  return url;
}

/** The client's transport; a shared-memory one whose daemon went away is attached anew. */
class Transports {
  readonly #rest: RestClient;
  readonly #options: ConnectOptions;
  readonly #http: HttpTransport;
  #socketPath: string;
  #shm: ShmTransport | undefined;
  #useHttp = false;

  constructor(rest: RestClient, options: ConnectOptions, socketPath: string) {
    this.#rest = rest;
    this.#options = options;
    this.#http = new HttpTransport(rest, moduleDigest);
    this.#socketPath = socketPath;
  }

  async get(): Promise<Transport> {
    const wanted = this.#options.transport ?? 'auto';
    if (wanted === 'http' || this.#useHttp) return this.#http;
    if (this.#shm && !this.#shm.closed) return this.#shm;
    // Attached before: the daemon was started anew, perhaps elsewhere.
    if (this.#shm) {
      this.#socketPath = (await this.#rest.json<DaemonStatus>('/v1/status')).socketPath;
      // Somebody else's query may have attached while this one asked.
      if (!this.#shm.closed) return this.#shm;
    }
    if (wanted === 'auto' && !(isLoopback(this.#rest.url.hostname) && existsSync(this.#socketPath))) this.#useHttp = true;
    else await this.#attach(wanted === 'shm');
    return this.#shm && !this.#shm.closed ? this.#shm : this.#http;
  }

  async keyValue(): Promise<KvTransport> {
    const transport = await this.get();
    return transport instanceof ShmTransport ? transport.keyValue() : new HttpKv(this.#rest);
  }

  async close(): Promise<void> {
    await this.#shm?.close();
  }

  async #attach(required: boolean): Promise<void> {
    // With a token the daemon knows who asks, and the ticket tells the device.
    const ticket = this.#options.ticket ?? (this.#rest.token === undefined ? undefined : (await this.#rest.json<{ ticket: string }>('/v1/attach', { method: 'POST' })).ticket);
    if (this.#shm && !this.#shm.closed) return; // somebody else's query attached meanwhile
    try {
      const queue = native().attachDevice(this.#socketPath, { ...(ticket === undefined ? {} : { ticket }), dataBytes: this.#options.sharedBytes ?? sharedBytesDefault, entries: sharedEntries, besideDevice: this.#options.besideDevice === true });
      this.#shm = new ShmTransport(new CommandQueue(queue, { entries: sharedEntries }), this.#options.onBehalfOf);
    } catch (error) {
      // Another user's daemon, or a container in between: HTTP works all the same.
      if (required) throw error instanceof MillraceError ? error : new MillraceError('MR_ATTACH', `The device at ${this.#socketPath} cannot be attached to: ${(error as Error).message}.`, { cause: error });
      this.#useHttp = true;
    }
  }
}

const isLoopback = (host: string): boolean => host === 'localhost' || host === '[::1]' || host.startsWith('127.');
