import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type NativeDevice, type NativeQueue, native, packageRoot } from '../../native/index.js';
import { CommandQueue } from '../../native/queue.js';
import { Nsid, Opcode, Sqe, Status } from '../../pushdown/runtime/wire.gen.js';

let dir: string;
let device: NativeDevice;
let socketPath: string;
const events: string[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-queue-'));
  socketPath = join(dir, 'device.sock');
  device = native().openDevice({
    backingFile: join(dir, 'nvm'), capacityBytes: 64 << 20, slmBytes: 16 << 20, ioThreads: 2, slots: 0, socketPath,
    slotNode: '', slotScript: '', slotLauncher: '', slotHeapBytesMax: 0, morselDeadlineMs: 1000,
  });
  events.length = 0;
  device.onEvent((e) => events.push(`${e.kind}: ${e.detail}`));
});
afterEach(async () => {
  await device.close();
  rmSync(dir, { recursive: true });
});

const inProcess = (entries = 64, dataBytes = 8 << 20) => new CommandQueue(device.attach({ dataBytes, entries }), { entries });
const local = (ticket?: string, entries = 64, dataBytes = 8 << 20) => new CommandQueue(native().attachDevice(socketPath, { dataBytes, entries, ...(ticket ? { ticket } : {}) }), { entries });
const until = async (what: () => boolean) => {
  while (!what()) await new Promise((resolve) => setImmediate(resolve));
};

async function roundTrip(writer: CommandQueue, reader: CommandQueue, slba: number, blocks: number): Promise<void> {
  const out = await writer.acquire(blocks * 4096);
  const back = await reader.acquire(blocks * 4096);
  for (let i = 0; i < out.bytes; i++) out.view[i] = (i * 31 + slba) & 255;
  await writer.writeBlocks(slba, blocks, out);
  await writer.flush();
  back.view.fill(0);
  await reader.readBlocks(slba, blocks, back);
  expect(Buffer.compare(out.view, back.view)).toBe(0);
  writer.release(out);
  reader.release(back);
}

describe('a command queue', () => {
  it('writes and reads in process, also past one transfer', async () => {
    const queue = inProcess();
    await roundTrip(queue, queue, 5, 1);
    await roundTrip(queue, queue, 100, 900);
    queue.close();
  });

  it('runs more commands at once than the ring has entries', async () => {
    const queue = inProcess(16);
    const region = await queue.acquire(4096);
    await Promise.all(Array.from({ length: 500 }, (_, i) => queue.readBlocks(i, 1, region)));
    expect(device.stats().commands['daemon/Read']).toBe(500);
    expect(device.stats().mediaReadBytes).toBe(500 * 4096);
    queue.close();
  });

  it('serves a local client through the socket, which is its owner\'s alone', async () => {
    expect(statSync(socketPath).mode & 0o777).toBe(0o600);
    const ticket = device.grantTicket([{ slba: 8, blocks: 8 }]);
    const writer = local(ticket);
    await roundTrip(writer, inProcess(), 8, 8);
    writer.close();
  });

  it('lets a client write only what its ticket grants, and only once per ticket', async () => {
    const ticket = device.grantTicket([{ slba: 8, blocks: 8 }]);
    const writer = local(ticket);
    const region = await writer.acquire(16 * 4096);
    await expect(writer.writeBlocks(15, 2, region)).rejects.toMatchObject({ code: 'MR_WRITE_PROTECTED' });
    device.extendTicket(ticket, [{ slba: 16, blocks: 8 }]);
    await writer.writeBlocks(15, 2, region);
    device.revokeTicket(ticket);
    await expect(writer.writeBlocks(8, 1, region)).rejects.toMatchObject({ code: 'MR_WRITE_PROTECTED' });
    expect(() => local(ticket)).toThrow(expect.objectContaining({ code: 'MR_ATTACH_TICKET' }));
    const reader = local();
    const other = await reader.acquire(4096);
    await expect(reader.writeBlocks(0, 1, other)).rejects.toMatchObject({ code: 'MR_WRITE_PROTECTED' });
    await expect(reader.readBlocks(64 << 8, 1, other)).rejects.toMatchObject({ code: 'MR_LBA_RANGE' });
    writer.close();
    reader.close();
  });

  it('frees an association when its process dies, and others go on', async () => {
    const script = `
      import { native } from ${JSON.stringify(join(packageRoot, 'dist/native/index.js'))};
      import { CommandQueue } from ${JSON.stringify(join(packageRoot, 'dist/native/queue.js'))};
      const queue = new CommandQueue(native().attachDevice(process.argv[1], { dataBytes: 1 << 20, entries: 16, ticket: process.argv[2] }), { entries: 16 });
      const region = await queue.acquire(4096);
      region.view.fill(7);
      await queue.writeBlocks(3, 1, region);
      await queue.flush();
      process.kill(process.pid, 'SIGKILL');`;
    const ticket = device.grantTicket([{ slba: 3, blocks: 1 }]);
    const { signal, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script, socketPath, ticket], { encoding: 'utf8' });
    expect({ signal, stderr }).toEqual({ signal: 'SIGKILL', stderr: '' });
    const queue = inProcess();
    const region = await queue.acquire(4096);
    await queue.readBlocks(3, 1, region);
    expect(region.view.every((b) => b === 7)).toBe(true);
    await until(() => device.stats().associations === 1);
    queue.close();
  });

  it('tells a client when the device closes', async () => {
    const client = local();
    const closed = new Promise<string>((resolve) => client.onClose(resolve));
    await device.close();
    expect(await closed).toContain('closed');
    await expect(client.flush()).rejects.toMatchObject({ code: 'MR_ASSOCIATION_LOST' });
    device = native().openDevice({
      backingFile: join(dir, 'nvm'), capacityBytes: 64 << 20, slmBytes: 16 << 20, ioThreads: 1, slots: 0,
      slotNode: '', slotScript: '', slotLauncher: '', slotHeapBytesMax: 0, morselDeadlineMs: 1000,
    });
  });

  it('holds an aborted command\'s region until the device is done with it', async () => {
    const queue = inProcess(16, 64 << 10);
    const abort = new AbortController();
    const region = await queue.acquire(64 << 10);
    const read = queue.readBlocks(0, 16, region, abort.signal);
    abort.abort();
    await expect(read).rejects.toMatchObject({ name: 'AbortError' });
    queue.release(region);
    const again = await queue.acquire(64 << 10);
    expect(device.stats().commands['daemon/Read']).toBe(1);
    queue.release(again);
    await expect(queue.acquire(1 << 20)).rejects.toMatchObject({ code: 'MR_REGION_TOO_LARGE' });
    queue.close();
  });

  it('refuses attachments out of bounds', () => {
    for (const options of [{ dataBytes: 1 << 20, entries: 17 }, { dataBytes: 1, entries: 16 }, { dataBytes: 2 ** 40, entries: 16 }, { dataBytes: 1 << 20, entries: 1 << 20 }])
      expect(() => native().attachDevice(socketPath, options)).toThrow(expect.objectContaining({ code: 'MR_ATTACH_INVALID' }));
    expect(() => native().attachDevice(join(dir, 'nobody'), { dataBytes: 1 << 20, entries: 16 })).toThrow(expect.objectContaining({ code: 'MR_ATTACH_CONNECT' }));
  });
});

describe('a hostile client', () => {
  interface Raw { queueId?: number; opc: number; nsid?: number; prp1?: bigint; prp2?: bigint; cdw?: readonly number[] }
  const run = async (queue: NativeQueue, commands: readonly Raw[]): Promise<number[]> => {
    const statuses = new Array<number>(commands.length).fill(-1);
    let left = commands.length;
    const done = new Promise<void>((resolve) =>
      queue.onCompletion((cqes, count) => {
        const view = new DataView(cqes.buffer, cqes.byteOffset);
        for (let i = 0; i < count; i++) statuses[view.getUint16(i * 16 + 12, true)] = (view.getUint16(i * 16 + 14, true) >>> 1) & 0x7ff;
        if ((left -= count) === 0) resolve();
      }),
    );
    commands.forEach((c, cid) => {
      const bytes = new Uint8Array(Sqe.bytes);
      const view = new DataView(bytes.buffer);
      view.setUint8(Sqe.opc, c.opc);
      view.setUint16(Sqe.cid, cid, true);
      view.setUint32(Sqe.nsid, c.nsid ?? 0, true);
      view.setBigUint64(Sqe.prp1, c.prp1 ?? 0n, true);
      view.setBigUint64(Sqe.prp2, c.prp2 ?? 0n, true);
      for (const [i, w] of (c.cdw ?? []).entries()) view.setUint32(Sqe.cdw10 + 4 * i, w, true);
      expect(queue.submit(c.queueId ?? 1, bytes, 1)).toBe(1);
    });
    queue.ref(true);
    await done;
    return statuses;
  };

  it('gets a status for every wrong field', async () => {
    const queue = native().attachDevice(socketPath, { dataBytes: 64 << 10, entries: 64 });
    const read = { opc: Opcode.Read, nsid: Nsid.Nvm, cdw: [0, 0, 0] };
    expect(
      await run(queue, [
        { ...read, prp1: 0n, prp2: 4096n },
        { ...read, prp1: 61441n, prp2: 4096n },
        { ...read, prp1: 0xffff_ffff_ffff_f000n, prp2: 8192n },
        { ...read, prp1: 0n, prp2: 0xffff_ffff_ffff_ffffn },
        { ...read, prp1: 0n, prp2: 4095n },
        { ...read, prp1: 0n, prp2: 4096n, cdw: [0xffffffff, 0xffffffff, 0xffff] },
        { ...read, nsid: 9, prp2: 4096n },
        { opc: 0x7f, nsid: Nsid.Compute },
        { opc: Opcode.DatasetLayout, nsid: Nsid.Compute, cdw: [77, 0] },
        { queueId: 0, opc: Opcode.AdminActivateProgram, nsid: Nsid.Compute, cdw: [99 | (1 << 16)] },
        { queueId: 0, opc: Opcode.AdminActivateProgram, nsid: Nsid.Compute, cdw: [1 | (1 << 16)] },
        { queueId: 0, opc: Opcode.AdminLoadProgram, nsid: Nsid.Compute, cdw: [1, 0xffffffff, 0, 0, 0xffffffff, 0], prp2: 4096n },
        { queueId: 0, opc: Opcode.AdminLoadProgram, nsid: Nsid.Compute, cdw: [1, 16, 0, 0, 8, 8], prp2: 4096n },
      ]),
    ).toEqual([
      Status.Success, Status.InvalidField, Status.InvalidField, Status.InvalidField, Status.DataSglLengthInvalid, Status.LbaOutOfRange, Status.InvalidNamespace, Status.InvalidOpcode,
      Status.NoSuchDataset, Status.InvalidProgramIndex, Status.NoProgram, Status.ProgramTooBig, Status.CommandSequenceError,
    ]);
    queue.close();
    expect(events).toEqual([]);
  });
});
