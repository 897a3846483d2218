import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { crc32 } from 'node:zlib';
import { packageRoot } from '../../native/index.js';
import { pinnedNode } from '../e2e/daemon-process.js';
import { kernel, sumParts } from '../kernels/wat.js';

// npm run test:guest: each session is a fresh daemon and a Linux that drives it.

const nqn = 'nqn.2026-11.dev.millrace:device0';
const hostNqn = 'nqn.2014-08.org.nvmexpress:uuid:2d7d1d7e-54a4-4f23-8a5e-5d1b8f0f3d11';
const guest = join(packageRoot, 'test/guest');
const guestAddress = '10.0.2.2'; // what QEMU calls the host's loopback
const sessionSecondsMax = 600;

interface Session {
  readonly name: string;
  readonly suite?: 'trixie';
  readonly daemonArguments?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly tools?: readonly ('fio' | 'fs')[];
  /** Records what crosses the loopback and has a dissector look at it. */
  readonly capture?: boolean;
}

const scratch = mkdtempSync(join(tmpdir(), 'millrace-guest-'));
const secrets = { SECRET: secretText(), CONTROLLER_SECRET: secretText(), WRONG: secretText() };
const secretFile = join(scratch, 'secrets');
writeFileSync(secretFile, `${hostNqn} ${secrets.SECRET} ${secrets.CONTROLLER_SECRET}\n`, { mode: 0o600 });

/** What the guest loads and executes: the sum of a column of i32 as one i64. */
const kernelFile = join(scratch, 'sum.wasm');
writeFileSync(kernelFile, await kernel(sumParts));

const sessions: readonly Session[] = [
  { name: 'disk', tools: ['fio', 'fs'] },
  { name: 'restart', tools: ['fio', 'fs'] },
  { name: 'capture', capture: true },
  { name: 'secret', suite: 'trixie', daemonArguments: ['--nvme-tcp-secret-file', secretFile], environment: { HOST_NQN: hostNqn, ...secrets } },
];

let passed = 0;
let failed = 0;
let skipped = 0;
const report = (line: string): void => {
  if (line.startsWith('ok ')) passed++;
  else if (line.startsWith('not ok ')) failed++;
  else if (line.startsWith('skip ')) skipped++;
  process.stdout.write(`  ${line}\n`);
};

process.exitCode = await main();

async function main(): Promise<number> {
  try {
    if (spawnSync('qemu-system-x86_64', ['--version']).status !== 0) report('skip everything: qemu-system-x86_64 is not installed (apt-get install --no-install-recommends qemu-system-x86)');
    else for (const session of sessions.filter((s) => s.name.includes(process.argv[2] ?? ''))) await run(session);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  process.stdout.write(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}\n`);
  return failed > 0 ? 1 : 0;
}

async function run(session: Session): Promise<void> {
  process.stdout.write(`${session.name}${session.suite ? ` (${session.suite})` : ''}\n`);
  const started = performance.now();
  const dir = mkdtempSync(join(scratch, 'daemon-'));
  const port = await freePort();
  let daemon = await startDaemon(dir, port, session);
  const capture = session.capture ? await startCapture(port, join(dir, 'capture.pcap')) : undefined;
  try {
    const environment = { PORT: String(port), NQN: nqn, ...session.environment };
    const child = spawn(join(guest, 'nvme-guest'), [
      ...(session.tools ?? []).flatMap((tool) => ['--with', tool]), '--put', `${join(guest, 'sessions/steps.sh')}:/in/steps.sh`, '--put', `${kernelFile}:/in/sum.wasm`,
      ...Object.entries(environment).flatMap(([key, value]) => ['--env', `${key}=${value}`]), '--timeout', String(sessionSecondsMax), join(guest, `sessions/${session.name}.sh`),
    ], { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...(session.suite ? { NVME_GUEST_SUITE: session.suite } : {}) } });
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    for await (const line of createInterface({ input: child.stdout })) {
      if (line !== 'KILL-NOW') report(line);
      else {
        await end(daemon, 'SIGKILL');
        daemon = await startDaemon(dir, port, session);
      }
    }
    const code = await ended;
    if (code !== 0) report(`not ok ${session.name}: the guest ended with ${code}`);
    if (capture) await dissect(capture, port);
    const exit = await end(daemon, 'SIGTERM');
    report(exit === 0 ? 'ok daemon: ended in order' : `not ok daemon: it ended with ${exit}`);
  } finally {
    capture?.process.kill('SIGKILL');
    if (daemon.exitCode === null && daemon.signalCode === null) await end(daemon, 'SIGKILL');
  }
  process.stdout.write(`  ${((performance.now() - started) / 1000).toFixed(0)} s\n`);
}

async function startDaemon(dir: string, port: number, session: Session): Promise<ChildProcess> {
  const child = spawn(pinnedNode, [
    join(packageRoot, 'dist/daemon/main.js'), '--dir', join(dir, 'data'), '--port', '0', '--capacity-bytes', String(256 << 20), '--raw-bytes', String(512 << 20), '--log-level', 'error',
    '--nvme-tcp', `127.0.0.1:${port}`, '--nvme-tcp-advertise', guestAddress, ...(session.daemonArguments ?? []),
  ], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', () => resolve());
    child.once('exit', (code) => reject(new Error(`the daemon ended with ${code}`)));
  });
  return child;
}

function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  return new Promise((resolve) => {
    child.removeAllListeners('exit');
    child.once('exit', resolve);
    child.kill(signal);
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** `DHHC-1:00:` as nvme gen-dhchap-key makes it. */
function secretText(): string {
  const key = randomBytes(32);
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc32(key));
  return `DHHC-1:00:${Buffer.concat([key, sum]).toString('base64')}:`;
}

interface Capture {
  readonly file: string;
  readonly process: ChildProcess;
}

async function startCapture(port: number, file: string): Promise<Capture | undefined> {
  const child = spawn('tshark', ['-q', '-i', 'lo', '-f', `tcp port ${port}`, '-w', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  const why = await new Promise<string | undefined>((resolve) => {
    let text = '';
    child.once('error', (error) => resolve(error.message));
    child.once('exit', () => resolve(text.trim().split('\n').at(-1) ?? 'it ended'));
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      if (text.includes('Capturing on')) setTimeout(() => resolve(undefined), 500); // it says so a moment before it does
    });
  });
  if (why === undefined) return { file, process: child };
  report(`skip capture: tshark cannot capture here (${why})`);
  return undefined;
}

async function dissect({ file, process: child }: Capture, port: number): Promise<void> {
  await end(child, 'SIGINT');
  const count = (filter: string): number => {
    const { status, stdout, stderr } = spawnSync('tshark', ['-r', file, '-d', `tcp.port==${port},nvme-tcp`, '-Y', filter, '-T', 'fields', '-e', 'frame.number'], { encoding: 'utf8', maxBuffer: 1 << 28 });
    if (status !== 0) throw new Error(`tshark: ${stderr}`);
    return stdout.split('\n').filter((line) => line !== '').length;
  };
  const pdus = count('nvme-tcp');
  const malformed = count('_ws.malformed || nvme-tcp.type == 2 || nvme-tcp.type == 3');
  report(pdus > 100 && malformed === 0 ? `ok dissector: ${pdus} frames with NVMe/TCP PDUs, none malformed, no connection ended by a TermReq` : `not ok dissector: ${malformed} of ${pdus} frames with PDUs are malformed or TermReqs`);
}
