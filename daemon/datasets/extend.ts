import type { DatasetColumnInfo } from '../../pushdown/types/dataset-info.js';
import { type IngestedBehind, runExtend, type Unfit } from '../ingest/run-ingest.js';
import type { Extended } from '../ingest/protocol.js';
import type { CatalogEntry } from '../catalog/catalog.js';
import { checkLayout, columnsFault } from './check-layout.js';
import { coalesce, type Extent, subtract } from './extents.js';
import { chunkExtent, chunksOf, hasDictionary, type Layout, readChunk, splitLayout } from './layout.js';
import { ingesting, lied, type LoadContext, type LoadOptions, publish } from './load.js';
import { StoredVersion } from './stored-version.js';

/** So many row groups with less than half their rows and bytes, and the next append writes the dataset anew, whole row groups again. */
const smallRowGroupsMax = 32;
const smallBytes = 16 << 20;

/** Whether appends left so many small row groups that scans suffer. */
export function isCrumbled({ layout }: CatalogEntry): boolean {
  const bytes = new Array<number>(layout.rowGroups).fill(0);
  const rows = new Array<number>(layout.rowGroups).fill(0);
  for (const { rowGroup, chunk } of chunksOf(layout)) {
    if (rowGroup === 'dictionary') continue;
    bytes[rowGroup] += chunk.usedBytes;
    rows[rowGroup] = chunk.rows;
  }
  return rows.filter((n, i) => n * 2 < layout.rowGroupRowsMax && bytes[i] < smallBytes).length > smallRowGroupsMax;
}

/**
 * The files' rows as new row groups behind those of `base`, whose chunks stay where they are: the new version shares them.
 * Everything else is as in `load`. @returns the version; or why all rows have to be written anew, nothing having been written
 */
export async function extend(base: StoredVersion, dictionaries: Extended['dictionaries'], paths: readonly string[], options: LoadOptions, context: LoadContext): Promise<StoredVersion | Unfit> {
  const { entry } = base;
  const reservation = context.space.open();
  let version: StoredVersion | undefined;
  let added: readonly Extent[] = [];
  try {
    const answer = await ingesting({ paths, options, reservation, context, rowGroupRows: entry.layout.rowGroupRowsMax, extend: { columns: entry.columns, dictionaries } }, runExtend);
    if ('reason' in answer) return answer;
    const checked = joined(entry, answer, reservation.extents);
    added = checked.added;
    await context.media.flush();
    options.signal?.throwIfAborted();
    const { columns, layout, extents } = checked;
    version = new StoredVersion({ handle: context.catalog.takeHandle(), name: entry.name, version: entry.version + 1, rows: entry.rows + answer.rows, columns, layout, extents });
  } finally {
    if (!version) reservation.release();
  }
  await publish(version, entry, reservation, added, context);
  return version;
}

/** The dataset's layout with the new row groups behind it, once what the child says of them holds. */
function joined(base: CatalogEntry, added: IngestedBehind, granted: readonly Extent[]): { columns: DatasetColumnInfo[]; layout: Layout; extents: readonly Extent[]; added: readonly Extent[] } {
  const rewritten = new Set(added.rewritten);
  const columns = base.columns.map((column, i) => grown(column, added.columns[i], rewritten.has(i)));
  if (added.columns.length !== base.columns.length || added.rewritten.some((i) => !columns[i] || !hasDictionary(columns[i]))) throw lied('other columns than the dataset');
  const fault = columnsFault(columns);
  if (fault) throw lied(fault);
  const behind = splitLayout(added.layout, columns, (_, i) => rewritten.has(i));
  if (typeof behind === 'string') throw lied(behind);
  if (behind.rowGroups !== added.rowGroups) throw lied('another number of row groups than the layout');
  const used = checkLayout(behind, columns, added.rows, base.layout.rowGroupRowsMax, granted);
  if (typeof used === 'string') throw lied(used);
  const replaced = coalesce([...rewritten].flatMap((i) => { const record = base.layout.dictionaries[i]; return record ? [chunkExtent(readChunk(record, 0))] : []; })) ?? [];
  const layout: Layout = {
    rowGroups: base.layout.rowGroups + behind.rowGroups,
    rowGroupRowsMax: base.layout.rowGroupRowsMax,
    columns: base.layout.columns.map((records, i) => Buffer.concat([records, behind.columns[i]])),
    dictionaries: base.layout.dictionaries.map((record, i) => behind.dictionaries[i] ?? record),
  };
  const extents = coalesce([...subtract(base.extents, replaced), ...used]);
  if (!extents) throw lied('blocks of the dataset it extends');
  return { columns, layout, extents, added: used };
}

/** A column with the new rows' bounds and nulls. Its name, type, width and nullability are the dataset's, whatever the child says. */
function grown(base: DatasetColumnInfo, added: DatasetColumnInfo | undefined, newDictionary: boolean): DatasetColumnInfo {
  if (!added) return base;
  const bounds = [base, added].flatMap(({ min, max }) => (min === undefined || max === undefined ? [] : [{ min: BigInt(min), max: BigInt(max) }]));
  const least = bounds.reduce((low, { min }) => (min < low ? min : low), bounds[0]?.min ?? 0n);
  const greatest = bounds.reduce((high, { max }) => (max > high ? max : high), bounds[0]?.max ?? 0n);
  const { name, type, physical, nullable, dictionaryEntries } = base;
  return {
    name, type, physical, nullable,
    nullCount: base.nullCount + added.nullCount,
    ...(bounds.length > 0 ? { min: String(least), max: String(greatest) } : {}),
    ...(dictionaryEntries === undefined ? {} : { dictionaryEntries: newDictionary ? Math.max(dictionaryEntries, added.dictionaryEntries ?? 0) : dictionaryEntries }),
  };
}
