// Scans over the real device: who gets which morsel, what is counted, what waits for whom.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { claimMorsels, closeScan, finishMorsels, loadProgram, openScan, returnMorsels, scanResult } from '../../native/scan-commands.js';
import { readFrames } from '../../pushdown/runtime/frame-read.js';
import { FrameKind, ScanFlag } from '../../pushdown/runtime/wire.gen.js';
import { SlotDevice } from '../device/slot-device.js';
import { echoParts, kernel, sumParts } from '../kernels/wat.js';

const groups = 64;
const rows = 3000;
const columns = Array.from({ length: groups }, (_, g) => Int32Array.from({ length: rows }, (_, i) => g * 7 + i));
const sums = columns.map((c) => c.reduce((s, v) => s + BigInt(v), 0n));
const everyGroup = Array.from({ length: groups }, (_, g) => g);
let device: SlotDevice;
let handle: number;

beforeAll(async () => {
  device = new SlotDevice();
  handle = await device.putColumn(columns);
  await loadProgram(device.queue, 0, await kernel(sumParts));
  await loadProgram(device.queue, 1, await kernel(echoParts(['i'])));
  await device.ready();
});
afterAll(() => device.close());

/** Fetches frames until the end; gives what `each` makes of every result frame, by morsel. */
async function fetchAll<T>(scan: number, regionBytes: number, each: (buffers: readonly Uint8Array[]) => T): Promise<Map<number, T[]>> {
  const region = await device.queue.acquire(regionBytes);
  const seen = new Map<number, T[]>();
  for (let end = false; !end; ) {
    const answer = await scanResult(device.queue, scan, region);
    end = answer.end;
    for (const frame of readFrames(region.view.subarray(0, answer.bytes)).frames) {
      expect(frame.kind === FrameKind.Result || frame.kind === FrameKind.End).toBe(true);
      if (frame.kind === FrameKind.Result) seen.set(frame.morsel, [...(seen.get(frame.morsel) ?? []), each(frame.buffers)]);
    }
  }
  device.queue.release(region);
  return seen;
}
const sumOf = (buffers: readonly Uint8Array[]) => new DataView(buffers[1].slice().buffer).getBigInt64(0, true);

it('always: slots run every morsel and no chunk leaves the device', async () => {
  const before = device.device.stats();
  const scan = await openScan(device.queue, { datasetHandle: handle, program: 0, flags: ScanFlag.DeviceRuns, columns: [0], rowGroups: everyGroup });
  const seen = await fetchAll(scan, 1 << 20, sumOf);
  expect([...seen].sort(([a], [b]) => a - b).map(([, values]) => values)).toEqual(sums.map((s) => [s]));
  await closeScan(device.queue, scan);
  const after = device.device.stats();
  expect(after.executes - before.executes).toBe(groups);
  expect(after.chunkBytes).toBe(before.chunkBytes);
  expect(after.resultBytes - before.resultBytes).toBeGreaterThan(groups * 64);
  expect(after.commands['slot/Execute'] - (before.commands['slot/Execute'] ?? 0)).toBe(groups);
});

it('never: nothing executes, and exactly the chunks asked for leave the device', async () => {
  const before = device.device.stats();
  const scan = await openScan(device.queue, { datasetHandle: handle, flags: 0, columns: [0], rowGroups: everyGroup });
  const claimed: number[] = [];
  for (let run = await claimMorsels(device.queue, scan, 8); run.length > 0; run = await claimMorsels(device.queue, scan, 8)) claimed.push(...run);
  expect(claimed).toEqual(everyGroup);
  const blocks = Math.ceil((rows * 4) / 4096);
  const region = await device.queue.acquire(blocks * 4096);
  for (const morsel of claimed.slice(0, 10)) await device.queue.readBlocks(morsel * blocks, blocks, region);
  expect(Buffer.compare(region.view.subarray(0, rows * 4), new Uint8Array(columns[9].buffer))).toBe(0);
  device.queue.release(region);
  await finishMorsels(device.queue, scan, claimed);
  expect(await fetchAll(scan, 4096, sumOf)).toEqual(new Map());
  await closeScan(device.queue, scan);
  const after = device.device.stats();
  expect(after.executes).toBe(before.executes);
  expect(after.chunkBytes - before.chunkBytes).toBe(10 * blocks * 4096);
});

it('auto: each morsel is the host\'s or a slot\'s, also when claims come back', async () => {
  const scan = await openScan(device.queue, { datasetHandle: handle, program: 0, flags: ScanFlag.DeviceRuns, columns: [0], rowGroups: everyGroup });
  const host: number[] = [];
  const [seen] = await Promise.all([
    fetchAll(scan, 1 << 16, sumOf),
    (async () => {
      for (let run = await claimMorsels(device.queue, scan, 8); run.length > 0; run = await claimMorsels(device.queue, scan, 8)) {
        const back = run.length === 8 ? 3 : 0;
        await returnMorsels(device.queue, scan, run.subarray(0, back));
        await finishMorsels(device.queue, scan, run.subarray(back));
        host.push(...run.subarray(back));
      }
    })(),
  ]);
  // What was returned after the slots had ended is the host's to claim; the loop above went on until nothing was left.
  expect([...seen.keys(), ...host].sort((a, b) => a - b)).toEqual(everyGroup);
  for (const [morsel, values] of seen) expect(values).toEqual([sums[morsel]]);
  expect(device.device.stats().claimsOpen).toBe(0);
  await closeScan(device.queue, scan);
});

it('a limit stops the slots after a prefix with enough rows', async () => {
  const before = device.device.stats().executes;
  const scan = await openScan(device.queue, { datasetHandle: handle, program: 1, flags: ScanFlag.DeviceRuns, columns: [0], rowGroups: everyGroup, limitRows: 2 * rows });
  const seen = await fetchAll(scan, 1 << 20, (buffers) => buffers[1].byteLength);
  await closeScan(device.queue, scan);
  expect(seen.has(0) && seen.has(1)).toBe(true);
  // Slots run at most eight morsels past the finished prefix.
  expect(device.device.stats().executes - before).toBeLessThanOrEqual(2 + 8);
});

it('slots wait while nobody fetches, and nothing is lost', async () => {
  const rowsLarge = 1 << 20;
  const large = await device.putColumn(Array.from({ length: 24 }, (_, g) => new Int32Array(rowsLarge).fill(g)));
  const before = device.device.stats().executes;
  const scan = await openScan(device.queue, { datasetHandle: large, program: 1, flags: ScanFlag.DeviceRuns, columns: [0], rowGroups: Array.from({ length: 24 }, (_, g) => g) });
  const ran = () => device.device.stats().executes - before;
  while (ran() < 16) await new Promise((resolve) => setImmediate(resolve));
  for (let i = 0; i < 200; i++) await device.queue.flush();
  // 64 MiB are 16 morsels; those in flight when the mark was reached come on top.
  expect(ran()).toBeLessThanOrEqual(16 + 2 * 3);
  const seen = await fetchAll(scan, 24 << 20, (buffers) => new Int32Array(buffers[1].slice().buffer));
  expect(seen.size).toBe(24);
  for (const [morsel, parts] of seen) {
    expect(parts.reduce((n, p) => n + p.length, 0)).toBe(rowsLarge);
    expect(parts.every((p) => p.every((v) => v === morsel))).toBe(true);
  }
  await closeScan(device.queue, scan);
});
