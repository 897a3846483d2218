// An ingest child for power-cut rounds by the hundred: takes any file as one int8 column, one block-sized chunk per row
// group, one Write each, so that there are many moments to cut at and no DuckDB to start.
import { readFileSync } from 'node:fs';
import type { FromIngest, ToIngest } from '../../daemon/ingest/protocol.js';
import { native } from '../../native/index.js';
import { BLOCK_BYTES, CommandQueue } from '../../native/queue.js';
import { ChunkRecord, DatasetHeader } from '../../pushdown/runtime/wire.gen.js';
import type { DatasetColumnInfo } from '../../pushdown/types/dataset-info.js';

const send = (message: FromIngest) => new Promise<void>((resolve) => void process.send?.(message, () => resolve()));
const nextMessage = () => new Promise<ToIngest>((resolve) => void process.once('message', resolve));

async function run(start: Extract<ToIngest, { kind: 'start' }>): Promise<void> {
  const values = readFileSync(start.paths[0] ?? '');
  const rowGroups = Math.ceil(values.byteLength / BLOCK_BYTES);
  const queue = new CommandQueue(native().attachDevice(start.socketPath, { ticket: start.ticket, dataBytes: 1 << 20, entries: 16 }), { entries: 16 });
  const layout = new Uint8Array(DatasetHeader.bytes + rowGroups * ChunkRecord.bytes);
  const header = new DataView(layout.buffer);
  header.setUint32(DatasetHeader.columns, 1, true);
  header.setUint32(DatasetHeader.rowGroups, rowGroups, true);
  header.setUint32(DatasetHeader.rowGroupRowsMax, BLOCK_BYTES, true);
  const region = await queue.acquire(BLOCK_BYTES);
  for (let group = 0; group < rowGroups; group++) {
    await send({ kind: 'extent', id: group, blocks: 1 });
    const answer = await nextMessage();
    if (answer.kind !== 'extent') return void (await send({ kind: 'error', code: 'MR_NO_SPACE', detail: 'refused' }));
    const part = values.subarray(group * BLOCK_BYTES, (group + 1) * BLOCK_BYTES);
    region.view.set(part);
    await queue.writeBlocks(answer.slba, 1, region);
    const record = new DataView(layout.buffer, DatasetHeader.bytes + group * ChunkRecord.bytes);
    record.setBigUint64(ChunkRecord.slba, BigInt(answer.slba), true);
    record.setBigUint64(ChunkRecord.usedBytes, BigInt(part.byteLength), true);
    record.setUint32(ChunkRecord.crc32c, native().crc32c(part), true);
    record.setUint32(ChunkRecord.rows, part.byteLength, true);
    record.setUint32(ChunkRecord.dataBytes, part.byteLength, true);
  }
  await queue.flush();
  const columns: DatasetColumnInfo[] = [{ name: 'v', type: { kind: 'int8' }, physical: 'i8', nullable: false, nullCount: 0 }];
  await send({ kind: 'done', rows: values.byteLength, rowGroups, columns, layout });
  queue.close();
  process.disconnect();
}

process.once('disconnect', () => process.exit(0));
process.once('message', (start: Extract<ToIngest, { kind: 'start' }>) =>
  void run(start).catch((error: { code?: string; message: string }) => send({ kind: 'error', code: error.code ?? 'MR_INGEST_FAILED', detail: error.message })),
);
