// A process with a device and its key/value namespace, made to be killed: reports every key it finds, then stores, deletes and flushes.
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { native } from '../../native/index.js';
import { kvDelete, kvFlush, kvList, kvRetrieve, kvStore } from '../../native/kv-commands.js';
import { CommandQueue } from '../../native/queue.js';
import { contentOf, type KvHostOptions, type KvLine, valueBytes } from './kv-model.js';

const { dir, lanes } = JSON.parse(process.argv[2]) as KvHostOptions;
const say = (line: KvLine) => void writeSync(1, `${JSON.stringify(line)}\n`);
const device = native().openDevice({
  backingFile: join(dir, 'nvm'), capacityBytes: 1 << 20, kvFile: join(dir, 'kv'), kvBytes: 64 << 20, slmBytes: 16 << 20, ioThreads: 1, slots: 0,
  slotNode: '', slotScript: '', slotLauncher: '', slotHeapBytesMax: 0, morselDeadlineMs: 1000,
});
const queue = new CommandQueue(device.attach({ dataBytes: 16 << 20, entries: 64 }), { entries: 64 });
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');

const found: [string, number][] = [];
for (const key of await kvList(queue, new Uint8Array(0), 1 << 20)) found.push([text(key), contentOf(text(key), await kvRetrieve(queue, key))]);
say({ kind: 'found', keys: found, usedBytes: device.stats().kv?.usedBytes ?? -1 });
await Promise.all(
  lanes.map(async (lane) => {
    for (const step of lane) {
      say({ kind: 'begin', step });
      if (step.kind === 'flush') await kvFlush(queue);
      else if (step.kind === 'delete') await kvDelete(queue, Buffer.from(step.key, 'latin1'));
      else await kvStore(queue, Buffer.from(step.key, 'latin1'), valueBytes(step.key, step.content));
      say({ kind: 'end', step });
    }
  }),
);
queue.close();
await device.close();
process.exit(0);
