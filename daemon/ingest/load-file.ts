import { type NativeDuckDB, native } from '../../native/index.js';
import { CommandQueue } from '../../native/queue.js';
import type { DatasetColumnInfo } from '../../pushdown/types/dataset-info.js';
import { fileWords } from '../../pushdown/plan/file-words.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { decideColumns } from './decide.js';
import { type Fitted, fitColumns, type Unfit } from './fit-columns.js';
import { type OpenSource, openSource } from './open-source.js';
import type { ToIngest } from './protocol.js';
import { gatherStatistics } from './statistics.js';
import { type Extents, type Written, writeGroups } from './write-groups.js';

export interface LoadEvents extends Extents {
  schema(columns: readonly DatasetColumnInfo[], rows: number): void;
  progress(rows: number): void;
}

/** rewritten: with `extend`, the columns whose dictionary is a new one. */
export type Loaded = Written & { readonly columns: readonly DatasetColumnInfo[]; readonly rewritten?: readonly number[] };

/** Two row groups in flight: one is encoded while the other is written. */
const rowGroupBytesMax = 64 << 20;
const dataBytes = 2 * rowGroupBytesMax;
const entries = 128;

/**
 * Reads the files, decides the layout, writes all chunks and flushes. Both passes see the same bytes unless someone writes
 * into a file, which the encoder notices.
 * @throws MillraceError MR_FILE_INVALID, MR_TYPE_UNSUPPORTED, MR_SOURCE_OPTION, MR_FILE_CHANGED, MR_ROW_TOO_LARGE, MR_INGEST_MEMORY, device errors, what extents.request throws.
 */
export async function loadFile(start: Extract<ToIngest, { kind: 'start' }>, events: LoadEvents): Promise<Loaded | Unfit> {
  const association = native().attachDevice(start.socketPath, { ticket: start.ticket, dataBytes, entries });
  const queue = new CommandQueue(association, { entries });
  let source: OpenSource | undefined;
  try {
    source = await openSource(start);
    const { db, relation } = source;
    const understood = start.extend ? await fitColumns(db, relation, start.extend) : await understand(db, relation);
    if ('unfit' in understood) return understood;
    const { statistics, columns, rewritten } = understood;
    const infos = columns.map((column) => column.info);
    events.schema(infos, statistics.rows);
    const encoder = await db.openEncoder(
      `SELECT ${columns.map((column) => column.expression).join(', ')} FROM ${relation}`,
      columns.map((column) => column.encode),
      { rowGroupRowsMax: start.rowGroupRows, rowGroupBytesMax },
    );
    const written = await writeGroups(encoder, queue, events, {
      columns: columns.length,
      dictionaries: rewritten ?? columns.flatMap((column, i) => (column.encode.dictionary ? [i] : [])),
      rowGroupRowsMax: start.rowGroupRows,
      onRows: events.progress,
    });
    if (written.rows !== statistics.rows) throw new MillraceError('MR_FILE_CHANGED', 'The file changed while it was read: load it again.');
    await encoder.close();
    return { ...written, columns: infos, ...(rewritten ? { rewritten } : {}) };
  } catch (error) {
    throw fileError(source ? source.named(error) : error);
  } finally {
    await source?.close();
    queue.close();
  }
}

async function understand(db: NativeDuckDB, relation: string): Promise<Fitted> {
  const statistics = await gatherStatistics(db, relation);
  return { statistics, columns: await decideColumns(db, relation, statistics) };
}

/** DuckDB only ran our own SQL here, so what it complains about is the file. */
function fileError(error: unknown): unknown {
  if (!(error instanceof MillraceError)) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    return code === 'MR_FILE_INVALID' ? new MillraceError(code, `The file cannot be read: ${(error as Error).message}`) : error;
  }
  if (error.code === 'MR_SQL_MEMORY') return new MillraceError('MR_INGEST_MEMORY', `The memory limit of ingest is too small for this file: ${error.message}`);
  if (error.code === 'MR_TABLE_INVALID' || error.code.startsWith('MR_SQL_')) {
    const { detail, field } = fileWords(error.message);
    return new MillraceError('MR_FILE_INVALID', `The file cannot be read: ${detail}`, field === undefined ? {} : { field });
  }
  return error;
}
