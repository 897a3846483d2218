// What the launcher leaves of a process before the program it starts has run one instruction.
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '../../native/index.js';

const launcher = join(packageRoot, 'build/Release/slot_launcher');
const root = process.getuid?.() === 0;
// JailPart bits of native/jail/slot_contract.h.
const mounts = 1 << 8;
const landlock = 1 << 9;

function launch(options: string[], script: string) {
  const extra = openSync('/dev/zero', 'r');
  try {
    return spawnSync(launcher, [...options, '--', '/bin/sh', '-c', script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe', extra, extra, extra], timeout: 20_000 });
  } finally {
    closeSync(extra);
  }
}
const options = (profile: string, parent = process.pid) => ['--profile', profile, '--parent', String(parent), '--keep-fds', '1', '--data-bytes', String(256 << 20), '--read', '/bin/sh'];
const look = 'for f in /proc/self/fd/*; do echo fd $f $(readlink $f); done; cat /proc/self/status /proc/self/limits; echo net $(readlink /proc/self/ns/net); echo jail $MILLRACE_JAIL; echo session $(cut -d" " -f6 /proc/$$/stat) $$';

it('a slot has no foreign descriptor, no privilege, no network, bounded memory', () => {
  const { stdout, stderr, status } = launch(options('slot'), look);
  expect([status, stderr]).toEqual([0, '']);
  expect([...stdout.matchAll(/^fd \S+ \/dev\/zero$/gm)]).toHaveLength(1);
  expect(stdout).toMatch(/^NoNewPrivs:\t1$/m);
  expect(stdout).toMatch(/^Max data size +268435456 +268435456/m);
  expect(stdout).toMatch(/^Max core file size +0 +0/m);
  expect(stdout).toMatch(/^Max file size +0 +0/m);
  expect(stdout).toMatch(/^Max open files +64 +64/m);
  const [, session, pid] = /^session (\d+) (\d+)$/m.exec(stdout) ?? [];
  expect(session).toBe(pid);
  if (root) {
    expect(stdout).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
    expect(stdout).toMatch(/^Gid:\t65534\t65534\t65534\t65534$/m);
    expect(stdout).toMatch(/^CapEff:\t0+$/m);
    expect(stdout).not.toContain(`net ${readlinkSync('/proc/self/ns/net')}\n`);
    const parts = Number(/^jail (\d+)$/m.exec(stdout)?.[1]);
    if (parts & mounts) expect(launch(options('slot'), 'echo x > /tmp/millrace-never; echo x > /dev/shm/millrace-never').stderr).toMatch(/(Read-only file system|Permission denied|Directory nonexistent|cannot create)/);
    if (parts & landlock) expect(launch(options('slot'), 'cat /etc/passwd /etc/hostname || echo refused').stdout).toBe('refused\n');
  }
});

it('an ingest child keeps files, bounded all the same', () => {
  const { stdout, status } = launch(options('ingest'), look);
  expect(status).toBe(0);
  expect(stdout).toMatch(/^NoNewPrivs:\t1$/m);
  expect(stdout).toMatch(/^Max data size +268435456/m);
  expect([...stdout.matchAll(/^fd \S+ \/dev\/zero$/gm)]).toHaveLength(1);
});

it('it stays root for the moment when nobody could not read the program', () => {
  if (!root) return;
  const { stdout } = launch([...options('slot'), '--read', '/etc/shadow'], look);
  expect(stdout).toMatch(/^Uid:\t0\t0\t0\t0$/m);
  expect(stdout).toMatch(/^NoNewPrivs:\t1$/m);
});

it('nothing runs when the parent is gone already, or the arguments make no sense', () => {
  expect(launch(options('slot', process.ppid), 'echo ran')).toMatchObject({ stdout: '', status: 0 });
  expect(launch(['--profile', 'other'], 'echo ran')).toMatchObject({ stdout: '', status: 126 });
  expect(launch([...options('slot'), '--data-bytes', 'many'], 'echo ran')).toMatchObject({ stdout: '', status: 126 });
});
