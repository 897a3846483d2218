import { randomUUID } from 'node:crypto';
import { createWriteStream, mkdirSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { NativeDevice } from '../../native/index.js';
import { CommandQueue } from '../../native/queue.js';
import type { DatasetInfo } from '../../pushdown/types/dataset-info.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { Catalog, keyOf } from '../catalog/catalog.js';
import { exportArrow } from '../export/run-export.js';
import { checkName } from './dataset-name.js';
import { decodeStrings } from './dictionary.js';
import { hasDictionary, readChunk } from './layout.js';
import { extend, isCrumbled } from './extend.js';
import { blocksOf, subtract } from './extents.js';
import { load, type LoadContext, type LoadOptions } from './load.js';
import { Media } from './media.js';
import { Space } from './space.js';
import { StoredVersion } from './stored-version.js';
import { scrub, type ScrubReport } from './scrub.js';
import type { StoreConfig } from './store-config.js';
import { syncDirectory } from './sync-directory.js';

export type { StoreConfig } from './store-config.js';

const queueDataBytes = 16 << 20;
const queueEntries = 64;

/**
 * Named datasets on one device. A dataset is published whole by one catalog transaction or is absent; a replaced or
 * removed version stays readable for who already reads it and gives its blocks back when the last reader has gone.
 */
export class DatasetStore {
  readonly #datasets = new Map<string, StoredVersion>();
  readonly #busy = new Set<string>();
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();

  private constructor(
    /** Where uploads go before `put`; emptied at every start. */
    readonly uploadDir: string,
    private readonly device: NativeDevice,
    private readonly config: StoreConfig,
    private readonly catalog: Catalog,
    private readonly space: Space,
    private readonly queue: CommandQueue,
    private readonly media: Media,
  ) {}

  /**
   * Opens the store of `dir` (made if absent: catalog.db, tmp/) on an open device.
   * @throws MillraceError MR_STORE_LOCKED, MR_CATALOG_NEWER, MR_CATALOG_DAMAGED, MR_CATALOG_IO
   */
  static async open(dir: string, device: NativeDevice, config: StoreConfig): Promise<DatasetStore> {
    const uploadDir = join(dir, 'tmp');
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const catalog = new Catalog(join(dir, 'catalog.db'));
    let queue: CommandQueue | undefined;
    try {
      rmSync(uploadDir, { recursive: true, force: true });
      mkdirSync(uploadDir, { mode: 0o700 });
      syncDirectory(dir);
      const published = catalog.load();
      const space = new Space(config.capacityBytes, published);
      queue = new CommandQueue(device.attach({ dataBytes: queueDataBytes, entries: queueEntries }), { entries: queueEntries });
      const store = new DatasetStore(uploadDir, device, config, catalog, space, queue, new Media(queue));
      for (const entry of published) {
        const version = new StoredVersion(entry);
        device.registerDataset(version.layoutBytes, keyOf(entry.name));
        store.#datasets.set(keyOf(entry.name), version);
      }
      return store;
    } catch (error) {
      queue?.close();
      catalog.close();
      throw error;
    }
  }

  /** By name. */
  list(): DatasetInfo[] {
    return [...this.#datasets.values()].map((version) => version.info).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Names match without case. @throws MillraceError MR_DATASET_NOT_FOUND */
  get(name: string): DatasetInfo {
    return this.#version(name).info;
  }

  /** Bytes of the namespace and bytes of it that are free now. */
  get usage(): { readonly capacityBytes: number; readonly freeBytes: number } {
    return { capacityBytes: this.space.capacityBytes, freeBytes: this.space.freeBytes };
  }

  /**
   * Loads local files, in their order, as one dataset. Resolves when the dataset is on the media and visible; until then nothing of it is.
   * @throws MillraceError MR_NAME_INVALID, MR_DATASET_EXISTS, MR_DATASET_BUSY, MR_NO_SPACE, MR_INGEST_FAILED, MR_STORE_CLOSED,
   * the ingest child's own; the signal's reason when aborted
   */
  async put(name: string, path: string | readonly string[], options: LoadOptions & { readonly replace?: boolean; readonly append?: boolean }): Promise<DatasetInfo> {
    checkName(name);
    return this.#change(name, async (current, signal) => {
      if (options.append) {
        if (!current) throw notFound(name);
        if (options.replace) throw new MillraceError('MR_SOURCE_OPTION', 'Rows are appended or replace the dataset, not both.', { field: 'append', httpStatus: 400 });
      } else if (current && !options.replace)
        throw new MillraceError('MR_DATASET_EXISTS', `Dataset '${current.info.name}' exists: choose another name or replace it.`, { field: 'name', httpStatus: 409 });
      const { device, config, catalog, space, media } = this;
      const context: LoadContext = { device, config, catalog, space, media, uploadDir: this.uploadDir };
      const paths = typeof path === 'string' ? [path] : path;
      const version = options.append && current ? await this.#append(current, paths, { ...options, signal }, context) : await load(name, paths, { ...options, signal }, current?.entry, context);
      this.#datasets.set(keyOf(name), version);
      if (current) this.#retire(current, version);
      return version.info;
    }, options.signal);
  }

  /** @throws MillraceError MR_DATASET_NOT_FOUND, MR_DATASET_BUSY, MR_CATALOG_IO */
  async remove(name: string): Promise<void> {
    await this.#change(name, async (current) => {
      if (!current) throw notFound(name);
      this.catalog.remove(current.info.handle);
      this.space.settle();
      this.#datasets.delete(keyOf(name));
      this.#retire(current);
    });
  }

  /** DatasetHeader and ChunkRecords. @throws MillraceError MR_DATASET_NOT_FOUND */
  layout(name: string): Uint8Array {
    return this.#version(name).layoutBytes;
  }

  /** The values of a dictionary column, code i first to last. @throws MillraceError MR_DATASET_NOT_FOUND, MR_COLUMN_NOT_FOUND, MR_COLUMN_NO_DICTIONARY */
  dictionary(name: string, column: string): Promise<readonly string[]> {
    const version = this.#version(name);
    const index = version.info.columns.findIndex((c) => c.name === column);
    const record = version.entry.layout.dictionaries[index];
    if (index < 0) throw new MillraceError('MR_COLUMN_NOT_FOUND', `Dataset '${name}' has no column '${column}'.`, { field: 'column', httpStatus: 404 });
    if (!record || !hasDictionary(version.info.columns[index]))
      throw new MillraceError('MR_COLUMN_NO_DICTIONARY', `Column '${column}' of '${name}' is not stored with a dictionary.`, { field: 'column', httpStatus: 404 });
    let values = version.dictionaries.get(index);
    if (!values) {
      values = this.#reading(version, async () => {
        const what = `Dictionary of '${name}.${column}'`;
        const chunk = readChunk(record, 0);
        return decodeStrings(await this.media.read(chunk, what), chunk, what);
      });
      version.dictionaries.set(index, values);
      values.catch(() => version.dictionaries.delete(index));
    }
    return values;
  }

  /** Arrow IPC stream with logical types, made by a child process. The stream errors with a MillraceError. */
  export(name: string): Readable {
    const version = this.#version(name);
    const release = version.lease();
    const { node, socketPath } = this.config;
    const { stream, ended } = exportArrow({ node, socketPath, ticket: this.device.grantAttach({ tenant: 0, actor: 0 }), columns: version.info.columns, layout: version.layoutBytes, signal: this.#closing.signal });
    this.#track(ended.finally(release));
    return stream;
  }

  /** Reads every chunk and compares checksums. @throws MillraceError MR_DATASET_NOT_FOUND, MR_MEDIA_READ */
  verify(name: string): Promise<ScrubReport> {
    const version = this.#version(name);
    return this.#reading(version, () => scrub(version.entry, this.media));
  }

  /**
   * Resolves when no retired version is read any more and no failed publish is in doubt: what is not listed is free.
   * @throws MillraceError MR_NO_SPACE, MR_CATALOG_IO: still in doubt
   */
  async drained(): Promise<void> {
    if (this.space.inDoubt) {
      this.catalog.settle();
      this.space.settle();
    }
    await this.space.drained();
  }

  /** Ends running loads and exports (they reject with MR_STORE_CLOSED), then lets go of catalog and device. */
  async close(): Promise<void> {
    this.#closing.abort(new MillraceError('MR_STORE_CLOSED', 'The daemon is stopping.', { httpStatus: 503 }));
    await Promise.allSettled(this.#running);
    this.queue.close();
    this.catalog.close();
  }

  /** New row groups behind those of `current` where the new rows fit what it is; otherwise all rows are encoded anew. */
  async #append(current: StoredVersion, paths: readonly string[], options: LoadOptions & { readonly signal: AbortSignal }, context: LoadContext): Promise<StoredVersion> {
    if (!isCrumbled(current.entry)) {
      const { name, columns } = current.info;
      const dictionaries = await Promise.all(columns.map((column) => (hasDictionary(column) ? this.dictionary(name, column.name) : undefined)));
      const extended = await extend(current, dictionaries, paths, options, context);
      if (extended instanceof StoredVersion) return extended;
    }
    const basePath = await this.#base(current, options.signal);
    try {
      return await load(current.info.name, paths, { ...options, basePath }, current.entry, context);
    } finally {
      await rm(basePath, { force: true });
    }
  }

  /** The rows of a version as a file. */
  async #base(version: StoredVersion, signal: AbortSignal): Promise<string> {
    const path = join(this.uploadDir, `base-${randomUUID()}`);
    try {
      await pipeline(this.export(version.info.name), createWriteStream(path, { mode: 0o600 }), { signal });
      return path;
    } catch (error) {
      await rm(path, { force: true });
      throw signal.aborted ? signal.reason : error;
    }
  }

  #version(name: string): StoredVersion {
    const version = this.#datasets.get(keyOf(name));
    if (!version) throw notFound(name);
    return version;
  }

  /** One change of a name at a time; a second one is told so instead of waiting for minutes. */
  #change<T>(name: string, change: (current: StoredVersion | undefined, signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const key = keyOf(name);
    if (this.#busy.has(key)) throw new MillraceError('MR_DATASET_BUSY', `Dataset '${name}' is being changed by another request: try again when it ended.`, { httpStatus: 409 });
    this.#closing.signal.throwIfAborted();
    this.#busy.add(key);
    const both = signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal;
    return this.#track(change(this.#datasets.get(key), both).finally(() => this.#busy.delete(key)));
  }

  /** Blocks that `successor` shares come back with it, but not before this version's last reader has gone either. */
  #retire(version: StoredVersion, successor?: StoredVersion): void {
    const unread = Promise.all([this.device.retireDataset(version.info.handle), version.whenIdle(), version.sharedUntil]);
    const left = subtract(version.entry.extents, successor?.entry.extents ?? []);
    if (successor && blocksOf(left) < blocksOf(version.entry.extents)) successor.sharedUntil = unread;
    this.space.retire(left, unread);
  }

  #reading<T>(version: StoredVersion, read: () => Promise<T>): Promise<T> {
    return this.#track(read().finally(version.lease()));
  }

  #track<T>(work: Promise<T>): Promise<T> {
    const settled: Promise<void> = work.then(() => undefined, () => undefined).then(() => void this.#running.delete(settled));
    this.#running.add(settled);
    return work;
  }
}

function notFound(name: string): MillraceError {
  return new MillraceError('MR_DATASET_NOT_FOUND', `There is no dataset '${name}'.`, { field: 'name', httpStatus: 404 });
}
