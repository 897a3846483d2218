import { RecordBatchStreamWriter } from 'apache-arrow';
import type { Batch } from '../../../pushdown/types/batch.js';
import type { Column } from '../../../pushdown/types/schema.js';
import { arrowRecords } from './arrow.js';

class CountingWriter extends RecordBatchStreamWriter {
  get producedBytes(): number {
    return this._position;
  }
}

/**
 * Batches as an Arrow IPC stream, piece by piece: a batch is written when the one before was taken. `columns` serves when no
 * batch comes. An error of the batches leaves the stream without its end marker.
 */
export async function* arrowIpc(columns: readonly Column[], batches: AsyncIterable<Batch>): AsyncGenerator<Uint8Array, void, void> {
  const writer = new CountingWriter();
  const parts = writer[Symbol.asyncIterator]();
  let takenBytes = 0;
  let records: ReturnType<typeof arrowRecords> | undefined;
  const written = async function* (batch: Batch): AsyncGenerator<Uint8Array> {
    records ??= arrowRecords(batch.columns);
    writer.write(records.record(batch));
    while (takenBytes < writer.producedBytes) {
      const { value, done } = (await parts.next()) as IteratorResult<Uint8Array, unknown>;
      if (done) return;
      takenBytes += value.byteLength;
      yield value;
    }
  };
  for await (const batch of batches) yield* written(batch);
  // Readers want a schema, so an empty result is one empty batch.
  if (!records) yield* written({ rows: 0, columns, data: columns.map(() => ({ validity: null, offsets: null, data: new Uint8Array(0) })) });
  writer.finish();
  for (let part = await parts.next(); !part.done; part = await parts.next()) yield part.value as Uint8Array;
}
