// A kernel that keeps its state, through the client library: at the device, here, and moved between the two in the middle, the same bytes.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, connect, type KernelStream, type StreamOutput } from '../../clients/node/index.js';
import { Random } from '../differential/random.js';
import { statefulKernel } from '../kernels/stateful.js';
import { kernel, sumParts } from '../kernels/wat.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';

const rows = 200_000;
let daemon: DaemonProcess;
const clients = new Map<string, Client>();

beforeAll(async () => {
  daemon = await startDaemonProcess({ args: ['--row-group-rows', '8192', '--slot-heap-bytes-max', String(16 << 20)] });
  for (const transport of ['http', 'shm'] as const) clients.set(transport, await connect({ url: daemon.url, transport }));
  const r = new Random(5);
  // The whole range, so that they are stored as i32: what these kernels take.
  const text = ['x', -(2 ** 31), 2 ** 31 - 1, ...Array.from({ length: rows }, () => r.u32() | 0)].join('\n');
  await clients.get('http')!.put('numbers', new TextEncoder().encode(text), { format: 'csv' });
});
afterAll(async () => {
  for (const client of clients.values()) await client.close();
  await daemon.dispose();
});

const hex = ({ rowGroup, batch }: StreamOutput): string => `${rowGroup}: ${Buffer.from(batch.data[0]!.data).toString('hex')}`;
async function all(stream: KernelStream, each: (output: StreamOutput, n: number) => void = () => undefined): Promise<{ outputs: string[]; places: Set<string> }> {
  const outputs: string[] = [];
  const places = new Set<string>();
  for await (const output of stream) {
    outputs.push(hex(output));
    places.add(output.place);
    each(output, outputs.length);
  }
  return { outputs, places };
}

describe.each(['http', 'shm'])('over %s', (transport) => {
  it('puts out the same wherever it runs and however often it moves', async () => {
    const client = clients.get(transport)!;
    const { rowGroups } = await client.info('numbers');
    expect(rowGroups).toBeGreaterThan(20);
    for (const seed of [1]) {
      const wasm = await statefulKernel(new Random(seed));
      const stream = (place: 'device' | 'host') => client.kernelStream('numbers', wasm, { columns: ['x'], place });
      const device = await all(stream('device'));
      expect([...device.places]).toEqual(['device']);
      expect(device.outputs.length).toBeGreaterThanOrEqual(rowGroups);
      const host = await all(stream('host'));
      expect([...host.places]).toEqual(['host']);
      expect(host.outputs).toEqual(device.outputs);
      for (const begin of ['device', 'host'] as const) {
        const moving = stream(begin);
        const moved = await all(moving, ({ place }, n) => { if (n % 7 === 0) moving.moveTo(place === 'host' ? 'device' : 'host'); });
        expect(moved.outputs).toEqual(device.outputs);
        // From the device it may have run through before its move; test/property/stream-moves.test.ts makes sure of that way.
        if (begin === 'host') expect([...moved.places].sort()).toEqual(['device', 'host']);
      }
    }
  });

  it('names the kernel when it faults, at either place, and ends when its reader leaves', async () => {
    const client = clients.get(transport)!;
    const trap = await kernel({ ...sumParts, process: 'unreachable' });
    for (const place of ['device', 'host'] as const) await expect(all(client.kernelStream('numbers', trap, { columns: ['x'], place }))).rejects.toMatchObject({ code: 'MR_KERNEL_TRAP_UNREACHABLE' });
    await expect(all(client.kernelStream('numbers', trap, { columns: ['y'] }))).rejects.toMatchObject({ code: 'MR_COLUMN_NOT_FOUND' });
    const left = client.kernelStream('numbers', await statefulKernel(new Random(3)), { columns: ['x'] });
    for await (const _ of left) break;
    await expect(all(left)).rejects.toMatchObject({ code: 'MR_STREAM_STATE' });
    const { device } = (await client.status()) as { device: { scansOpen: number } };
    expect(device.scansOpen).toBe(0);
  });
});

it('over REST, what is no checkpoint is refused in words, and the daemon goes on', async () => {
  const wasm = await statefulKernel(new Random(4));
  const url = (path: string) => `${daemon.url}${path}`;
  const { program } = (await (await fetch(url('/v1/programs'), { method: 'POST', body: wasm, headers: { 'content-type': 'application/wasm' } })).json()) as { program: number };
  const open = async (more: object) => fetch(url('/v1/scans'), { method: 'POST', body: JSON.stringify({ dataset: 'numbers', program, columns: [0], rowGroups: [0, 1, 2], deviceRuns: true, ...more }), headers: { 'content-type': 'application/json' } });
  expect((await (await open({ stream: 'held', limitRows: 3 })).json()) as object).toMatchObject({ code: 'MR_REQUEST_INVALID', field: 'stream' });
  const { scan } = (await (await open({ stream: 'held' })).json()) as { scan: number };
  const restore = async (body: Uint8Array<ArrayBuffer>, morsel: number) => (await (await fetch(url(`/v1/scans/${scan}/restore?morsel=${morsel}`), { method: 'POST', body, headers: { 'content-type': 'application/octet-stream' } })).json()) as object;
  expect(await restore(Uint8Array.of(1, 2, 3), 0)).toMatchObject({ code: 'MR_CHECKPOINT_INVALID', status: 400 });
  const good = new Uint8Array(await (await fetch(url(`/v1/scans/${scan}/checkpoint`), { method: 'POST' })).arrayBuffer());
  expect(good.length).toBeGreaterThan(192);
  expect(await restore(good, 2)).toMatchObject({ code: 'MR_CHECKPOINT_MISMATCH', status: 409 });
  expect(await restore(new Uint8Array((64 << 20) + 1), 0)).toMatchObject({ code: 'MR_CHECKPOINT_TOO_BIG', status: 413 });
  await fetch(url(`/v1/scans/${scan}`), { method: 'DELETE' });
  expect((await fetch(url('/v1/status'))).status).toBe(200);
});
