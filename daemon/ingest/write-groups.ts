import type { NativeEncoder } from '../../native/encoder.js';
import { BLOCK_BYTES, type CommandQueue, type Region } from '../../native/queue.js';
import { ChunkRecord } from '../../pushdown/runtime/wire.gen.js';
import { writeLayout } from '../datasets/layout.js';

export interface Extents {
  /** Blocks this side may write now. Throws MillraceError when refused. */
  request(blocks: number): Promise<{ readonly slba: number; readonly blocks: number }>;
}

export interface Written {
  readonly rows: number;
  readonly rowGroups: number;
  /** DatasetHeader (handle 0) and ChunkRecords. */
  readonly layout: Uint8Array;
}

/** Writes under way: bounded by the data region, the first failure ends everything. */
class Writes {
  readonly #running = new Set<Promise<void>>();
  #failed: { readonly error: unknown } | undefined;
  constructor(readonly queue: CommandQueue) {}

  start(slba: number, region: Region): void {
    const write = this.queue
      .writeBlocks(slba, region.bytes / BLOCK_BYTES, region)
      .catch((error: unknown) => {
        this.#failed ??= { error };
      })
      .finally(() => {
        this.queue.release(region);
        this.#running.delete(write);
      });
    this.#running.add(write);
  }
  check(): void {
    if (this.#failed) throw this.#failed.error;
  }
  async finish(): Promise<void> {
    await Promise.all(this.#running);
    this.check();
    await this.queue.flush();
  }
}

/**
 * Streams row groups from the encoder through the data region to the namespace; the next group is gathered while earlier
 * ones are written. dictionaries: columns that have one.
 */
export async function writeGroups(
  encoder: NativeEncoder,
  queue: CommandQueue,
  extents: Extents,
  options: { readonly columns: number; readonly dictionaries: readonly number[]; readonly rowGroupRowsMax: number; readonly onRows: (rows: number) => void },
): Promise<Written> {
  const writes = new Writes(queue);
  /** Encodes into an extent of its own and leaves it to the device. */
  const put = async (bytes: number, encode: (out: Uint8Array, slba: number) => Promise<Uint8Array>): Promise<Uint8Array> => {
    const { slba } = await extents.request(bytes / BLOCK_BYTES);
    const region = await queue.acquire(bytes);
    let records: Uint8Array;
    try {
      records = await encode(region.view, slba);
    } catch (error) {
      queue.release(region);
      throw error;
    }
    writes.check();
    writes.start(slba, region);
    return records;
  };
  const dictionaries = new Array<Uint8Array | undefined>(options.columns).fill(undefined);
  for (const column of options.dictionaries)
    dictionaries[column] = await put(await encoder.dictionaryBytes(column), (out, slba) => encoder.encodeDictionary(column, out, slba));
  const groups: Uint8Array[] = [];
  let rows = 0;
  for (let group = await encoder.gather(); group.rows > 0; group = await encoder.gather()) {
    groups.push(await put(group.bytes, (out, slba) => encoder.encode(out, slba)));
    rows += group.rows;
    options.onRows(rows);
  }
  await writes.finish();
  const columns = Array.from({ length: options.columns }, (_, column) => columnRecords(groups, column));
  return { rows, rowGroups: groups.length, layout: writeLayout({ rowGroups: groups.length, rowGroupRowsMax: options.rowGroupRowsMax, columns, dictionaries }, 0) };
}

/** Records come row group by row group and are kept column by column. */
function columnRecords(groups: readonly Uint8Array[], column: number): Uint8Array {
  const out = new Uint8Array(groups.length * ChunkRecord.bytes);
  for (const [i, records] of groups.entries()) out.set(records.subarray(column * ChunkRecord.bytes, (column + 1) * ChunkRecord.bytes), i * ChunkRecord.bytes);
  return out;
}
