// millrace nvme ...: nvme-cli's field names, with the values the device's own pages hold.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { native } from '../../native/index.js';
import { CommandQueue } from '../../native/queue.js';
import { runCli } from './cli-process.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';

let daemon: DaemonProcess;
let socket: string;
let queue: CommandQueue;
const scratch = mkdtempSync(join(tmpdir(), 'millrace-nvme-'));
beforeAll(async () => {
  daemon = await startDaemonProcess({ args: ['--nvme-tcp', '127.0.0.1:0'] });
  socket = join(daemon.dir, 'device.sock');
  queue = new CommandQueue(native().attachDevice(socket, { dataBytes: 1 << 20, entries: 16 }), { entries: 16 });
});
afterAll(async () => {
  queue?.close();
  await daemon?.dispose();
  rmSync(scratch, { recursive: true, force: true });
});

const run = (...args: string[]) => runCli(['nvme', ...args, '--device', socket]);
async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { code, text, err } = await run(...args, '-o', 'json');
  expect([code, err]).toEqual([0, '']);
  return JSON.parse(text) as Record<string, unknown>;
}
/** An admin command's data, past the command line. */
async function page(opc: number, cdw10: number, nsid = 0, cdw11 = 0, bytes = 4096): Promise<DataView> {
  const region = await queue.acquire(bytes);
  const { status } = await queue.send(0, { opc, cdw10, nsid, cdw11 }, region);
  expect(status).toBe(0);
  const copy = region.view.slice();
  queue.release(region);
  return new DataView(copy.buffer);
}

describe('fields and values', () => {
  it('of id-ctrl', async () => {
    const view = await page(6, 1);
    const found = await json('id-ctrl');
    expect(found).toMatchObject({
      vid: view.getUint16(0, true), mn: 'Millrace', sn: Buffer.from(view.buffer, 4, 20).toString().trim(), mdts: view.getUint8(77), ver: view.getUint32(80, true), oncs: view.getUint16(520, true),
      ctratt: view.getUint32(96, true), nn: view.getUint32(516, true), vwc: view.getUint8(525), sqes: 0x66, cqes: 0x44, elpe: view.getUint8(262), tnvmcap: 0, psds: [{ max_power: 0 }],
    });
    expect(String(found.subnqn)).toMatch(/^nqn\./);
    // Names and order as nvme-cli prints them: scripts that read one read the other.
    expect(Object.keys(found).slice(0, 12)).toEqual(['vid', 'ssvid', 'sn', 'mn', 'fr', 'rab', 'ieee', 'cmic', 'mdts', 'cntlid', 'ver', 'rtd3r']);
    expect((await run('id-ctrl')).text).toMatch(/^NVME Identify Controller:\nvid {7}: 0\n.*\nmn {8}: Millrace\n/s);
  });

  it('of id-ns, by command set', async () => {
    const view = await page(6, 0, 1);
    const found = await json('id-ns');
    expect(found).toMatchObject({ nsze: Number(view.getBigUint64(0, true)), nlbaf: 0, flbas: 0, nguid: Buffer.from(view.buffer, 104, 16).toString('hex'), lbafs: [{ ms: 0, ds: 12, rp: 0, in_use: 1 }] });
    expect(await json('id-ns', '-n', '5')).toMatchObject({ csi: 1, nsze: 2 ** 30, nkvf: 0, kml: 16, vml: 2 << 20, nguid: expect.stringMatching(/^[0-9a-f]{32}$/) });
    expect(await run('id-ns', '-n', '77')).toMatchObject({ code: 4, err: expect.stringContaining('InvalidNamespace') });
  });

  it('of list and list-ns', async () => {
    const { nsid_list: ids } = (await json('list-ns')) as { nsid_list: { nsid: number }[] };
    expect(ids.map(({ nsid }) => nsid)).toEqual(expect.arrayContaining([1, 2, 3, 5]));
    const { Devices: devices } = (await json('list')) as { Devices: Record<string, unknown>[] };
    expect(Object.keys(devices[0] ?? {})).toEqual(['NameSpace', 'DevicePath', 'GenericPath', 'Firmware', 'ModelNumber', 'SerialNumber', 'UsedBytes', 'MaximumLBA', 'PhysicalSize', 'SectorSize']);
    expect(devices.find((d) => d.NameSpace === 1)).toMatchObject({ DevicePath: socket, ModelNumber: 'Millrace', SectorSize: 4096, PhysicalSize: 2 * 2 ** 30, MaximumLBA: (2 * 2 ** 30) / 4096 });
    expect(devices.find((d) => d.NameSpace === 5)).toMatchObject({ SectorSize: 0, PhysicalSize: 2 ** 30 });
    expect((await run('list')).text).toContain('Millrace');
  });

  it('of smart-log, error-log and effects-log', async () => {
    expect(await json('smart-log')).toMatchObject({ critical_warning: expect.any(Number), avail_spare: expect.any(Number), power_cycles: 1, unsafe_shutdowns: 0, media_errors: 0, thm_temp1_trans_count: 0 });
    const { errors } = (await json('error-log', '-e', '2')) as { errors: Record<string, unknown>[] };
    expect(errors.map((error) => Object.keys(error).slice(0, 8))).toEqual(new Array(2).fill(['error_count', 'sqid', 'cmdid', 'status_field', 'phase_tag', 'parm_error_location', 'lba', 'nsid']));
    const logs = (await json('effects-log')) as unknown as { command_set_identifier: number; admin_cmd_set: Record<string, number>; io_cmd_set: Record<string, number> }[];
    expect(logs.map((log) => log.command_set_identifier)).toEqual([0, 1, 3, 4]);
    expect(logs[0]?.admin_cmd_set).toMatchObject({ 'ACS_6 (Identify)': 1, 'ACS_2 (Get Log Page)': 1 });
    expect(logs[1]?.io_cmd_set).toEqual({ 'IOCS_0 (Flush)': 1, 'IOCS_1 (Store)': 3, 'IOCS_2 (Retrieve)': 1, 'IOCS_6 (List)': 1, 'IOCS_16 (Delete)': 3, 'IOCS_20 (Exist)': 1 });
  });
});

describe('commands', () => {
  it('passes any command through, data in both directions', async () => {
    const identify = await run('admin-passthru', '--opcode', '0x06', '--cdw10', '1', '--data-len', '4096', '--read', '--raw-binary');
    expect(identify.out.subarray(24, 32).toString()).toBe('Millrace');
    const file = join(scratch, 'value');
    writeFileSync(file, 'passed through');
    // Store of the key "pt": its bytes are 0x7470 in little endian.
    const store = await run('io-passthru', '--opcode', '0x01', '--namespace-id', '5', '--cdw2', '0x7470', '--cdw10', '14', '--cdw11', '2', '--data-len', '14', '--write', '--input-file', file);
    expect(store).toMatchObject({ code: 0, text: 'NVMe command result:00000000\n', err: '' });
    expect((await run('io-passthru', '--opcode', '2', '-n', '5', '--cdw2', '0x7470', '--cdw10', '64', '--cdw11', '2', '-l', '64', '-r')).text).toMatch(/^NVMe command result:0000000e\n.*\n0000: 70 61 73 73 65 64 20/);
    expect((await run('kv', 'retrieve', 'pt')).text).toBe('passed through');
    expect(await run('io-passthru', '--opcode', '0x7f', '-n', '5')).toMatchObject({ code: 4, err: expect.stringContaining('InvalidOpcode') });
  });

  it('reads blocks and says when they may not be written', async () => {
    const out = join(scratch, 'block');
    expect(await run('read', '-s', '0', '-z', '4096', '-d', out)).toMatchObject({ code: 0, err: '' });
    expect(readFileSync(out)).toHaveLength(4096);
    expect(await runCli(['nvme', 'write', '-z', '4096', '--device', socket], { input: 'x'.repeat(4096) })).toMatchObject({ code: 4, err: expect.stringContaining('NamespaceWriteProtected') });
    expect(await run('read', '-s', '0')).toMatchObject({ code: 2, err: expect.stringContaining('--data-size') });
    expect(await run('read', '-s', '-1', '-z', '4096')).toMatchObject({ code: 2 });
    expect(await run('read', '-s', String(2 ** 40), '-z', '4096')).toMatchObject({ code: 4, err: expect.stringContaining('LbaOutOfRange') });
  });

  it('stores, lists and deletes keys', async () => {
    const store = (key: string, value: string, ...more: string[]) => runCli(['nvme', 'kv', 'store', key, ...more, '--device', socket], { input: value });
    expect(await store('cli', 'one')).toMatchObject({ code: 0, text: '', err: '' });
    expect(await store('cli', 'two', '--only-if-absent')).toMatchObject({ code: 1, err: '' });
    expect(await run('kv', 'retrieve', 'cli')).toMatchObject({ code: 0, text: 'one' });
    expect(JSON.parse((await run('kv', 'list', Buffer.from('cli').toString('hex'), '--limit', '1', '--hex', '-o', 'json')).text)).toEqual({ keys: ['636c69'] });
    expect((await run('kv', 'list', 'cli', '--limit', '1')).text).toBe('cli\n');
    expect([(await run('kv', 'exist', 'cli')).code, (await run('kv', 'delete', 'cli')).code, (await run('kv', 'exist', 'cli')).code]).toEqual([0, 0, 1]);
    expect(await run('kv', 'exist', 'seventeen bytes!!')).toMatchObject({ code: 1, err: expect.stringContaining('MR_KV_KEY_SIZE') });
    expect(await run('kv', 'exist')).toMatchObject({ code: 2 });
  });

  it('goes over NVMe/TCP as over shared memory', async () => {
    const tcp = ['--tcp', `127.0.0.1:${daemon.nvmeTcpPort}`];
    const over = (...args: string[]) => runCli(['nvme', ...args, ...tcp]);
    for (const args of [['list-ns'], ['id-ns', '-n', '5'], ['effects-log', '--csi', '0']]) expect(await over(...args)).toEqual(await run(...args));
    const [here, there] = [await json('id-ctrl'), JSON.parse((await over('id-ctrl', '-o', 'json')).text) as Record<string, unknown>];
    expect({ ...there, cntlid: here.cntlid }).toMatchObject({ sn: here.sn, subnqn: here.subnqn, mdts: here.mdts });
    expect(there.ioccsz).toBeGreaterThan(4);
    const value = 'v'.repeat(100_000); // past what a capsule carries: by R2T
    expect(await runCli(['nvme', 'kv', 'store', 'far', ...tcp], { input: value })).toMatchObject({ code: 0, err: '' });
    expect((await run('kv', 'retrieve', 'far')).text).toBe(value);
    expect((await over('kv', 'retrieve', 'far')).text).toBe(value);
    expect(await over('io-passthru', '--opcode', '0x03', '-n', '5')).toMatchObject({ code: 4, err: expect.stringContaining('InvalidOpcode') });
    expect(await over('list-ns', '--nqn', 'nqn.2026-11.dev.millrace:nobody')).toMatchObject({ code: 3, err: expect.stringContaining('MR_ATTACH') });
    expect(await runCli(['nvme', 'list-ns', '--tcp', 'nowhere'])).toMatchObject({ code: 2 });
  });

  it('finds the device through the daemon, and says when there is none', async () => {
    expect(await runCli(['nvme', 'list-ns', '--url', daemon.url])).toMatchObject({ code: 0, text: expect.stringMatching(/^\[ {3}0\]:0x1\n/) });
    expect(await runCli(['nvme', 'list-ns', '--device', join(scratch, 'nothing')])).toMatchObject({ code: 3, err: expect.stringContaining('MR_ATTACH') });
  });
});
