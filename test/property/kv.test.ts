// Random KV commands against a Map, many at once, with restarts of the device between.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { native } from '../../native/index.js';
import { kvDelete, kvExists, kvFlush, kvList, kvRetrieve, kvStore } from '../../native/kv-commands.js';
import { CommandQueue } from '../../native/queue.js';

const isLong = process.env.MILLRACE_TEST === 'long';

const key = fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 2 }).map((bytes) => bytes.map((b) => (b % 3) * 100)), fc.uint8Array({ minLength: 1, maxLength: 16 }));
const operation = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('store' as const), key, bytes: fc.oneof(fc.nat(64), fc.nat(20_000), fc.nat(200_000)), fill: fc.nat(255), when: fc.constantFrom(undefined, 'ifExists' as const, 'ifAbsent' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), key }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('retrieve' as const), key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('list' as const), key }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
);

it('a KV namespace equals a map, whatever runs at once and however often it is opened again', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 60 }), async (operations) => {
      const dir = mkdtempSync(join(tmpdir(), 'millrace-kv-'));
      const open = () => {
        const device = native().openDevice({
          backingFile: join(dir, 'nvm'), capacityBytes: 16 << 20, kvFile: join(dir, 'kv'), kvBytes: 64 << 20, slmBytes: 16 << 20, ioThreads: 1, slots: 0,
          slotNode: '', slotScript: '', slotLauncher: '', slotHeapBytesMax: 0, morselDeadlineMs: 1000,
        });
        return { device, queue: new CommandQueue(device.attach({ dataBytes: 8 << 20, entries: 64 }), { entries: 64 }) };
      };
      let { device, queue } = open();
      try {
        const model = new Map<string, Uint8Array>();
        const name = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');
        const checks: Promise<void>[] = [];
        const underWay = new Set<string>();
        const sorted = () => [...model.keys()].sort((a, b) => Buffer.compare(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1')));
        for (const op of operations) {
          if (op.kind === 'restart') {
            await Promise.all(checks.splice(0));
            queue.close();
            await device.close();
            ({ device, queue } = open());
            continue;
          }
          const at = name(op.key);
          // Commands under way have no order: of one key there is one at a time.
          if (underWay.has(at) || (op.kind !== 'store' && op.kind !== 'delete')) {
            await Promise.all(checks.splice(0));
            underWay.clear();
          }
          if (op.kind === 'store') {
            const expected = !(op.when === 'ifExists' && !model.has(at)) && !(op.when === 'ifAbsent' && model.has(at));
            const value = new Uint8Array(op.bytes).fill(op.fill);
            if (expected) model.set(at, value);
            underWay.add(at);
            checks.push(kvStore(queue, op.key, value, op.when).then((stored) => expect(stored).toBe(expected)));
          } else if (op.kind === 'delete') {
            const expected = model.delete(at);
            underWay.add(at);
            checks.push(kvDelete(queue, op.key).then((deleted) => expect(deleted).toBe(expected)));
          } else if (op.kind === 'retrieve') {
            const value = await kvRetrieve(queue, op.key);
            expect(value === undefined).toBe(!model.has(at));
            if (value) expect(Buffer.compare(value, model.get(at) ?? new Uint8Array(0))).toBe(0);
            expect(await kvExists(queue, op.key)).toBe(model.has(at));
          } else {
            const keys = (await kvList(queue, op.key, 4 + 20 * 64)).map(name);
            const from = sorted().filter((k) => Buffer.compare(Buffer.from(k, 'latin1'), op.key) >= 0);
            expect(keys).toEqual(from.slice(0, keys.length));
            expect(keys.length >= Math.min(64, from.length)).toBe(true);
          }
        }
        await Promise.all(checks);
        await kvFlush(queue);
        expect((await kvList(queue, new Uint8Array(0), 1 << 20)).map(name)).toEqual(sorted());
        expect(device.stats().kv?.usedBytes).toBe([...model].reduce((sum, [k, v]) => sum + k.length + v.length, 0));
      } finally {
        queue.close();
        await device.close();
        rmSync(dir, { recursive: true });
      }
    }),
    { numRuns: isLong ? 400 : 25, ...(isLong ? {} : { seed: 20_261_125 }) },
  );
});
