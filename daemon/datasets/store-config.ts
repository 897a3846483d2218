export interface StoreConfig {
  /** Size of NVM namespace 1, as the device was opened with. */
  readonly capacityBytes: number;
  /** The device's Unix socket: ingest and export children attach to it. */
  readonly socketPath: string;
  /** Node binary children run on: the pinned one. */
  readonly node: string;
  /** Script of the ingest child; default: dist/daemon/ingest/child.js. */
  readonly ingestScript?: string;
  /** Defaults: 131072 rows, 512 MiB, 2 threads. */
  readonly rowGroupRows?: number;
  readonly ingestMemoryBytes?: number;
  readonly ingestThreads?: number;
}
