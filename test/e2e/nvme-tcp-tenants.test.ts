// NVMe/TCP hosts with secrets: each acts with the rights of the token its line names, and nobody else comes in.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { removeToken, addToken, tokenFilePath } from '../../daemon/rest/access/token-file.js';
import { setTenant, tenantFilePath } from '../../daemon/tenants/tenant-file.js';
import { connect } from '../../clients/node/connect.js';
import { kvKey, kvStore } from '../../native/kv-commands.js';
import { parseDhchapSecret } from '../../native/dhchap/secret.js';
import { loadProgram } from '../../native/scan-commands.js';
import { TcpHost } from '../../native/tcp-host.js';
import { TcpQueue } from '../../native/tcp-queue.js';
import { ChunkRecord, Fabrics, FabricsStatus, Nsid, Opcode, Status } from '../../pushdown/runtime/wire.gen.js';
import { execute, type Range, readMemory, writeMemory } from '../device/execute-device.js';
import { kernel, sumParts } from '../kernels/wat.js';
import { runCli } from './cli-process.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';

const subsystemNqn = 'nqn.2026-11.dev.millrace:device0';
const nqnOf = (name: string) => `nqn.2026-01.org.example:${name}`;
const secretText = (): string => {
  const key = randomBytes(32);
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc32(key));
  return `DHHC-1:00:${Buffer.concat([key, sum]).toString('base64')}:`;
};
const names = ['operator', 'lab', 'reader', 'orphan'] as const;
const secrets = Object.fromEntries(names.map((name) => [name, secretText()])) as Record<(typeof names)[number], string>;
const controllerSecret = secretText();
const dir = mkdtempSync(join(tmpdir(), 'millrace-tcp-tenants-'));
const tokenFile = tokenFilePath(dir);
let daemon: DaemonProcess;
let operatorToken: string;

beforeAll(async () => {
  const now = new Date();
  operatorToken = 'operator-of-this-test';
  addToken(tokenFile, { name: 'lab-token', tenant: 'lab', write: true, datasets: ['mine'] }, now);
  addToken(tokenFile, { name: 'reader-token', tenant: 'lab', write: false }, now);
  setTenant(tenantFilePath(dir), { name: 'lab', caps: {}, kernels: ['0'.repeat(64)] });
  const secretFile = join(dir, 'hosts');
  writeFileSync(secretFile, [
    `${nqnOf('operator')} ${secrets.operator}`, `${nqnOf('lab')} ${secrets.lab} ${controllerSecret} token=lab-token`, `${nqnOf('reader')} ${secrets.reader} token=reader-token`, `${nqnOf('orphan')} ${secrets.orphan} token=never-made`,
  ].join('\n'), { mode: 0o600 });
  daemon = await startDaemonProcess({ dir, args: ['--nvme-tcp', '127.0.0.1:0', '--nvme-tcp-secret-file', secretFile, '--token', operatorToken, '--slots', '1', '--log-level', 'trace'] });
  const client = await connect({ url: daemon.url, token: operatorToken, transport: 'http' });
  const duck = await (await DuckDBInstance.create(':memory:')).connect();
  for (const name of ['mine', 'other']) {
    const file = join(dir, `${name}.parquet`);
    await duck.run(`COPY (SELECT r::INTEGER AS v FROM range(1000) t(r)) TO '${file}' (FORMAT parquet)`);
    await client.put(name, file);
  }
  duck.closeSync();
  await client.close();
});
afterAll(async () => {
  await daemon?.dispose();
  rmSync(dir, { recursive: true, force: true });
});

const port = () => daemon.nvmeTcpPort ?? 0;
const host = (name: string, secret: string | undefined, mutual?: string) => TcpHost.connect({
  address: '127.0.0.1', port: port(), subsystemNqn, hostNqn: nqnOf(name), ...(secret === undefined ? {} : { secret: parseDhchapSecret(secret) }), ...(mutual === undefined ? {} : { controllerSecret: parseDhchapSecret(mutual) }),
});
async function as<T>(name: keyof typeof secrets, use: (host: TcpHost) => Promise<T>): Promise<T> {
  const one = await host(name, secrets[name]);
  try {
    return await use(one);
  } finally {
    one.close();
  }
}
async function readBlock(one: TcpHost, nsid: number, slba: number, opc: number = Opcode.Read): Promise<number> {
  return (await one.send(1, { opc, nsid, cdw10: slba }, await one.acquire(4096))).status;
}
/** First block of the dataset's first column; what may not be read has none. */
async function firstBlock(one: TcpHost, handle: number): Promise<number | string> {
  const region = await one.acquire(ChunkRecord.bytes);
  const { status } = await one.send(1, { opc: Opcode.DatasetLayout, nsid: Nsid.Compute, cdw10: handle, cdw11: 0 }, region);
  return status === Status.Success ? Number(new DataView(region.view.buffer).getBigUint64(ChunkRecord.slba, true)) : status;
}
async function handles(): Promise<Record<string, number>> {
  const client = await connect({ url: daemon.url, token: operatorToken, transport: 'http' });
  const list = await client.datasets();
  await client.close();
  return Object.fromEntries(list.map(({ name, handle }) => [name, handle]));
}

it('a host acts with the rights of its token: its datasets, and no other bytes', async () => {
  const { mine = 0, other = 0 } = await handles();
  const [mineAt, otherAt] = await as('operator', async (one) => [Number(await firstBlock(one, mine)), Number(await firstBlock(one, other))]);
  await as('operator', async (one) => expect([await readBlock(one, Nsid.Nvm, mineAt), await readBlock(one, Nsid.Nvm, otherAt), await readBlock(one, Nsid.Raw, 0), await readBlock(one, Nsid.Raw, 0, Opcode.Write)]).toEqual([0, 0, 0, 0]));
  await as('lab', async (one) => {
    expect(await firstBlock(one, mine)).toBe(mineAt);
    expect(await firstBlock(one, other)).toBe(Status.NoSuchDataset);
    expect(await readBlock(one, Nsid.Nvm, mineAt)).toBe(Status.Success);
    for (const [nsid, slba] of [[Nsid.Nvm, otherAt], [Nsid.Raw, 0]] as const) expect(await readBlock(one, nsid, slba)).toBe(Status.AccessDenied);
    await expect(kvStore(one, kvKey('k'), Buffer.from('v'))).rejects.toMatchObject({ code: 'MR_FORBIDDEN' });
  });
  await as('reader', async (one) => {
    expect(await readBlock(one, Nsid.Nvm, otherAt)).toBe(Status.Success);
    expect(await readBlock(one, Nsid.Raw, 0, Opcode.Write)).toBe(Status.NamespaceWriteProtected);
  });
});

it("a host's kernels are its tenant's, and the audit log names both", async () => {
  const ranges: readonly Range[] = [{ start: 0, length: 64 }, { start: 4096, length: 64 }];
  const run = (one: TcpHost) => execute(one, 0, ranges, 16);
  const module = await kernel(sumParts);
  await as('operator', async (one) => {
    await writeMemory(one, 0, new Uint8Array(64).fill(1));
    await loadProgram(one, 0, module);
    expect(await run(one)).toMatchObject({ status: Status.Success, dw0: 8 });
    expect((await readMemory(one, 4096, 8))[0]).toBe(16);
  });
  await as('lab', async (one) => {
    await loadProgram(one, 0, module);
    expect((await run(one)).status).toBe(Status.KernelNotAllowed);
  });
  const { entries } = (await (await fetch(`${daemon.url}/v1/audit`, { headers: { authorization: `Bearer ${operatorToken}` } })).json()) as { entries: { tenant: string; token: string; outcome: string }[] };
  expect(entries.map(({ tenant, token, outcome }) => [tenant, token, outcome])).toEqual([['local', 'local', 'ok'], ['lab', 'lab-token', 'refused']]);
});

it('nobody else comes in: no key, a wrong one, a stranger, a controller that is another, a token that is not there', async () => {
  const refused = (how: string) => expect.objectContaining({ code: 'MR_ATTACH', message: expect.stringContaining(how) });
  await expect(host('lab', undefined)).rejects.toEqual(refused('give the secret of this host'));
  for (const wrong of [secrets.operator, secretText()]) await expect(host('lab', wrong)).rejects.toEqual(refused('the secret is not the one'));
  await expect(host('stranger', secrets.lab)).rejects.toEqual(refused('Connect was refused'));
  await expect(host('lab', secrets.lab, secretText())).rejects.toEqual(refused('the controller did not prove who it is'));
  await expect(host('orphan', secrets.orphan)).rejects.toEqual(refused('the controller refused this host'));
  (await host('lab', secrets.lab, controllerSecret)).close();
  // Not even the controller's registers without it, on a connection that never says who it is.
  const silent = await TcpQueue.open(port());
  const { status, dw0 } = await silent.connect({ subsystem: subsystemNqn, host: nqnOf('lab') }, 0, 32, 0xffff);
  expect([status, dw0 >>> 17 & 1]).toEqual([0, 1]);
  expect((await silent.fabrics(Fabrics.PropertySet, { cdw11: 0x14, cdw12: 0x00460061 })).status).toBe(FabricsStatus.AuthenticationRequired);
  silent.close();
});

it('millrace nvme comes in with a secret by option or environment', async () => {
  const tcp = ['--tcp', `127.0.0.1:${port()}`];
  const idCtrl = (args: readonly string[], env = {}) => runCli(['nvme', 'id-ctrl', ...tcp, ...args, '-o', 'json'], { env });
  const good = await idCtrl(['--hostnqn', nqnOf('operator'), '--dhchap-secret', secrets.operator]);
  expect([good.code, good.err, (JSON.parse(good.text) as { subnqn: string }).subnqn]).toEqual([0, '', subsystemNqn]);
  expect((await idCtrl(['--hostnqn', nqnOf('lab'), '--dhchap-ctrl-secret', controllerSecret], { MILLRACE_DHCHAP_SECRET: secrets.lab })).code).toBe(0);
  const wrong = await idCtrl(['--hostnqn', nqnOf('operator'), '--dhchap-secret', secrets.lab]);
  expect([wrong.code, wrong.text]).toEqual([3, '']);
  expect(wrong.err).toContain('the secret is not the one');
  expect(await idCtrl(['--dhchap-secret', secrets.lab])).toMatchObject({ code: 2, err: expect.stringContaining('--hostnqn') });
  const noSecret = await idCtrl(['--hostnqn', nqnOf('lab'), '--dhchap-secret', 'DHHC-1:00:c2VjcmV0:']);
  expect(noSecret).toMatchObject({ code: 2, err: expect.stringContaining('32, 48 or 64 bytes') });
  for (const { err } of [good, wrong, noSecret]) for (const word of [...Object.values(secrets), controllerSecret, 'c2VjcmV0']) expect(err).not.toContain(word);
});

it('a token that is taken away keeps its hosts out from then on', async () => {
  (await host('reader', secrets.reader)).close();
  removeToken(tokenFile, 'reader-token');
  for (let tries = 0; ; tries++) {
    const came = await host('reader', secrets.reader).then((one) => one.close(), () => 'refused');
    if (came === 'refused') break;
    // A removed token works for a quarter of a second at most (daemon/followed-file.ts).
    expect(tries).toBeLessThan(1000);
  }
  (await host('lab', secrets.lab)).close();
});

it('where a daemon wants tokens and has no secrets, nobody comes in', async () => {
  const other = await startDaemonProcess({ args: ['--nvme-tcp', '127.0.0.1:0', '--token', operatorToken, '--slots', '1'] });
  try {
    const to = { address: '127.0.0.1', port: other.nvmeTcpPort ?? 0, subsystemNqn, hostNqn: nqnOf('operator') };
    await expect(TcpHost.connect(to)).rejects.toMatchObject({ code: 'MR_ATTACH', message: expect.stringContaining('Connect was refused') });
    await expect(TcpHost.connect({ ...to, secret: parseDhchapSecret(secrets.operator) })).rejects.toMatchObject({ code: 'MR_ATTACH', message: expect.stringContaining('Connect was refused') });
  } finally {
    await other.dispose();
  }
});

it('no secret is in any log or answer', async () => {
  const headers = { authorization: `Bearer ${operatorToken}` };
  const texts = [daemon.log(), ...(await Promise.all(['/v1/status', '/metrics', '/v1/audit'].map(async (path) => (await fetch(`${daemon.url}${path}`, { headers })).text()))), readFileSync(join(dir, 'audit/audit.ndjson'), 'utf8')];
  expect(daemon.log()).toContain('did not prove who it is');
  const words = [...Object.values(secrets), controllerSecret].flatMap((text) => [text, text.split(':')[2] ?? '', parseDhchapSecret(text).key.toString('hex')]);
  for (const text of texts) for (const word of words) expect(text).not.toContain(word);
});
