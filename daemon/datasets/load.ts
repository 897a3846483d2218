import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { NativeDevice } from '../../native/index.js';
import { invariant, MillraceError } from '../../pushdown/types/error.js';
import type { SourceFormat, SourceOptions } from '../../pushdown/types/source-options.js';
import { type Catalog, type CatalogEntry, keyOf } from '../catalog/catalog.js';
import type { Extended } from '../ingest/protocol.js';
import { type Ingested, type IngestOptions, runIngest } from '../ingest/run-ingest.js';
import { checkLayout, columnsFault } from './check-layout.js';
import { type Layout, splitLayout } from './layout.js';
import type { Media } from './media.js';
import type { Reservation } from './reservation.js';
import type { Space } from './space.js';
import type { StoreConfig } from './store-config.js';
import { StoredVersion } from './stored-version.js';

export interface LoadOptions {
  readonly format: SourceFormat;
  /** An Arrow stream of the rows that stand before those of the files. */
  readonly basePath?: string;
  /** How to read it where guessing is not enough. */
  readonly options?: SourceOptions;
  readonly signal?: AbortSignal;
  /** Rows written so far. */
  readonly onProgress?: (rows: number) => void;
}

export interface LoadContext {
  readonly device: NativeDevice;
  readonly config: StoreConfig;
  readonly catalog: Catalog;
  readonly space: Space;
  readonly media: Media;
  /** Where children may keep what they need for a while; emptied at every start. */
  readonly uploadDir: string;
}

const rowGroupRowsDefault = 131_072;
const ingestMemoryBytesDefault = 512 << 20;
const ingestThreadsDefault = 2;

/**
 * One dataset from file to published version, in the order that makes any crash harmless: blocks reserved, the child
 * writes them, its claims are checked, everything is flushed, then one catalog transaction makes it visible.
 */
export async function load(name: string, paths: readonly string[], options: LoadOptions, replaced: CatalogEntry | undefined, context: LoadContext): Promise<StoredVersion> {
  const reservation = context.space.open();
  let published: StoredVersion | undefined;
  try {
    const ingested = await ingesting({ paths, options, reservation, context, rowGroupRows: context.config.rowGroupRows ?? rowGroupRowsDefault }, runIngest);
    const { layout, extents } = checked(ingested, reservation, context.config);
    await context.media.flush();
    options.signal?.throwIfAborted();
    const { rows, columns } = ingested;
    published = new StoredVersion({ handle: context.catalog.takeHandle(), name, version: (replaced?.version ?? 0) + 1, rows, columns, layout, extents });
  } finally {
    if (!published) reservation.release();
  }
  await publish(published, replaced, reservation, published.entry.extents, context);
  return published;
}

interface Ingesting {
  readonly paths: readonly string[];
  readonly options: LoadOptions;
  readonly reservation: Reservation;
  readonly context: LoadContext;
  readonly rowGroupRows: number;
  readonly extend?: Extended;
}

/** Runs a child under a ticket for exactly the blocks it is granted. */
export async function ingesting<T>({ paths, options, reservation, context, rowGroupRows, extend }: Ingesting, run: (options: IngestOptions) => Promise<T>): Promise<T> {
  const { device, config, space, uploadDir } = context;
  const stagePath = join(uploadDir, `stage-${randomUUID()}`);
  const ticket = device.grantTicket([]);
  try {
    return await run({
      node: config.node,
      ...(config.ingestScript ? { script: config.ingestScript } : {}),
      start: {
        paths,
        format: options.format,
        options: options.options ?? {},
        stagePath,
        ...(options.basePath === undefined ? {} : { basePath: options.basePath }),
        ...(extend ? { extend } : {}),
        socketPath: config.socketPath,
        ticket,
        rowGroupRows,
        memoryLimitBytes: config.ingestMemoryBytes ?? ingestMemoryBytesDefault,
        threads: config.ingestThreads ?? ingestThreadsDefault,
      },
      grant: async (blocks) => {
        const extent = await space.extend(reservation, blocks);
        device.extendTicket(ticket, [extent]);
        return extent;
      },
      signal: options.signal,
      onProgress: options.onProgress,
    });
  } finally {
    // The child is gone; after this nothing of it can still reach the blocks, so they may go back.
    await device.revokeTicket(ticket);
    await Promise.all([stagePath, `${stagePath}.wal`].map((path) => rm(path, { force: true })));
  }
}

function checked(ingested: Ingested, reservation: Reservation, config: StoreConfig): { layout: Layout; extents: CatalogEntry['extents'] } {
  const layout = splitLayout(ingested.layout, ingested.columns);
  if (typeof layout === 'string') throw lied(layout);
  const fault = columnsFault(ingested.columns);
  if (fault) throw lied(fault);
  if (layout.rowGroups !== ingested.rowGroups) throw lied('another number of row groups than the layout');
  const extents = checkLayout(layout, ingested.columns, ingested.rows, config.rowGroupRows ?? rowGroupRowsDefault, reservation.extents);
  if (typeof extents === 'string') throw lied(extents);
  return { layout, extents };
}

/** kept: blocks of the reservation that the version uses. The device knows the version before the catalog does: a name is never visible without its chunks. */
export async function publish(version: StoredVersion, replaced: CatalogEntry | undefined, reservation: Reservation, kept: CatalogEntry['extents'], { device, catalog, space }: LoadContext): Promise<void> {
  try {
    device.registerDataset(version.layoutBytes, keyOf(version.entry.name));
  } catch (error) {
    reservation.release();
    throw error;
  }
  try {
    catalog.publish(version.entry, replaced?.handle);
  } catch (error) {
    await device.retireDataset(version.info.handle);
    space.doubt(reservation);
    try {
      catalog.settle();
      space.settle();
    } catch {
      // Still in doubt: the blocks stay held until a commit goes through or the next start.
    }
    throw error;
  }
  reservation.keep(kept);
  space.settle();
}

export function lied(detail: string): MillraceError {
  invariant(detail.length > 0, 'a fault has words');
  return new MillraceError('MR_INGEST_FAILED', `The ingest process reported a layout that does not hold: ${detail}.`);
}
