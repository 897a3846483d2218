// An ingest child that was taken over by the file it parsed. What it tries is named by the path it is told to load.
import { native } from '../../native/index.js';
import { BLOCK_BYTES, CommandQueue } from '../../native/queue.js';
import { Nsid, Opcode } from '../../pushdown/runtime/wire.gen.js';
import { ChunkRecord, DatasetHeader } from '../../pushdown/runtime/wire.gen.js';
import type { DatasetColumnInfo } from '../../pushdown/types/dataset-info.js';
import type { FromIngest, ToIngest } from '../../daemon/ingest/protocol.js';

type Start = Extract<ToIngest, { kind: 'start' }>;
type Extent = Extract<ToIngest, { kind: 'extent' }>;

const columns: DatasetColumnInfo[] = [{ name: 'v', type: { kind: 'int64' }, physical: 'i8', nullable: false, nullCount: 0 }];
const rows = 100;
const send = (message: FromIngest) => new Promise<void>((resolve) => void process.send?.(message, () => resolve()));
const nextMessage = () => new Promise<ToIngest>((resolve) => void process.once('message', resolve));

function layoutOf(slba: number, crc32c: number): Uint8Array {
  const layout = new Uint8Array(DatasetHeader.bytes + ChunkRecord.bytes);
  const header = new DataView(layout.buffer);
  header.setUint32(DatasetHeader.columns, 1, true);
  header.setUint32(DatasetHeader.rowGroups, 1, true);
  header.setUint32(DatasetHeader.rowGroupRowsMax, rows, true);
  const record = new DataView(layout.buffer, DatasetHeader.bytes);
  record.setBigUint64(ChunkRecord.slba, BigInt(slba), true);
  record.setBigUint64(ChunkRecord.usedBytes, BigInt(rows), true);
  record.setUint32(ChunkRecord.crc32c, crc32c, true);
  record.setUint32(ChunkRecord.rows, rows, true);
  record.setUint32(ChunkRecord.dataBytes, rows, true);
  return layout;
}

async function run(start: Start): Promise<void> {
  const lie = start.paths[0] ?? '';
  if (lie === 'dies') process.exit(3);
  if (lie === 'hangs') return void setInterval(() => undefined, 1000);
  if (lie === 'babbles') return void (await send({ kind: 'gibberish' } as unknown as FromIngest));
  if (lie === 'wants too much') return void (await send({ kind: 'extent', id: 1, blocks: 2 ** 40 }));
  if (lie === 'finds its file broken') return void (await send({ kind: 'error', code: 'MR_FILE_INVALID', detail: 'not a Parquet file' }));

  const queue = new CommandQueue(native().attachDevice(start.socketPath, { ticket: start.ticket, dataBytes: 1 << 20, entries: 16 }), { entries: 16 });
  await send({ kind: 'extent', id: 1, blocks: lie === 'wants more than there is' ? 2 ** 20 : 2 });
  const answer = await nextMessage();
  if (answer.kind === 'refused') return void (await send({ kind: 'error', code: answer.code, detail: answer.detail }));
  const extent = answer as Extent;
  const region = await queue.acquire(BLOCK_BYTES);
  region.view.fill(7);
  await queue.writeBlocks(extent.slba, 1, region);
  await queue.flush();
  const crc = native().crc32c(region.view.subarray(0, rows));

  if (lie === 'writes until it is killed') {
    await send({ kind: 'progress', rows: 1 });
    region.view.fill(0xee);
    for (;;) await Promise.all(Array.from({ length: 16 }, () => queue.writeBlocks(extent.slba, 1, region)));
  }
  if (lie === 'writes elsewhere') {
    // Reports the status it got instead of a layout, so the test can see it.
    const { status } = await queue.send(1, { opc: Opcode.Write, nsid: Nsid.Nvm, cdw10: extent.slba + extent.blocks, cdw12: 0 }, region);
    return void (await send({ kind: 'error', code: status === 0 ? 'MR_WROTE_ELSEWHERE' : 'MR_WRITE_REFUSED', detail: `status ${status}` }));
  }
  const slba = lie === 'names blocks of others' ? extent.slba + extent.blocks : extent.slba;
  const claimed = lie === 'claims other rows' ? rows + 1 : rows;
  const layout = layoutOf(slba, crc);
  if (start.extend && lie !== 'answers as if it was to load') {
    const twice = lie === 'brings other columns' ? [...columns, ...columns] : columns;
    await send({ kind: 'extended', rows: claimed, rowGroups: lie === 'counts other row groups' ? 2 : 1, columns: twice, rewritten: lie === 'brings a dictionary for numbers' ? [0] : lie === 'brings a dictionary for no column' ? [7] : [], layout });
  } else await send({ kind: 'done', rows: claimed, rowGroups: 1, columns, layout: lie === 'sends half a layout' ? layout.subarray(0, 100) : layout });
  if (lie === 'stays after it is done') return void setInterval(() => undefined, 1000);
  queue.close();
  process.disconnect();
}

process.once('disconnect', () => process.exit(1));
process.once('message', (start: Start) => void run(start));
