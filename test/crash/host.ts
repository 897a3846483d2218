// A process with a device and a dataset store, made to be killed: reports what it finds, then works through its lanes.
import { createHash } from 'node:crypto';
import { readdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { chunksOf, splitLayout } from '../../daemon/datasets/layout.js';
import { Media } from '../../daemon/datasets/media.js';
import { DatasetStore } from '../../daemon/datasets/store.js';
import { native, packageRoot } from '../../native/index.js';
import { CommandQueue } from '../../native/queue.js';
import { invariant, MillraceError } from '../../pushdown/types/error.js';
import type { Found, HostLine, HostOptions, Operation } from './host-protocol.js';

const options = JSON.parse(process.argv[2]) as HostOptions;
// Synchronously: a line a killed process did not get out never happened for the test.
const say = (line: HostLine) => void writeSync(1, `${JSON.stringify(line)}\n`);

const node = process.execPath;
const socketPath = join(options.dir, 'device.sock');
const device = native().openDevice({
  backingFile: join(options.dir, 'namespace-1'), capacityBytes: options.capacityBytes, slmBytes: 16 << 20, ioThreads: 1, slots: 0, socketPath,
  slotNode: node, slotScript: join(packageRoot, 'dist/daemon/slots/slot-main.js'), slotLauncher: join(packageRoot, 'build/Release/slot_launcher'),
  slotHeapBytesMax: 64 << 20, morselDeadlineMs: 10_000,
});
const store = await DatasetStore.open(options.dir, device, { capacityBytes: options.capacityBytes, socketPath, node, rowGroupRows: 4096, ...(options.ingestScript ? { ingestScript: options.ingestScript } : {}), ingestMemoryBytes: 128 << 20, ingestThreads: 1 });

async function find(): Promise<Found[]> {
  const queue = new CommandQueue(device.attach({ dataBytes: 4 << 20, entries: 16 }), { entries: 16 });
  const media = new Media(queue);
  const found: Found[] = [];
  for (const { name, columns } of store.list()) {
    const layout = splitLayout(store.layout(name), columns);
    invariant(typeof layout !== 'string', 'a published layout can be split');
    const hash = createHash('sha256').update(JSON.stringify(columns));
    let damagedChunks = 0;
    for (const { chunk } of chunksOf(layout)) {
      try {
        hash.update(await media.read(chunk, name));
      } catch (error) {
        if (!(error instanceof MillraceError && error.code === 'MR_CHECKSUM_MISMATCH')) throw error;
        damagedChunks++;
      }
    }
    found.push({ name, digest: hash.digest('hex'), damagedChunks });
  }
  queue.close();
  return found;
}

const storedBytes = () => store.list().reduce((sum, info) => sum + info.storedBytes, 0);

/** Rows of every name that a plain load of a file gave. */
const rowsOfVariants = options.rowsOfVariants ?? [];
const appendable = (name: string): boolean => store.list().some((info) => info.name === name && rowsOfVariants.includes(info.rows));

async function perform(planned: Operation): Promise<void> {
  const operation: Operation = planned.kind === 'append' && !appendable(planned.name) ? { ...planned, kind: 'put' } : planned;
  say({ kind: 'begin', operation });
  try {
    if (operation.kind === 'append') await store.put(operation.name, options.variants[operation.variant], { format: 'parquet', append: true });
    else if (operation.kind === 'put') await store.put(operation.name, options.variants[operation.variant], { format: 'parquet', replace: true });
    else await store.remove(operation.name);
    say({ kind: 'end', operation });
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    say({ kind: 'end', operation, code: error.code });
  }
}

say({ kind: 'found', datasets: await find(), ...store.usage, storedBytes: storedBytes(), files: readdirSync(store.uploadDir) });
await Promise.all(
  options.lanes.map(async (lane) => {
    for (const operation of lane) await perform(operation);
  }),
);
for (let attempt = 1; ; attempt++) {
  try {
    await store.drained();
    break;
  } catch (error) {
    // The disk is still full; each attempt is a few calls nearer to the end of that.
    if (!(error instanceof MillraceError && error.code === 'MR_NO_SPACE' && attempt < 50)) throw error;
  }
}
say({ kind: 'idle', freeBytes: store.usage.freeBytes, storedBytes: storedBytes() });
await store.close();
await device.close();
process.exit(0);
