import type { Writable } from 'node:stream';
import * as arrow from 'apache-arrow';
import type { DatasetColumnInfo } from '../../pushdown/types/dataset-info.js';
import { readChunk, splitLayout } from '../datasets/layout.js';
import type { Media } from '../datasets/media.js';
import { invariant } from '../../pushdown/types/error.js';
import { arrowData } from './arrow-column.js';
import { arrowSchema } from './arrow-type.js';

/** Bytes the writer may be ahead of the pipe. */
const aheadBytesMax = 8 << 20;

class CountingWriter extends arrow.RecordBatchStreamWriter {
  get producedBytes(): number {
    return this._position;
  }
}

/** Writes the dataset as one Arrow IPC stream, one record batch per row group; waits when `out` is slow. Does not end `out`. */
export async function exportStream(columns: readonly DatasetColumnInfo[], layoutBytes: Uint8Array, media: Pick<Media, 'read'>, out: Writable): Promise<void> {
  const writer = new CountingWriter();
  let sentBytes = 0;
  let onSent: () => void = () => undefined;
  const sent = (async () => {
    for await (const part of writer) {
      await new Promise<void>((resolve, reject) => out.write(part, (error) => (error ? reject(error) : resolve())));
      sentBytes += part.byteLength;
      onSent();
    }
  })();
  const room = async () => {
    while (writer.producedBytes - sentBytes > aheadBytesMax)
      await Promise.race([
        sent,
        new Promise<void>((resolve) => {
          onSent = resolve;
        }),
      ]);
  };
  const produce = async () => {
    try {
      for await (const batch of batches(columns, layoutBytes, media)) {
        writer.write(batch);
        await room();
      }
    } finally {
      writer.close();
    }
  };
  await Promise.all([produce(), sent]);
}

async function* batches(columns: readonly DatasetColumnInfo[], layoutBytes: Uint8Array, media: Pick<Media, 'read'>): AsyncGenerator<arrow.RecordBatch> {
  const layout = splitLayout(layoutBytes, columns);
  invariant(typeof layout !== 'string', 'a published layout can be split');
  const schema = arrowSchema(columns);
  const dictionaries: (arrow.Vector | undefined)[] = [];
  for (const [i, record] of layout.dictionaries.entries()) {
    if (!record) continue;
    const chunk = readChunk(record, 0);
    const asStrings: DatasetColumnInfo = { name: columns[i].name, type: { kind: 'utf8' }, physical: 'utf8', nullable: false, nullCount: 0 };
    dictionaries[i] = arrow.makeVector(arrowData(asStrings, new arrow.Utf8(), chunk, await media.read(chunk, `Dictionary of '${columns[i].name}'`), undefined));
  }
  const batch = (rows: number, children: arrow.Data[]) =>
    new arrow.RecordBatch(schema, arrow.makeData({ type: new arrow.Struct(schema.fields), length: rows, nullCount: 0, children }));
  for (let rowGroup = 0; rowGroup < layout.rowGroups; rowGroup++) {
    const children: arrow.Data[] = [];
    for (const [i, column] of columns.entries()) {
      const chunk = readChunk(layout.columns[i], rowGroup);
      const bytes = await media.read(chunk, `Column '${column.name}', row group ${rowGroup}`);
      children.push(arrowData(column, schema.fields[i].type, chunk, bytes, dictionaries[i]));
    }
    yield batch(children[0]?.length ?? 0, children);
  }
  // A stream without batches would carry no dictionaries, and some readers want at least one batch.
  if (layout.rowGroups === 0) yield batch(0, schema.fields.map((field, i) => arrow.makeData({ type: field.type, length: 0, nullCount: 0, ...(dictionaries[i] ? { dictionary: dictionaries[i] } : {}) } as never)));
}
